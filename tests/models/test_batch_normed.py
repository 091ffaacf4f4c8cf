"""Batch norm and virtual batch norm: by hand, what leaks from row to row, and what is kept for evaluation and export.
(Their steps: tests/technique_cases.py.)
"""

import numpy as np
import pytest
import small
import torch
from torch import Tensor
from torch.nn import functional

from ssgan.config import override
from ssgan.errors import Mistake
from ssgan.export import write as export
from ssgan.export.load import open_model
from ssgan.export.model_card import card_of
from ssgan.models import couples_batch
from ssgan.models.batch_normed import BatchNormed
from ssgan.models.context import Context
from ssgan.training.trained_model import TrainedModel

BATCH = ["model.norm=batch", "feature_matching.weight=0", "adversarial.weight=1"]
VIRTUAL = ["model.norm=virtual", "model.reference_images=7"]
JOINT = ["model.norm=batch", "model.norm_batches=joint"]
NORMS = {"batch": BATCH, "joint": JOINT, "virtual": VIRTUAL, "virtual, itself": [*VIRTUAL, "model.reference_itself=true"]}
FAMILIES = {"mlp": small.MLP, "conv": small.CONV}
RECIPES = {f"{family}, {norm}": override(base, settings)
           for family, base in FAMILIES.items() for norm, settings in NORMS.items()}
every = pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)


