"""The K+1 losses: identities with the softmax over K+1 classes, stability, gradients."""

import math

import plain
import pytest
import torch
from torch.nn import functional

from ssgan.techniques.class_balance import balance_loss, forward_balance_loss
from ssgan.techniques.consistency import consistency_loss
from ssgan.techniques.entropy import entropy_loss
from ssgan.techniques.feature_matching import feature_matching
from ssgan.techniques.kplus1 import unlabelled_loss
from ssgan.techniques.pull_away import pull_away
from ssgan.techniques.supervised import labelled_loss


def some_logits(n: int, k: int, seed: int, scale: float = 3.0) -> torch.Tensor:
    return scale * torch.randn(n, k, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def with_generated_class(logits: torch.Tensor) -> torch.Tensor:
    """Logits [n, k + 1], the generated class's being 0."""
    return functional.pad(logits, (0, 1))


def test_d_is_one_minus_the_last_of_k_plus_1_probabilities():
    logits = some_logits(50, 7, 0)
    probabilities = with_generated_class(logits).softmax(1)
    torch.testing.assert_close(plain.is_real(logits), 1 - probabilities[:, -1])
    torch.testing.assert_close(probabilities[:, :-1] / (1 - probabilities[:, -1:]), logits.softmax(1))


@pytest.mark.parametrize("k", [1, 2, 10])
def test_unlabelled_loss_is_cross_entropy_of_real_against_generated(k):
    real, fake = some_logits(30, k, 1), some_logits(20, k, 2)
    by_definition = -0.5 * plain.is_real(real).log().mean() - 0.5 * (1 - plain.is_real(fake)).log().mean()
    torch.testing.assert_close(unlabelled_loss(real, fake), by_definition)
    is_generated = functional.cross_entropy(with_generated_class(fake), torch.full((20,), k))
    is_any_real = -(1 - with_generated_class(real).softmax(1)[:, -1]).log().mean()
    torch.testing.assert_close(unlabelled_loss(real, fake), (is_generated + is_any_real) / 2)


def test_labelled_loss_is_that_of_the_k_plus_1_classes_given_a_real_one():
    logits, labels = some_logits(40, 5, 3), torch.arange(40) % 5
    probabilities = with_generated_class(logits).softmax(1)
    given_real = probabilities[range(40), labels] / (1 - probabilities[:, -1])
    torch.testing.assert_close(labelled_loss(logits, labels), -given_real.log().mean())


def test_a_logit_shift_changes_only_the_unlabelled_loss():
    """Over K logits a common shift is free; against the generated logit fixed at 0 it is not."""
    logits, fake, labels = some_logits(40, 5, 3), some_logits(40, 5, 4), torch.arange(40) % 5
    torch.testing.assert_close(labelled_loss(logits + 10, labels), labelled_loss(logits, labels))
    assert unlabelled_loss(logits + 10, fake) < unlabelled_loss(logits, fake) < unlabelled_loss(logits, fake + 10)


@pytest.mark.parametrize("size", [100.0, 1000.0])
def test_losses_and_gradients_are_finite_and_right_for_huge_logits_in_fp32(size):
    high, low = torch.full((2, 3), size, requires_grad=True), torch.full((2, 3), -size, requires_grad=True)
    labels = torch.zeros(2, dtype=torch.int64)
    cases = [  # loss, its limit
        (unlabelled_loss(high, low), 0.0),
        (unlabelled_loss(low, low), size / 2),
        (unlabelled_loss(high, high), size / 2),
        (labelled_loss(high - torch.tensor([2 * size, 0, 0]), labels), 2 * size),
        (labelled_loss(low + torch.tensor([2 * size, 0, 0]), labels), 0.0),
    ]
    for loss, limit in cases:
        assert loss.item() == pytest.approx(limit, abs=1.2), "up to log 3"
        gradients = torch.autograd.grad(loss, [high, low], allow_unused=True)
        assert all(g is None or g.isfinite().all() for g in gradients)


def test_labelled_gradient_is_probability_minus_one_at_the_label():
    logits, labels = some_logits(12, 4, 5).requires_grad_(), torch.arange(12) % 4
    gradient, = torch.autograd.grad(labelled_loss(logits, labels), logits)
    torch.testing.assert_close(gradient, (logits.softmax(1) - functional.one_hot(labels, 4)).detach() / 12)


def test_unlabelled_gradients_are_those_of_the_plain_form():
    real, fake = some_logits(12, 4, 6).requires_grad_(), some_logits(9, 4, 7).requires_grad_()
    loss = -0.5 * plain.is_real(real).log().mean() - 0.5 * (1 - plain.is_real(fake)).log().mean()
    expected = torch.autograd.grad(loss, [real, fake])
    torch.testing.assert_close(torch.autograd.grad(unlabelled_loss(real, fake), [real, fake]), expected)


def test_feature_matching_by_hand():
    real, fake = torch.tensor([[1.0, 2], [3, 6]]), torch.tensor([[0.0, 0], [0, 0], [3, 3]])
    assert feature_matching(real, fake).item() == pytest.approx(((2 - 1) ** 2 + (4 - 1) ** 2) / 2)


def test_feature_matching_is_zero_for_equal_means_whatever_the_spread():
    x = some_logits(10, 6, 8)
    assert feature_matching(x, x.flip(0)).item() == pytest.approx(0, abs=1e-30)
    assert feature_matching(x, x.mean(0, keepdim=True)).item() == pytest.approx(0, abs=1e-30)


def test_consistency_counts_confident_images_and_divides_by_all():
    logits, targets = some_logits(6, 4, 9), torch.tensor([0, 1, 2, 3, 0, 1])
    confident = torch.tensor([1.0, 0, 0, 1, 1, 0], dtype=torch.float64)
    by_hand = sum(-logits[i].softmax(0)[targets[i]].log() for i in (0, 3, 4)) / 6
    torch.testing.assert_close(consistency_loss(logits, targets, confident), by_hand)
    assert consistency_loss(logits, targets, torch.zeros(6)).item() == 0


@pytest.mark.parametrize("k", [2, 3, 10])
@pytest.mark.parametrize(("loss", "divergence"), [
    (balance_loss, lambda m, s: m * math.log(m / s)), (forward_balance_loss, lambda m, s: s * math.log(s / m))])
def test_balance_is_the_divergence_of_the_mean_answer_and_the_shares(loss, divergence, k):
    logits, shares = some_logits(20, k, 10), torch.rand(k, generator=torch.Generator().manual_seed(k)).double() + 0.01
    shares /= shares.sum()
    mean = [sum(row.softmax(0)[i].item() for row in logits) / 20 for i in range(k)]
    by_hand = sum(divergence(m, s) for m, s in zip(mean, shares.tolist()))
    assert loss(logits, shares).item() == pytest.approx(by_hand, rel=1e-12) and by_hand > 0
    exact = shares.log().expand(7, k)
    assert loss(exact, shares).item() == pytest.approx(0, abs=1e-15)


def test_forward_balance_pulls_at_the_likeliest_image_of_a_class_that_no_image_is_answered():
    """With the whole share of that class, where the other divergence has no gradient left."""
    logits = torch.tensor([[200.0, -200], [200, -190], [200, -200]]).requires_grad_()
    shares = torch.tensor([0.9, 0.1])
    loss = forward_balance_loss(logits, shares)
    gradient, = torch.autograd.grad(loss, logits)
    assert loss.isfinite() and loss.item() == pytest.approx(0.9 * math.log(0.9) + 0.1 * (math.log(0.3) + 390), rel=1e-4)
    torch.testing.assert_close(gradient, torch.tensor([[0.0, 0], [0.1, -0.1], [0, 0]]), rtol=0, atol=1e-4)
    assert torch.autograd.grad(balance_loss(logits, shares), logits)[0].abs().max() == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_balance_of_even_shares_is_the_marginal_entropy_to_the_bit(dtype):
    for k in (2, 3, 10, 26):
        logits = some_logits(20, k, 11).to(dtype).requires_grad_()
        mean = logits.softmax(1).mean(0)
        entropy = math.log(k) + (mean * mean.clamp_min(1e-12).log()).sum()
        loss = balance_loss(logits, torch.full((k,), 1 / k, dtype=dtype))
        assert loss.item() == entropy.item()
        assert torch.equal(*(torch.autograd.grad(each, logits)[0] for each in (loss, entropy)))


def test_balance_and_its_gradient_are_finite_for_a_class_that_no_image_is_answered():
    logits = torch.tensor([[200.0, -200]]).expand(5, 2).clone().requires_grad_()
    loss = balance_loss(logits, torch.tensor([0.9, 0.1]))
    gradient, = torch.autograd.grad(loss, logits)
    assert loss.item() == pytest.approx(-math.log(0.9), rel=1e-5) and gradient.isfinite().all()


def test_pull_away_is_one_for_one_image_and_zero_for_images_that_have_nothing_in_common():
    x = some_logits(1, 5, 6).expand(7, 5)
    torch.testing.assert_close(pull_away(x * torch.arange(1, 8)[:, None]), torch.tensor(1.0, dtype=torch.float64))
    assert pull_away(torch.eye(4)) == 0
    assert pull_away(-torch.eye(4)[:2].repeat(2, 1)).item() == pytest.approx(1 / 3)  # of six pairs two are of one kind


def test_pull_away_and_its_gradient_are_finite_for_silent_features():
    features = torch.zeros(3, 4)
    features[0, 1] = 2
    features.requires_grad_()
    gradient, = torch.autograd.grad(pull_away(features), features)
    assert pull_away(features) == 0 and gradient.isfinite().all()


@pytest.mark.parametrize("k", [2, 10])
def test_entropy_is_that_of_the_answers(k):
    assert entropy_loss(torch.full((3, k), 7.0)).item() == pytest.approx(torch.tensor(float(k)).log().item())
    sure = 1000 * torch.eye(k).requires_grad_()
    gradient, = torch.autograd.grad(entropy_loss(sure), sure)
    assert entropy_loss(sure) == 0 and gradient.isfinite().all()
    logits = some_logits(20, k, 8)
    torch.testing.assert_close(entropy_loss(logits), torch.distributions.Categorical(logits=logits).entropy().mean())
