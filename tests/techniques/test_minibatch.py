"""Minibatch discrimination: its layer by loops over pairs, and one image's answer in any company. (Its steps:
tests/training/test_passes.py.)
"""

import dataclasses

import handed
import numpy as np
import pytest
import small
import torch

from ssgan.config import override
from ssgan.data.images import Images
from ssgan.errors import Mistake
from ssgan.experiments.member import Member
from ssgan.experiments.progress import Progress
from ssgan.experiments.run import Setting, run_group
from ssgan.export import write as export
from ssgan.export.load import open_model
from ssgan.export.model_card import card_of
from ssgan.models.context import Context
from ssgan.models.minibatch import MinibatchLayer
from ssgan.training.trained_model import TrainedModel

KERNELS = ["model.minibatch_kernels=4", "model.minibatch_dimensions=3"]
RECIPE, CONV = override(small.MLP, KERNELS), override(small.CONV, KERNELS)
BOTH = pytest.mark.parametrize("recipe", [RECIPE, CONV], ids=["mlp", "conv"])


both_distances = pytest.mark.parametrize("distance", ["l1", "l2"])


def layer(distance: str = "l1") -> MinibatchLayer:
    made = MinibatchLayer(6, 4, 3, 1.0, torch.Generator().manual_seed(0), distance).double()
    with torch.no_grad():
        made.scale.uniform_(0.3, 0.8, generator=torch.Generator().manual_seed(1))
        made.bias.uniform_(generator=torch.Generator().manual_seed(2))
    return made


def some(*shape: int, seed: int = 3) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_pairs(its: MinibatchLayer, x: torch.Tensor, others: torch.Tensor | None = None, power: int = 1) -> torch.Tensor:
    """The layer's answers, kernel by kernel and pair by pair; where `others` are given, with those. The distance is the
    root of that power.
    """
    found = torch.zeros(len(x), 4, dtype=torch.float64)
    for i, one in enumerate(x):
        near = [other for j, other in enumerate(x) if i != j] if others is None else list(others)
        for b in range(4):
            rows = [d * 4 + b for d in range(3)]
            total = 0.0
            for other in near:
                apart = 0.0
                for row in rows:
                    v = its.direction[row]
                    apart += abs(its.scale[row] * (v @ one - v @ other) / (v @ v).sqrt()).item() ** power
                total += np.exp(-apart ** (1 / power))
            found[i, b] = total * 99 / len(near) + its.bias[b].item()
    return torch.cat((x, found), 1)


@both_distances
@pytest.mark.parametrize("n", [2, 5])
def test_it_is_the_sum_over_pairs(n, distance):
    its, x = layer(distance), some(n, 6)
    torch.testing.assert_close(its(x), by_pairs(its, x, power=int(distance[1])), rtol=0, atol=1e-11)


def test_over_a_batch_of_100_it_is_the_papers_sum():
    its, x = layer(), some(100, 6)
    points = its.points(x).permute(1, 2, 0)  # [n, b, d]
    near = torch.stack([torch.exp(-(points - one).abs().sum(2)).sum(0) - 1 for one in points])
    torch.testing.assert_close(its(x)[:, 6:], near + its.bias)


@both_distances
def test_twice_the_same_image_is_as_near_as_can_be_with_finite_gradients_of_both_orders(distance):
    its, x = layer(distance), some(1, 6).repeat(2, 1).requires_grad_()
    y = its(x)
    torch.testing.assert_close(y[:, 6:], (99 + its.bias).expand(2, 4))
    first, = torch.autograd.grad(y.sum(), x, create_graph=True)
    assert first.isfinite().all() and torch.autograd.grad(first.square().sum(), its.direction)[0].isfinite().all()
    assert torch.equal(its(x[:1])[:, 6:], its.bias[None])


