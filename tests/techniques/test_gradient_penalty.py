"""Gradient penalty by hand, where lengths are zero, and lazily. (Its steps: tests/training/test_passes.py.)"""

import pytest
import small
import torch

from ssgan.config import override
from ssgan.models.context import Context
from ssgan.techniques.gradient_penalty import GradientPenalty, penalty
from ssgan.techniques.technique import View


class Linear:
    """A discriminator of one class whose judgement is a scalar product."""

    def __init__(self, weight: torch.Tensor):
        self.weight = weight

    def __call__(self, x: torch.Tensor, context: Context):
        logits = x.flatten(1) @ self.weight[:, None]
        return logits, logits


def view(weight: torch.Tensor, share: float = 0.5) -> View:
    images = {"unlabelled": torch.rand(4, 1, 2, 3, dtype=torch.float64),
              "generated": torch.rand(5, 1, 2, 3, dtype=torch.float64)}
    draws = {"share": torch.full((4, 1, 1, 1), share, dtype=torch.float64)}
    return View(images, None, {}, {}, {"discriminator": Linear(weight)}, draws, {}, {}, torch.full((3,), 1 / 3))


@pytest.mark.parametrize("at", ["between", "real"])
@pytest.mark.parametrize(("length", "target", "one_sided", "expected"), [
    (3.0, 1.0, False, 4.0), (0.25, 1.0, False, 0.5625), (0.25, 1.0, True, 0.0), (3.0, 1.0, True, 4.0), 
    (3.0, 0.0, False, 9.0)])
def test_the_loss_of_a_judgement_that_is_a_product_is_that_of_its_weights_length(
        at, length, target, one_sided, expected):
    weight = torch.full((6,), length / 6**0.5, dtype=torch.float64, requires_grad=True)
    term = GradientPenalty(weight=1, at=at, target=target, one_sided=one_sided).term("discriminator", view(weight))
    assert term.loss.item() == pytest.approx(expected)
    assert term.measured["gradient_length"].item() == pytest.approx(length)
    gradient, = torch.autograd.grad(term.loss, weight)
    wanted = 2 * (length - target) * (length > target or not one_sided) / 6**0.5
    torch.testing.assert_close(gradient, torch.full((6,), wanted, dtype=torch.float64))


@pytest.mark.parametrize("target", [0.0, 1.0])
def test_a_judgement_that_never_changes_has_a_finite_gradient(target):
    weight = torch.zeros(6, dtype=torch.float64, requires_grad=True)
    term = GradientPenalty(weight=1, target=target).term("discriminator", view(weight))
    gradient, = torch.autograd.grad(term.loss, weight)
    assert term.loss.item() == pytest.approx(target**2) and gradient.isfinite().all()


def test_images_between_are_where_the_draws_say():
    seen = []

    class Watching(Linear):
        def __call__(self, x, context):
            seen.append(x.detach().clone() if type(x) is torch.Tensor else x)
            return super().__call__(x, context)

    given = view(torch.ones(6, dtype=torch.float64), 0.25)
    given.players["discriminator"] = Watching(given.players["discriminator"].weight)
    GradientPenalty(weight=1).term("discriminator", given)
    expected = 0.25 * given.images["unlabelled"] + 0.75 * given.images["generated"][:4]
    torch.testing.assert_close(torch.func.debug_unwrap(seen[0]), expected)


def test_squares_have_the_gradient_of_their_penalty():
    squared = torch.rand(5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    for target, one_sided in ((0.0, False), (0.5, False), (0.5, True)):
        assert torch.autograd.gradcheck(lambda x: penalty(x, target, one_sided), squared)
        assert torch.autograd.gradgradcheck(lambda x: penalty(x, target, one_sided), squared)


def test_lazily_it_is_measured_in_one_step_of_so_many_and_that_many_times():
    steps = {every: small.trainer(override(small.MLP,
                                           ["gradient_penalty.weight=1",
                                            f"gradient_penalty.every={every}"])) for every in (1, 3)}
    for trainer in steps.values():
        trainer.step()
    length = {every: trainer.sums[0, trainer.names.index("gradient_length")].item() for every, trainer in steps.items()}
    assert length[3] == pytest.approx(3 * length[1])
    lazy = steps[3]
    lazy.sums.zero_()
    lazy.step()
    values = dict(zip(lazy.names, lazy.sums[0].tolist()))
    assert values["gradient_length"] == 0 < values["unlabelled_loss"]
    assert [bool(lazy.gan.program(step).resting) for step in range(7)] == [False, True, True] * 2 + [False]


def test_at_generated_images_their_number_counts():
    """R2: of a judgement whose gradient is the image's double, at five generated images."""
    class Square:
        def __call__(self, x, context):
            logits = x.square().flatten(1).sum(1, keepdim=True)
            return logits, logits

    given = view(torch.ones(6, dtype=torch.float64))._replace(players={"discriminator": Square()})
    term = GradientPenalty(weight=1, at="generated", target=0).term("discriminator", given)
    expected = (2 * given.images["generated"]).square().sum((1, 2, 3)).mean()
    torch.testing.assert_close(term.loss, expected)
