"""Lanes: stacking and unstacking, and a function of every lane against a loop."""

from typing import NamedTuple

import pytest
import small
import torch
from torch import nn

from ssgan.models.weight_norm import NormalisedProduct, WeightNorm
from ssgan.training.lanes import over_lanes, stacked, tree_zip


def modules(count: int) -> list[nn.Sequential]:
    random = torch.Generator().manual_seed(0)
    return [nn.Sequential(WeightNorm(4, 3, 1.0, random), nn.Tanh(),
                          WeightNorm(3, 2, 1.0, random, train_scale=True)).double() for _ in range(count)]


def some(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("lanes", [1, 3])
def test_a_stack_is_flat_and_gives_every_lane_back(lanes):
    originals, (layout, flat, buffers) = modules(lanes), stacked(modules(lanes))
    assert flat.shape == (lanes, 4 * 3 + 3 + 3 * 2 + 2 + 2) and not flat.requires_grad
    for lane, module in enumerate(originals):
        state = layout.lane(lane, flat, buffers)
        assert state.keys() == module.state_dict().keys()
        for name, value in module.state_dict().items():
            assert state[name].dtype == torch.float32
            torch.testing.assert_close(state[name], value.float(), rtol=0, atol=0)
        module.load_state_dict(state)


def test_a_lanes_state_is_a_copy():
    layout, flat, buffers = stacked(modules(2))
    state = layout.lane(0, flat.float(), buffers)
    before = {name: value.clone() for name, value in state.items()}
    flat.zero_()
    for value in buffers.values():
        value.zero_()
    assert all(torch.equal(state[name], value) for name, value in before.items())


def test_views_share_the_flat_tensor_and_its_gradient():
    layout, flat, _ = stacked(modules(2))
    leaf = flat.clone().requires_grad_()
    views = layout.views(leaf)
    assert torch.equal(torch.cat([value.flatten(1) for value in views.values()], 1), leaf)
    loss = sum(((i + 1) * value).sum() for i, value in enumerate(views.values()))
    gradient, = torch.autograd.grad(loss, leaf)
    assert gradient.tolist() == [[i + 1.0 for i, size in enumerate(layout.sizes) for _ in range(size)]] * 2


@pytest.mark.parametrize("joined", [True, False])
def test_leaves_share_the_memory_and_their_gradients_are_gathered_as_the_flat_one(joined):
    layout, flat, _ = stacked(modules(2))
    leaves = layout.leaves(flat)
    flat.mul_(2)
    gradients = torch.autograd.grad(sum(value.square().sum() for value in leaves.values()), tuple(leaves.values()))
    torch.testing.assert_close(layout.gather(gradients, flat, joined=joined), 2 * flat, rtol=0, atol=0)


def test_tensors_are_the_parameters_and_the_buffers_in_one_type():
    layout, flat, buffers = stacked(modules(2))
    tensors = layout.tensors(flat.bfloat16(), buffers)
    assert set(tensors) == set(modules(1)[0].state_dict())
    assert all(value.dtype == torch.bfloat16 for value in tensors.values())
    assert buffers["0.scale"].dtype == torch.float64


@pytest.mark.parametrize("lanes", [1, 3])
def test_calls_and_gradients_are_those_of_each_module(lanes):
    originals, (layout, flat, buffers), x = modules(lanes), stacked(modules(lanes)), some(lanes, 5, 4)
    leaf = flat.clone().requires_grad_()
    y = over_lanes(layout.call, layout.tensors(leaf, buffers), x)
    gradient, = torch.autograd.grad(y.square().sum(), leaf)
    for lane, module in enumerate(originals):
        torch.testing.assert_close(y[lane], module(x[lane]), rtol=0, atol=1e-12)
        expected = torch.autograd.grad(module(x[lane]).square().sum(), list(module.parameters()))
        torch.testing.assert_close(gradient[lane], torch.cat([g.flatten() for g in expected]), rtol=0, atol=1e-11)


def test_a_call_with_other_tensors_knows_nothing_of_the_one_before():
    (layout, flat, buffers), x = stacked(modules(2)), some(2, 5, 4)
    first = over_lanes(layout.call, layout.tensors(flat, buffers), x)
    over_lanes(layout.call, layout.tensors(2 * flat.flip(0), buffers), x)
    layout.call({name: value[1] for name, value in layout.tensors(flat, buffers).items()}, x[1])
    assert torch.equal(over_lanes(layout.call, layout.tensors(flat, buffers), x), first)


def convolutions() -> nn.Sequential:
    random = torch.Generator().manual_seed(0)
    return nn.Sequential(WeightNorm(2, 3, 1.0, random, kernel=3, padding=1, train_scale=True), nn.Flatten(),
                         WeightNorm(12, 2, 1.0, random)).double()


@pytest.mark.parametrize("trained", [True, False])
@pytest.mark.parametrize("lanes", [1, 2])
def test_the_passes_of_a_loss_share_what_depends_on_the_weights_alone(lanes, trained):
    module, x = convolutions(), some(lanes, 5, 2, 2, 2)
    layout, flat, buffers = stacked([convolutions() for _ in range(lanes)])
    leaf = flat.clone().requires_grad_(trained)
    x.requires_grad_()

    def loss(tensors, x):
        with layout.of(tensors) as module:
            with torch.no_grad():
                first = module(x)
            return (module(x) - first / 2).square().sum() + module(2 * x).sum()

    losses = over_lanes(loss, layout.tensors(leaf, buffers), x)
    found = torch.autograd.grad(losses.sum(), [x, leaf] if trained else [x])
    for lane in range(lanes):
        alone = x[lane].detach().requires_grad_()
        expected = (module(alone) - module(alone).detach() / 2).square().sum() + module(2 * alone).sum()
        torch.testing.assert_close(losses[lane], expected, rtol=1e-12, atol=1e-12)
        of_x, *of_weights = torch.autograd.grad(expected, [alone, *module.parameters()])
        torch.testing.assert_close(found[0][lane], of_x, rtol=1e-11, atol=1e-11)
        if trained:
            torch.testing.assert_close(found[1][lane], torch.cat([g.flatten() for g in of_weights]), rtol=1e-11,
                                       atol=1e-11)


def test_weights_that_change_in_place_are_seen_after_a_loss_also_one_that_failed():
    (layout, flat, buffers), x = stacked([convolutions()]), some(5, 2, 2, 2)
    tensors = {name: value[0] for name, value in layout.tensors(flat, buffers).items()}
    with pytest.raises(RuntimeError), layout.of(tensors) as module:
        module(x[:, :1])
    before = layout.call(tensors, x)
    flat.mul_(torch.linspace(1, 2, flat.shape[1], dtype=torch.float64))
    changed = convolutions()
    changed.load_state_dict(tensors)
    torch.testing.assert_close(layout.template(x), changed(x), rtol=0, atol=1e-12)
    torch.testing.assert_close(layout.call(tensors, x), changed(x), rtol=0, atol=1e-12)
    assert not torch.allclose(before, changed(x))


def test_trees_of_one_shape_are_walked_by_place():
    found = tree_zip(lambda x, y: x + y, {"a": (torch.ones(2),), "b": {}}, {"b": {}, "a": (torch.ones(2),)})
    assert found["a"][0].tolist() == [2, 2] and found["b"] == {}


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
def test_a_backward_pass_written_by_hand_serves_one_lane(monkeypatch, lanes):
    """Several take plain operations, which are faster there; a batched tensor would not say whether it is trained."""
    calls, plain = [], NormalisedProduct.backward
    monkeypatch.setattr(NormalisedProduct, "backward",
                        staticmethod(lambda ctx, *gradients: calls.append(1) or plain(ctx, *gradients)))
    trainer = small.trainer(small.MLP, seeds=tuple(range(lanes)))
    trainer.step()
    layers = len(small.MLP.model.widths) + 1
    assert len(calls) == (layers + 1 if lanes == 1 else 0)  # the discriminator's, and the generator's output
