"""Lanes: stacking and unstacking, and a function of every lane against a loop."""

from typing import NamedTuple

import pytest
import torch
from torch import nn

import small
from ssgan.training.lanes import Stack, over_lanes
from ssgan.models.weight_norm import NormalisedProduct, WeightNorm


def modules(count: int) -> list[nn.Sequential]:
    random = torch.Generator().manual_seed(0)
    return [nn.Sequential(WeightNorm(4, 3, 1.0, random), nn.Tanh(), WeightNorm(3, 2, 1.0, random, train_scale=True)).double() for _ in range(count)]


def some(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("lanes", [1, 3])
def test_a_stack_is_flat_and_gives_every_lane_back(lanes):
    originals, stack = modules(lanes), Stack(modules(lanes))
    assert stack.flat.shape == (lanes, 4 * 3 + 3 + 3 * 2 + 2 + 2) and not stack.flat.requires_grad
    for lane, module in enumerate(originals):
        state = stack.state(lane, stack.flat)
        assert state.keys() == module.state_dict().keys()
        for name, value in module.state_dict().items():
            assert state[name].dtype == torch.float32
            torch.testing.assert_close(state[name], value.float(), rtol=0, atol=0)
        module.load_state_dict(state)


def test_a_state_is_a_copy():
    stack = Stack(modules(2))
    state = stack.state(0, stack.flat.float())
    before = {name: value.clone() for name, value in state.items()}
    stack.flat.zero_()
    for value in stack.fixed.values():
        value.zero_()
    assert all(torch.equal(state[name], value) for name, value in before.items())


def test_views_share_the_flat_tensor_and_its_gradient():
    stack = Stack(modules(2))
    leaf = stack.flat.clone().requires_grad_()
    views = stack.views(leaf)
    assert torch.equal(torch.cat([value.flatten(1) for value in views.values()], 1), leaf)
    loss = sum(((i + 1) * value).sum() for i, value in enumerate(views.values()))
    gradient, = torch.autograd.grad(loss, leaf)
    assert gradient.tolist() == [[i + 1.0 for i, size in enumerate(stack.sizes) for _ in range(size)]] * 2


def test_tensors_are_the_parameters_and_the_buffers_in_one_type():
    stack = Stack(modules(2))
    tensors = stack.tensors(stack.flat.bfloat16())
    assert set(tensors) == set(modules(1)[0].state_dict()) and all(value.dtype == torch.bfloat16 for value in tensors.values())
    assert stack.fixed["0.scale"].dtype == torch.float64


def test_moving_changes_the_type_of_everything():
    stack = Stack(modules(2)).to(torch.device("cpu"), torch.float32)
    assert stack.flat.dtype == stack.fixed["0.scale"].dtype == torch.float32


@pytest.mark.parametrize("lanes", [1, 3])
def test_calls_and_gradients_are_those_of_each_module(lanes):
    originals, stack, x = modules(lanes), Stack(modules(lanes)), some(lanes, 5, 4)
    leaf = stack.flat.clone().requires_grad_()
    y = over_lanes(stack.call, stack.tensors(leaf), x)
    gradient, = torch.autograd.grad(y.square().sum(), leaf)
    for lane, module in enumerate(originals):
        torch.testing.assert_close(y[lane], module(x[lane]), rtol=0, atol=1e-12)
        expected = torch.autograd.grad(module(x[lane]).square().sum(), list(module.parameters()))
        torch.testing.assert_close(gradient[lane], torch.cat([g.flatten() for g in expected]), rtol=0, atol=1e-11)


def test_a_call_with_other_tensors_knows_nothing_of_the_one_before():
    stack, x = Stack(modules(2)), some(2, 5, 4)
    first = over_lanes(stack.call, stack.tensors(stack.flat), x)
    over_lanes(stack.call, stack.tensors(2 * stack.flat.flip(0)), x)
    stack.call({name: value[1] for name, value in stack.tensors(stack.flat).items()}, x[1])
    assert torch.equal(over_lanes(stack.call, stack.tensors(stack.flat), x), first)


def convolutions() -> nn.Sequential:
    random = torch.Generator().manual_seed(0)
    return nn.Sequential(WeightNorm(2, 3, 1.0, random, kernel=3, padding=1, train_scale=True), nn.Flatten(), WeightNorm(12, 2, 1.0, random)).double()


@pytest.mark.parametrize("trained", [True, False])
@pytest.mark.parametrize("lanes", [1, 2])
def test_the_passes_of_a_loss_share_what_depends_on_the_weights_alone(lanes, trained):
    module, stack, x = convolutions(), Stack([convolutions() for _ in range(lanes)]), some(lanes, 5, 2, 2, 2)
    leaf = stack.flat.clone().requires_grad_(trained)
    x.requires_grad_()

    def loss(tensors, x):
        with stack.of(tensors) as module:
            with torch.no_grad():
                first = module(x)
            return (module(x) - first / 2).square().sum() + module(2 * x).sum()

    losses = over_lanes(loss, stack.tensors(leaf), x)
    found = torch.autograd.grad(losses.sum(), [x, leaf] if trained else [x])
    for lane in range(lanes):
        alone = x[lane].detach().requires_grad_()
        expected = (module(alone) - module(alone).detach() / 2).square().sum() + module(2 * alone).sum()
        torch.testing.assert_close(losses[lane], expected, rtol=1e-12, atol=1e-12)
        of_x, *of_weights = torch.autograd.grad(expected, [alone, *module.parameters()])
        torch.testing.assert_close(found[0][lane], of_x, rtol=1e-11, atol=1e-11)
        if trained:
            torch.testing.assert_close(found[1][lane], torch.cat([g.flatten() for g in of_weights]), rtol=1e-11, atol=1e-11)


def test_weights_that_change_in_place_are_seen_after_a_loss_also_one_that_failed():
    stack, x = Stack([convolutions()]), some(5, 2, 2, 2)
    tensors = {name: value[0] for name, value in stack.tensors(stack.flat).items()}
    with pytest.raises(RuntimeError), stack.of(tensors) as module:
        module(x[:, :1])
    before = stack.call(tensors, x)
    stack.flat.mul_(torch.linspace(1, 2, stack.flat.shape[1], dtype=torch.float64))
    changed = convolutions()
    changed.load_state_dict(tensors)
    torch.testing.assert_close(stack.template(x), changed(x), rtol=0, atol=1e-12)
    torch.testing.assert_close(stack.call(tensors, x), changed(x), rtol=0, atol=1e-12)
    assert not torch.allclose(before, changed(x))


class Pair(NamedTuple):
    first: torch.Tensor
    second: torch.Tensor | None


@pytest.mark.parametrize("lanes", [1, 3])
def test_arguments_and_results_may_be_nested_and_none(lanes):
    x, y = some(lanes, 2, 3), some(lanes, 3)

    def function(pair, table, nothing):
        assert isinstance(pair, Pair) and pair.second is None and nothing is None
        assert pair.first.shape == (2, 3) and table["y"][0].shape == (3,)
        return pair.first @ table["y"][0], {"sum": (pair.first.sum(), table["y"][0])}

    product, rest = over_lanes(function, Pair(x, None), {"y": (y,)}, None)
    torch.testing.assert_close(product, torch.stack([a @ b for a, b in zip(x, y)]))
    torch.testing.assert_close(rest["sum"][0], x.sum((1, 2)))
    assert torch.equal(rest["sum"][1], y)


@pytest.mark.parametrize("lanes", [1, 2])
def test_the_hand_written_backward_serves_one_lane_and_several(monkeypatch, lanes):
    """A batched tensor says that it wants no gradient, so whether weights are trained is told and not asked."""
    calls, plain = [], NormalisedProduct.backward
    monkeypatch.setattr(NormalisedProduct, "backward", staticmethod(lambda ctx, *gradients: calls.append(1) or plain(ctx, *gradients)))
    trainer = small.trainer(small.MLP, seeds=tuple(range(lanes)))
    trainer.step()
    layers = len(small.MLP.model.widths) + 1
    assert len(calls) == layers + 1  # the discriminator's, and the generator's output