def some(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def layer(kernel: int | None = None, **settings) -> BatchNormed:
    its = BatchNormed(3, 5, 1.0, torch.Generator().manual_seed(0), kernel=kernel, padding=(kernel or 1) // 2,
                      **settings).double()
    with torch.no_grad():
        for parameter in its.parameters():
            parameter.add_(0.3 * some(*parameter.shape, seed=parameter.numel()))
    return its


@pytest.mark.parametrize(("kernel", "shape"), [(None, (9, 3)), (3, (9, 3, 4, 5))])
def test_over_its_own_batch_it_is_torchs(kernel, shape):
    its, x = layer(kernel), some(*shape)
    y = functional.conv2d(x, its.weight, padding=1) if kernel else x @ its.weight.T
    expected = functional.batch_norm(y, None, None, its.gain, its.shift, training=True, eps=1e-5)
    torch.testing.assert_close(its(x), expected)
    assert couples_batch(its) and len(list(layer(gain=False).parameters())) == 2


@pytest.mark.parametrize("itself", [False, True])
@pytest.mark.parametrize(("kernel", "shape"), [(None, (3,)), (3, (3, 4, 5))])
def test_no_other_row_of_the_batch_is_in_a_rows_statistics(kernel, shape, itself):
    its, reference, x = layer(kernel, references=4, itself=itself), some(4, *shape, seed=2), some(6, *shape)
    assert not couples_batch(its)
    whole = its(torch.cat([reference, x]))
    for i in range(6):
        torch.testing.assert_close(its(torch.cat([reference, x[i:i + 1]]))[4], whole[4 + i])
    others = its(torch.cat([reference, x[:1], 100 * x[1:]]))
    torch.testing.assert_close(others[:5], whole[:5])
    moved = its(torch.cat([reference + 1e-3 * reference.square(), x]))
    assert (moved - whole)[4:].abs().max() > 1e-6, "the reference counts"


def test_an_image_counts_itself_as_one_more_of_the_reference():
    its = layer(3, references=4, itself=True)
    reference, x = some(4, 3, 4, 5, seed=2), some(1, 3, 4, 5)
    y = functional.conv2d(torch.cat([reference, x]), its.weight, padding=1)
    expected = functional.batch_norm(y, None, None, its.gain, its.shift, training=True, eps=1e-5)
    torch.testing.assert_close(its(torch.cat([reference, x]))[4], expected[4])


@pytest.mark.parametrize("kernel", [None, 1])
def test_one_value_a_unit_is_its_own_mean(kernel):
    """Of a step with one labelled image, which torch's own batch norm refuses."""
    its, x = layer(kernel), some(1, 3) if kernel is None else some(1, 3, 1, 1)
    found = its(x)
    torch.testing.assert_close(found.flatten(), its.shift.detach())
    assert torch.autograd.grad(found.sum(), its.weight)[0].isfinite().all()


@pytest.mark.parametrize("settings", [{}, {"references": 3}, {"references": 3, "itself": True}])
def test_gradients_are_those_of_finite_differences(settings):
    its = layer(**settings)
    assert torch.autograd.gradcheck(lambda x, *p: torch.func.functional_call(
        its, dict(zip(("weight", "gain", "shift"), p)), (x,)), (
            some(6, 3).requires_grad_(), *(p.detach().clone().requires_grad_() for p in its.parameters())))


def test_settled_statistics_are_kept_and_saved():
    its, x, other = layer(), some(9, 3), some(5, 3, seed=4)
    its.settling = True
    wanted = its(x)
    its.settling = False
    assert not couples_batch(its)
    torch.testing.assert_close(torch.cat([its(row) for row in x.split(2)]), wanted)
    again = layer()
    again.load_state_dict(its.state_dict())
    assert torch.equal(again(other), its(other))
    again.load_state_dict(layer().state_dict())
    assert couples_batch(again)


@pytest.fixture(scope="module")
def trained() -> dict[str, TrainedModel]:
    """By recipe, after three steps."""
    found = {}
    for name, recipe in RECIPES.items():
        trainer = small.trainer(recipe, small.FP32)
        for _ in range(3):
            trainer.step()
        assert trainer.failures() == []
        found[name] = TrainedModel.of_trainer(trainer)
    return found


@pytest.mark.parametrize("name", RECIPES)
def test_an_image_alone_is_answered_as_in_any_company(trained, name):
    answer, x = trained[name].classifier(), small.dataset().test.gather(torch.arange(20))
    whole = answer(x)
    for size in (1, 7):
        torch.testing.assert_close(torch.cat([answer(part) for part in x.split(size)]), whole, rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("kind", ["onnx", "pt2"])
def test_what_is_exported_answers_as_the_trained_one(trained, name, kind, tmp_path):
    model, path, pixels = trained[name], tmp_path / f"x.{kind}", small.dataset().test.pixels.numpy()
    assert export.export_classifier(model.discriminator(), card_of(model), kind, path, pixels).sound
    wanted = model.classifier()(small.dataset().test.gather(torch.arange(20))).numpy()
    for size in (1, 20):
        answers = np.concatenate([open_model(path).answer(pixels[i: i + size])[0] for i in range(0, 20, size)])
        np.testing.assert_allclose(answers, wanted, rtol=0, atol=1e-4)


@every
def test_looks_at_validation_images_answer_as_the_saved_classifier(recipe):
    trainer = small.trainer(recipe, small.FP32, (0, 1))
    trainer.step()
    x = torch.stack([small.dataset().test.gather(torch.arange(20))] * 2)
    found = trainer.averaged_logits(x)
    for lane in range(2):
        torch.testing.assert_close(found[lane], TrainedModel.of_trainer(trainer, lane).classifier()(x[lane]),
                                   rtol=0, atol=1e-5)


@pytest.mark.parametrize("norm", ["batch", "virtual"])
def test_a_resumed_training_is_the_same_bit_for_bit(norm):
    through, first, second = (small.trainer(RECIPES[f"mlp, {norm}"], small.FP32, (0, 1)) for _ in range(3))
    for trainer, steps in ((through, 3), (first, 2)):
        for _ in range(steps):
            trainer.step()
    second.restore(first.checkpoint())
    second.step()
    for a, b in zip(small.weights_and_averages(through), small.weights_and_averages(second)):
        assert torch.equal(a, b) and a.isfinite().all()


@pytest.mark.parametrize("base", FAMILIES.values(), ids=FAMILIES)
def test_a_joint_batch_is_of_unlabelled_and_generated_images_in_both_players_updates(base):
    apart, joint = (small.trainer(override(base, settings)).gan.passes for settings in (BATCH, JOINT))
    assert list(apart["discriminator"].values()) == [("labelled",), ("unlabelled",), ("generated",)]
    assert list(apart["generator"].values()) == [("unlabelled",), ("generated",)]
    assert set(joint["discriminator"].values()) == {("labelled",), ("unlabelled", "generated")}
    assert list(joint["generator"].values()) == [("unlabelled", "generated")]
    without = small.trainer(override(base, [*JOINT, "gan.weight=0", "entropy.weight=1"])).gan.passes["discriminator"]
    assert set(without.values()) == {("labelled",), ("unlabelled",)}


def test_the_means_that_feature_matching_matches_differ_in_a_joint_batch_alone():
    its, real, fake = layer(), some(8, 3), some(6, 3, seed=2) + 1
    torch.testing.assert_close(its(real).mean(0), its(fake).mean(0))
    joint = its(torch.cat([real, fake]))
    assert (joint[:8].mean(0) - joint[8:].mean(0)).abs().max() > 0.2


def test_the_reference_batch_is_of_images_that_the_recipe_may_see():
    recipe = override(small.MLP, [*VIRTUAL, "model.reference_images=11", "gan.weight=0"])
    trainer, data = small.trainer(recipe), small.dataset()
    labelled = data.train.gather(torch.from_numpy(small.split(recipe, data).labelled))
    reference = trainer.state["players"]["discriminator"]["buffers"]["reference"][0].float()
    assert len(labelled) == 8 and reference.shape == (11, 2, 6, 8), "again and again, where there are fewer"
    assert all(any(torch.allclose(image, each) for each in labelled) for image in reference)


@every
def test_noise_is_drawn_for_the_reference_batch_too(recipe):
    module = TrainedModel.of_trainer(small.trainer(recipe)).discriminator()
    rows = {shape[0] for shape in module.noise_shapes(5)}
    assert rows == {12 if recipe.model.norm == "virtual" else 5}
    _, features = module(torch.rand(5, 2, 6, 8), Context())
    assert len(features) == 5


@pytest.mark.parametrize(("settings", "said"), [
    ([*BATCH, "gradient_penalty.weight=1"], r"\[gradient_penalty\] and model.norm = batch cannot be combined"),
    (["model.norm=batch"], r"\[feature_matching\] and model.norm = batch cannot be combined: unlabelled and generated"),
    ([*BATCH, "manifold.weight=1"], r"\[manifold\] and model.norm = batch cannot be combined"),
    ([*JOINT, "feature_matching.weight=0", "pull_away.weight=1"], "at which no loss of the generator looks"),
    ([*BATCH, "train.labelled_share=0.1"], "labelled images of a step, of which there is one"),
    ([*VIRTUAL, "model.minibatch_kernels=3"], "cannot be combined: the reference batch would be among the images")])
def test_what_it_cannot_be_combined_with_is_a_mistake_before_training(settings, said):
    with pytest.raises(Mistake, match=said):
        small.trainer(override(small.MLP, settings))