@both_distances
def test_gradients_and_theirs_are_those_of_finite_differences_in_lanes_too(distance):
    its, x = layer(distance), some(4, 6).requires_grad_()

    def of(x, *tensors):
        return torch.func.functional_call(its, dict(zip(("direction", "scale", "bias"), tensors)), (x,))

    inputs = (x, *(value.detach().requires_grad_() for value in (its.direction, its.scale, its.bias)))
    assert torch.autograd.gradcheck(of, inputs) and torch.autograd.gradgradcheck(of, inputs)
    lanes = tuple(torch.stack([value.detach(), value.detach() * 1.1]).requires_grad_() for value in inputs)
    torch.testing.assert_close(torch.vmap(of)(*lanes)[1], of(*(value[1] for value in lanes)))
    assert torch.autograd.gradcheck(torch.vmap(of), lanes, fast_mode=True)


@both_distances
@pytest.mark.parametrize("n", [10, 201])
def test_the_initialisation_gives_a_mean_of_0_and_a_nearest_image_at_2(n, distance):
    its, x = layer(distance), 5 * some(n, 6)
    y = its.initialise(x)
    torch.testing.assert_close(y[:, 6:].mean(0), torch.zeros(4, dtype=torch.float64), rtol=0, atol=1e-10)
    assert torch.equal(y[:, :6], x)
    nearest = []
    for batch in x.tensor_split(-(-n // 100)):
        points = its.points(batch).permute(1, 2, 0)
        apart = torch.linalg.vector_norm(points[:, None] - points[None], int(distance[1]), 3)
        nearest.append((apart + 1e9 * torch.eye(len(batch))[:, :, None]).amin(1))
    torch.testing.assert_close(torch.cat(nearest).mean(0), torch.full((4,), 2.0, dtype=torch.float64))


def test_with_a_reference_it_compares_with_that_alone():
    its, x, others = layer(), some(5, 6), some(7, 6, seed=8)
    its.refer(others)
    assert not its.couples_batch
    torch.testing.assert_close(its(x), by_pairs(its, x, others), rtol=0, atol=1e-11)
    again = layer()
    again.load_state_dict(its.state_dict())
    assert torch.equal(again(x), its(x))
    again.load_state_dict(layer().state_dict())
    assert again.couples_batch


def test_features_are_those_before_it():
    trained = TrainedModel.of_trainer(small.trainer(RECIPE))
    x = torch.rand(3, 2, 6, 8)
    module = trained.discriminator()
    _, features = module(x, Context())
    assert features.shape == (3, RECIPE.model.widths[-1]) and torch.equal(features, module.features(x, Context()))


@pytest.mark.slow
def test_compiled_lanes_are_the_eager_ones_in_fp64():
    small.need_compiler()
    recipe = override(RECIPE, ["vat.weight=0.5", "conditional.weight=0.5"])
    eager, compiled = (small.trainer(recipe, dataclasses.replace(small.FP64, compiled=each), (0, 1))
                       for each in (False, True))
    for trainer in (eager, compiled):
        for _ in range(3):
            trainer.step()
    torch.testing.assert_close(compiled.sums, eager.sums, rtol=0, atol=1e-9)


@pytest.mark.parametrize("resolved", [small.FP64, small.BF16], ids=["fp64", "bf16"])
def test_a_resumed_training_is_the_same_bit_for_bit(resolved):
    recipe = override(RECIPE, ["vat.weight=0.5", "consistency.weight=1", "consistency.start=0"])
    through, first, second = (small.trainer(recipe, resolved, (0, 1)) for _ in range(3))
    for _ in range(4):
        through.step()
    for _ in range(2):
        first.step()
    second.restore(first.checkpoint())
    for _ in range(2):
        second.step()
    for a, b in zip(small.weights_and_averages(through), small.weights_and_averages(second)):
        assert torch.equal(a, b) and a.isfinite().all()
    assert all(torch.equal(value, second.lane("discriminator", 1)[name])
               for name, value in through.lane("discriminator", 1).items())


def trained(recipe) -> tuple[TrainedModel, Images]:
    trainer = small.trainer(recipe, small.FP32)
    for _ in range(3):
        trainer.step()
    return TrainedModel.of_trainer(trainer), small.dataset().test


@BOTH
def test_an_image_alone_is_answered_as_in_any_company(recipe):
    model, images = trained(recipe)
    answer, x = model.classifier(), images.gather(torch.arange(20))
    whole = answer(x)
    for size in (1, 3, 7):
        torch.testing.assert_close(torch.cat([answer(part) for part in x.split(size)]), whole, rtol=0, atol=1e-5)
    saved = model.weights["discriminator"]["minibatch.reference"]
    assert saved.shape == (3, len(small.split(recipe, small.dataset()).unlabelled), 4)


@BOTH
@pytest.mark.parametrize("kind", ["onnx", "pt2", "mlflow"])
def test_what_is_exported_answers_as_the_trained_one_in_batches_of_any_size(recipe, kind, tmp_path):
    model, images = trained(recipe)
    path = tmp_path / {"onnx": "x.onnx", "pt2": "x.pt2", "mlflow": "x"}[kind]
    pixels = images.pixels.numpy()
    assert export.export_classifier(model.discriminator(), card_of(model), kind, path, pixels).sound
    exported, wanted = open_model(path), model.classifier()(images.gather(torch.arange(20))).numpy()
    for size in (1, 4, 20):
        answers = np.concatenate([exported.answer(pixels[i: i + size])[0] for i in range(0, 20, size)])
        np.testing.assert_allclose(answers, wanted, rtol=0, atol=1e-4)


def test_a_run_is_evaluated_as_its_saved_classifier_answers(tmp_path):
    recipe = override(handed.RECIPE, ["train.epochs=1", *KERNELS])
    setting = Setting(tmp_path / "work", None, device="cpu", progress=Progress(quiet=True))
    folder, = run_group([Member(recipe, 0, 0, "digits")], small.digits(), setting, until="evaluate")
    answer, x = TrainedModel.of_run(folder).classifier(), small.digits().test.gather(torch.arange(50))
    with np.load(folder.path / "evaluate" / "test.npz") as saved:
        np.testing.assert_allclose(torch.cat([answer(one) for one in x.split(1)]).softmax(1).numpy(),
                                   saved["probabilities"][:50], rtol=0, atol=1e-5)


def test_looks_at_validation_images_are_by_the_reference_too():
    trainer = small.trainer(RECIPE, small.FP32, (0, 1))
    trainer.step()
    x = torch.stack([small.dataset().test.gather(torch.arange(20))] * 2)
    found = trainer.averaged_logits(x)
    torch.testing.assert_close(torch.cat([trainer.averaged_logits(part) for part in x.split(1, 1)], 1), found)
    for lane in range(2):
        torch.testing.assert_close(found[lane], TrainedModel.of_trainer(trainer, lane).classifier()(x[lane]))


def test_a_recipe_that_may_see_labelled_images_alone_refers_to_those():
    recipe = override(RECIPE, ["gan.weight=0"])
    reference = small.trainer(recipe).lane("discriminator", 0)["minibatch.reference"]
    assert reference.shape[1] == recipe.labels


def test_a_lane_that_is_not_finite_leaves_the_other_as_it_is():
    sound, ill = (small.trainer(RECIPE, small.FP64, (0, 1)) for _ in range(2))
    small.weights(ill)[0] = torch.nan
    ill.state["players"]["discriminator"]["copy"][0] = torch.nan
    for trainer in (sound, ill):
        trainer.step()
        trainer.step()
    for a, b in zip(small.weights_and_averages(sound), small.weights_and_averages(ill)):
        assert torch.equal(a[1], b[1])
    assert [failure.lane for failure in ill.failures()] == [0]


@pytest.mark.parametrize(("settings", "said"), [
    (["gradient_penalty.weight=1"],
     r"\[gradient_penalty\] and model.minibatch_kernels = 4 cannot be combined: .*\n.*--set model.minibatch_kernels=0"),
    (["model.norm=batch", "model.norm_batches=joint"], "images would be compared with those of the other kind"),
    (["train.labelled_share=0.1"], "labelled images of a step, of which there is one")])
def test_what_it_cannot_be_combined_with_is_a_mistake_before_training(settings, said):
    with pytest.raises(Mistake, match=said):
        small.trainer(override(RECIPE, settings))
