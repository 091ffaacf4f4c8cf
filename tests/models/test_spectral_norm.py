"""Spectral norm against singular values, and what follows the weights: before an update, in averages, and handed over.
"""

import pytest
import small
import torch
from torch.nn import functional

from ssgan.config import override
from ssgan.models.context import Context
from ssgan.models.fold import fold
from ssgan.models.spectral_norm import SpectralNorm
from ssgan.training import checkpoint as checkpoints
from ssgan.training.lanes import tree_leaves
from ssgan.training.trained_model import TrainedModel
from ssgan.training.trainer import Trainer

LAYERS = {"dense": ({}, (16, 5)), "3x3": ({"kernel": 3, "padding": 1}, (16, 5, 7, 6)),
          "3x3, stride 2": ({"kernel": 3, "padding": 1, "stride": 2}, (16, 5, 7, 6))}
RECIPES = {family: override(recipe, ["model.norm=spectral"])
           for family, recipe in (("mlp", small.MLP), ("conv", small.CONV))}
layers = pytest.mark.parametrize("name", LAYERS)
families = pytest.mark.parametrize("family", RECIPES)


def make(settings: dict, steps: int = 200) -> SpectralNorm:
    """A layer from 5 to 4 whose u is settled, and whose bias is not that of its birth."""
    random = torch.Generator().manual_seed(0)
    layer = SpectralNorm(5, 4, 0.3, random, **settings).double()
    with torch.no_grad():
        layer.bias.copy_(torch.randn(4, generator=random))
        layer.u.copy_(layer.advance(steps)["u"])
    return layer


def some(shape: tuple[int, ...]) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def by_singular_values(layer: SpectralNorm, weight: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    weight = weight / torch.linalg.svdvals(weight.flatten(1))[0]
    if weight.dim() == 2:
        return functional.linear(x, weight, layer.bias)
    return functional.conv2d(x, weight, layer.bias, layer.stride, layer.padding)


@layers
def test_settled_output_and_gradient_are_those_of_the_largest_singular_value(name):
    settings, shape = LAYERS[name]
    layer, x = make(settings), some(shape)
    weight = layer.weight.detach().clone().requires_grad_()
    expected = by_singular_values(layer, weight, x)
    torch.testing.assert_close(layer(x), expected)
    found, = torch.autograd.grad(layer(x).square().sum(), layer.weight)
    wanted, = torch.autograd.grad(expected.square().sum(), weight)
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-8)


@layers
def test_folded_and_prepared_compute_the_same(name):
    settings, shape = LAYERS[name]
    layer, x = make(settings), some(shape)
    weight, bias = layer.folded()
    dense = weight.dim() == 2
    y = functional.linear(x, weight, bias) if dense else functional.conv2d(x, weight, bias, layer.stride, layer.padding)
    layer.prepare(True)
    prepared = layer(x)
    layer.forget()
    assert torch.equal(y, layer(x)) and torch.equal(prepared, y)


def test_advancing_changes_nothing_in_place_and_comes_nearer_to_the_first_singular_vector():
    layer = make({}, 0)
    first, before = torch.linalg.svd(layer.weight.detach())[0][:, 0], layer.u.clone()
    nearness = [abs(layer.advance(steps)["u"] @ first).item() for steps in range(6)]
    assert torch.equal(layer.u, before) and nearness == sorted(nearness) and nearness[-1] > nearness[0]


@layers
def test_after_the_initialisation_every_unit_has_mean_0(name):
    settings, shape = LAYERS[name]
    layer, x = make(settings, 0), some(shape) + 1
    y = layer.initialise(x)
    torch.testing.assert_close(y.transpose(0, 1).flatten(1).mean(1), torch.zeros(4).double(), rtol=0, atol=1e-12)
    assert torch.equal(y, layer(x))
    assert torch.linalg.svdvals(layer.folded()[0].flatten(1))[0].item() == pytest.approx(1, rel=1e-3)


def test_images_have_their_gradient_twice_and_lanes_are_layers():
    layer, x = make({}), some((6, 5)).requires_grad_()
    assert torch.autograd.gradgradcheck(lambda x: layer(x).square(), x)
    weights = torch.stack([layer.weight.detach(), 2 * layer.weight.detach()]).requires_grad_()
    y = torch.vmap(lambda w: torch.func.functional_call(layer, {"weight": w}, (x.detach(),)))(weights)
    torch.testing.assert_close(y[0], y[1])
    gradients, = torch.autograd.grad(y.square().sum(), weights)
    torch.testing.assert_close(gradients[0], 2 * gradients[1])


def run(trainer: Trainer, steps: int) -> Trainer:
    for _ in range(steps):
        trainer.step()
    return trainer


@families
@pytest.mark.parametrize("resolved", [small.FP32, small.BF16], ids=["fp32", "bf16"])
def test_u_is_resumed_bit_for_bit_and_a_bad_lane_leaves_the_other(tmp_path, family, resolved):
    whole, stopped, resumed, struck = (small.trainer(RECIPES[family], resolved, (3, 4)) for _ in range(4))
    checkpoints.save(tmp_path / "c.pt", run(stopped, 3).checkpoint())
    resumed.restore(checkpoints.load(tmp_path / "c.pt"))
    assert all(map(torch.equal, tree_leaves(run(resumed, 2).state), tree_leaves(run(whole, 5).state)))
    run(struck, 1)
    small.spoil(struck, 1)
    assert all(torch.equal(a[0], b[0])
               for a, b in zip(tree_leaves(run(struck, 4).state), tree_leaves(whole.state)) if a.dim())


@families
def test_averaged_weights_get_their_own_u_everywhere(family):
    """The monitor, the classifier that is handed over, and its folded form answer alike; their weights have a largest
    singular value of 1.
    """
    trainer = run(small.trainer(override(RECIPES[family], ["train.averaging_rate=0.3"]), small.FP32, (3, 4)), 5)
    model, x = TrainedModel.of_trainer(trainer, 1), trainer.images.gather(torch.arange(8))
    expected = trainer.averaged_logits(x.expand(2, *x.shape))[1]
    torch.testing.assert_close(model.classifier()(x), expected, rtol=1e-4, atol=1e-5)
    plain = fold(model.discriminator())
    torch.testing.assert_close(plain(x, Context())[0], expected, rtol=1e-4, atol=1e-5)
    for layer in plain.hidden:
        assert torch.linalg.svdvals(layer.weight.flatten(1))[0].item() == pytest.approx(1, rel=0.02)


def test_only_weights_and_biases_are_trained():
    names = {name for name, _ in make({}).named_parameters()}
    assert names == {"weight", "bias"} and set(make({}).state_dict()) == {"weight", "bias", "u"}
