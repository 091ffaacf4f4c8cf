"""Weight norm against the materialised weight, its initialisation, batch norm, softplus, noise."""

import plain_networks
import pytest
import torch
from torch.nn import functional

from ssgan.models.batch_norm import BatchNorm
from ssgan.models.context import Context
from ssgan.models.functional import Softplus, add_noise, sigmoid
from ssgan.models.plain_layer import PlainLayer
from ssgan.models.weight_norm import NormalisedProduct, RowNorm, WeightNorm, normalised_product

LAYERS = {
    "dense": ({}, (16, 5)),
    "dense, trained scale": ({"train_scale": True}, (16, 5)),
    "3x3": ({"kernel": 3, "padding": 1}, (16, 5, 7, 6)),
    "3x3, stride 2, trained scale": ({"kernel": 3, "padding": 1, "stride": 2, "train_scale": True}, (16, 5, 7, 6)),
}


def make(settings: dict, seed: int = 0, std: float = 0.3) -> WeightNorm:
    """A layer from 5 to 4 whose scale and bias are not those of its birth."""
    random = torch.Generator().manual_seed(seed)
    layer = WeightNorm(5, 4, std, random, **settings).double()
    with torch.no_grad():
        layer.scale.copy_(torch.rand(4, generator=random) + 0.5)
        layer.bias.copy_(torch.randn(4, generator=random))
    return layer


def some(shape: tuple[int, ...], seed: int = 1) -> torch.Tensor:
    return 2 * torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + 1


def materialised(tensors: dict[str, torch.Tensor], settings: dict, x: torch.Tensor) -> torch.Tensor:
    """The layer's output with its weight g v / |v| built."""
    named = {f"layer.{name}": value for name, value in tensors.items()}
    weight = plain_networks.normalised(named, "layer")
    if weight.dim() == 2:
        return plain_networks.dense(named, "layer", x)
    return functional.conv2d(x, weight, tensors["bias"], stride=settings.get("stride", 1), padding=settings["padding"])


def tensors_of(layer: WeightNorm) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone().requires_grad_() for name, value in layer.state_dict().items()}


@pytest.mark.parametrize("name", LAYERS)
def test_output_and_gradients_are_those_of_the_materialised_weight(name):
    settings, shape = LAYERS[name]
    layer, x = make(settings), some(shape).requires_grad_()
    tensors = tensors_of(layer)
    expected = materialised(tensors, settings, x)
    torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-12)

    target = some(tuple(expected.shape), 2)
    trained = dict(layer.named_parameters())
    found = torch.autograd.grad((layer(x) * target).sum(), [x, *trained.values()])
    wanted = torch.autograd.grad((expected * target).sum(), [x, *(tensors[key] for key in trained)])
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-11)


@pytest.mark.parametrize("name", LAYERS)
def test_the_same_under_vmap(name):
    settings, shape = LAYERS[name]
    layers = [make(settings, seed) for seed in range(3)]
    x = some((3, *shape))
    parameters, buffers = torch.func.stack_module_state(layers)
    stacked = {key: value.detach().requires_grad_() for key, value in (parameters | buffers).items()}
    y = torch.vmap(lambda tensors, x: torch.func.functional_call(layers[0], tensors, (x,)))(stacked, x)
    gradients = torch.autograd.grad(y.square().sum(), list(stacked.values()))
    for lane, layer in enumerate(layers):
        tensors = tensors_of(layer)
        expected = materialised(tensors, settings, x[lane])
        torch.testing.assert_close(y[lane], expected, rtol=0, atol=1e-12)
        wanted = torch.autograd.grad(expected.square().sum(), [tensors[key] for key in stacked])
        torch.testing.assert_close([g[lane] for g in gradients], list(wanted), rtol=1e-12, atol=1e-10)


@pytest.mark.parametrize("name", LAYERS)
def test_after_the_initialisation_every_unit_has_mean_0_and_variance_1(name):
    settings, shape = LAYERS[name]
    layer, x = make(settings, std=0.01), some(shape)
    direction = layer.direction.detach().clone()
    y = layer.initialise(x)
    assert torch.equal(y, layer(x)) and torch.equal(layer.direction, direction)
    units = y.transpose(0, 1).flatten(1)  # [out, rest]
    torch.testing.assert_close(units.mean(1), torch.zeros(4).double(), rtol=0, atol=1e-12)
    torch.testing.assert_close(units.var(1, correction=0), torch.ones(4).double(), rtol=0, atol=1e-12)


def test_the_initialisation_is_equations_5_and_6():
    """From scale 1 and bias 0: scale 1/sigma[t], bias -mu[t]/sigma[t], with t = v.x/|v|."""
    layer, x = WeightNorm(5, 4, 0.1, torch.Generator().manual_seed(0)).double(), some((16, 5))
    t = x @ (layer.direction / layer.direction.square().sum(1, keepdim=True).sqrt()).T.detach()
    layer.initialise(x)
    torch.testing.assert_close(layer.scale, 1 / t.std(0, correction=0))
    torch.testing.assert_close(layer.bias.detach(), -t.mean(0) / t.std(0, correction=0))


def test_a_dead_unit_keeps_its_scale_and_stays_finite():
    layer = make({})
    scale = layer.scale.clone()
    y = layer.initialise(torch.ones(16, 5).double())
    assert torch.equal(layer.scale, scale)
    torch.testing.assert_close(y, torch.zeros(16, 4).double(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("wanted", [1.0, 0.02])
def test_a_dense_layers_initialisation_goes_into_weight_and_bias(wanted):
    """Its rows keep their directions, and the outputs on x have mean 0 and the wanted deviation."""
    layer, x = PlainLayer(5, 4, 0.1, torch.Generator().manual_seed(0)).double(), some((16, 5))
    with torch.no_grad():
        layer.bias.copy_(torch.arange(4))
    before = layer.weight.detach().clone()
    y = layer.initialise(x, wanted)
    assert torch.equal(y, layer(x))
    torch.testing.assert_close(y.detach(), x @ layer.weight.detach().T + layer.bias.detach())
    torch.testing.assert_close(y.mean(0), torch.zeros(4).double(), rtol=0, atol=1e-12)
    torch.testing.assert_close(y.std(0, correction=0), torch.full((4,), wanted, dtype=torch.float64), rtol=0,
                               atol=1e-12)
    factors = layer.weight.detach() / before
    torch.testing.assert_close(factors, factors[:, :1].expand(-1, 5))
    assert (factors > 0).all()


@pytest.mark.parametrize("name", LAYERS)
def test_folded_weight_and_bias_compute_the_same(name):
    settings, shape = LAYERS[name]
    layer, x = make(settings), some(shape)
    layer.initialise(x)
    weight, bias = layer.folded()
    if "kernel" in settings:
        y = functional.conv2d(x, weight, bias, stride=settings.get("stride", 1), padding=1)
    else:
        y = functional.linear(x, weight, bias)
    torch.testing.assert_close(y, layer(x), rtol=0, atol=1e-12)


def test_only_an_asked_for_scale_is_trained():
    assert set(dict(make({}).named_parameters())) == {"direction", "bias"}
    assert set(dict(make({"train_scale": True}).named_parameters())) == {"direction", "bias", "scale"}
    assert set(make({}).state_dict()) == {"direction", "bias", "scale"}


def test_first_weights_are_normal_with_the_given_deviation():
    layer = WeightNorm(400, 300, 0.05, torch.Generator().manual_seed(0))
    assert layer.direction.std().item() == pytest.approx(0.05, rel=0.01)
    assert abs(layer.direction.mean().item()) < 0.001
    assert torch.equal(layer.direction, WeightNorm(400, 300, 0.05, torch.Generator().manual_seed(0)).direction)


@pytest.mark.parametrize("shape", [(9, 4), (5, 4, 3, 2)])
def test_batch_norm_uses_the_batch_in_training_and_evaluation_alike(shape):
    norm = BatchNorm(4).double()
    with torch.no_grad():
        norm.shift.copy_(torch.arange(4))
    x = some(shape)
    expected = plain_networks.batch_norm(x, torch.arange(4))
    torch.testing.assert_close(norm(x), expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(norm.eval()(x), expected, rtol=0, atol=1e-12)
    assert [name for name, _ in norm.named_parameters()] == ["shift"] and not list(norm.buffers())


def test_batch_norms_epsilon_is_inside_the_root():
    x = torch.tensor([[-1e-3], [1e-3]], dtype=torch.float64)  # variance 1e-6, as large as epsilon
    torch.testing.assert_close(BatchNorm(1).double()(x).detach(), x / 2e-6 ** 0.5)


def test_noise_is_added_where_there_is_some():
    x, noise = some((3, 2)), some((3, 2), 5)
    torch.testing.assert_close(add_noise(x, 0.3, noise), x + 0.3 * noise)
    assert add_noise(x, 0.3, None) is x and add_noise(x, 0, noise) is x
    assert Context((x, noise)).at(1) is noise and Context().at(1) is None


def test_softplus_is_the_exact_one_to_the_rounding_of_numbers_near_1():
    x = torch.tensor([-1e30, -1e4, -100, -20, -3, -1e-4, 0, 1e-4, 3, 20, 100, 1e4, 1e30], dtype=torch.float64)
    for dtype, rounding in ((torch.float64, 1e-15), (torch.float32, 1.2e-7), (torch.bfloat16, 4e-3)):
        exact = torch.where(x > 0, x + torch.log1p(torch.exp(-x)), torch.log1p(torch.exp(x)))
        found = Softplus.apply(x.to(dtype)).double()
        torch.testing.assert_close(found, exact, rtol=rounding, atol=rounding)


def test_softplus_has_its_gradient_also_in_lanes_and_twice():
    x = some((3, 7)).requires_grad_()
    assert torch.autograd.gradcheck(Softplus.apply, x) and torch.autograd.gradgradcheck(Softplus.apply, x)
    gradient, = torch.autograd.grad(torch.vmap(Softplus.apply)(x).square().sum(), x)
    torch.testing.assert_close(gradient, 2 * functional.softplus(x) * x.sigmoid())


def test_a_normalised_product_has_its_gradient_also_twice():
    x, direction, scale, bias = (some(shape, seed).requires_grad_()
                                 for seed, shape in enumerate([(5, 3), (4, 3), (4,), (4,)]))
    inputs = (x, direction, scale, bias)
    for function in (normalised_product, lambda *inputs: normalised_product(*inputs, by_hand=True)):
        assert torch.autograd.gradcheck(function, inputs, check_undefined_grad=False)
        assert torch.autograd.gradgradcheck(function, inputs, check_undefined_grad=False)
    with torch.no_grad():
        untrained = normalised_product(*inputs)
    assert torch.equal(normalised_product(*inputs), untrained)


BY_HAND = {"row norm": (RowNorm, [(4, 3)]), "softplus": (Softplus, [(4, 3)]),
           "product": (NormalisedProduct, [(5, 3), (4, 3), (4,), (4,)])}


@pytest.mark.parametrize("lanes", [0, 2])
@pytest.mark.parametrize("name", BY_HAND)
def test_backward_passes_written_by_hand_are_right_twice_also_in_lanes(name, lanes):
    function, shapes = BY_HAND[name]
    inputs = tuple(some((lanes, *shape) if lanes else shape, seed).requires_grad_()
                   for seed, shape in enumerate(shapes))

    def first(*given: torch.Tensor) -> torch.Tensor:
        y = torch.vmap(function.apply)(*given) if lanes else function.apply(*given)
        return y[0] if isinstance(y, tuple) else y

    assert torch.autograd.gradcheck(first, inputs, check_undefined_grad=False)
    assert torch.autograd.gradgradcheck(first, inputs, check_undefined_grad=False)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_a_white_pixel_has_a_gradient_too(dtype):
    """From 6.3 on the sigmoid is 1 in bf16: y (1 - y), as torch takes its gradient, would be 0."""
    x = torch.linspace(-12, 12, 49, dtype=torch.float64)
    rounded = x.to(dtype).requires_grad_()
    y = sigmoid(rounded)
    gradient, = torch.autograd.grad(y.sum(), rounded)
    exact = 1 / (1 + torch.exp(-x))
    assert y.dtype == gradient.dtype == dtype
    torch.testing.assert_close(y.double(), exact, rtol=5e-3, atol=0)
    torch.testing.assert_close(gradient.double(), exact / (1 + torch.exp(x)), rtol=1e-2, atol=0)
