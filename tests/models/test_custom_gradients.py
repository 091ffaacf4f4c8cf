"""Every backward pass that is written by hand, once and twice, alone and in lanes, against finite differences."""

import re
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

import ssgan
from ssgan.models.functional import Softplus
from ssgan.models.weight_norm import NormalisedProduct, RowNorm

# By name, the function of its differentiable output, and the shapes that it is given.
FUNCTIONS = {
    "Softplus": (Softplus.apply, [(3, 5)]),
    "RowNorm": (RowNorm.apply, [(4, 3)]),
    "RowNorm of a convolution": (RowNorm.apply, [(3, 2, 2, 2)]),
    "NormalisedProduct": (lambda *given: NormalisedProduct.apply(*given)[0], [(5, 3), (4, 3), (4,), (4,)]),
}


def given(shapes: list[tuple[int, ...]], lanes: int = 0) -> tuple[Tensor, ...]:
    random = torch.Generator().manual_seed(0)
    return tuple(torch.randn((lanes,) * (lanes > 0) + shape, generator=random, dtype=torch.float64).requires_grad_()
                 for shape in shapes)


def test_every_such_function_is_checked():
    sources = [path.read_text(encoding="utf-8") for path in Path(ssgan.__file__).parent.rglob("*.py")]
    found = {name for source in sources for name in re.findall(r"class (\w+)\([\w.]*\bFunction\)", source)}
    assert found == {name.split()[0] for name in FUNCTIONS}


@pytest.mark.parametrize("lanes", [0, 2], ids=["alone", "in lanes"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_its_gradient_and_that_of_its_gradient_are_right(name, lanes):
    function, shapes = FUNCTIONS[name]
    inputs = given(shapes, lanes)
    function = torch.vmap(function) if lanes else function
    assert gradcheck(function, inputs, check_undefined_grad=False)
    assert gradgradcheck(function, inputs, check_undefined_grad=False)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_lane_is_as_it_is_alone_in_its_gradients_too(name):
    function, shapes = FUNCTIONS[name]
    inputs = given(shapes, 2)

    def twice(function, inputs) -> tuple[Tensor, ...]:
        first = torch.autograd.grad(function(*inputs).square().sum(), inputs, create_graph=True)
        return first + torch.autograd.grad(sum(each.square().sum() for each in first), inputs)

    together = twice(torch.vmap(function), inputs)
    for lane in range(2):
        alone = twice(function, tuple(x[lane].detach().requires_grad_() for x in inputs))
        torch.testing.assert_close(tuple(x[lane] for x in together), alone, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_lane_that_is_not_finite_leaves_the_others_bits(name):
    function, shapes = FUNCTIONS[name]
    sound, struck = given(shapes, 2), given(shapes, 2)
    for x in struck:
        x.data[1] = float("nan")
    found = [torch.autograd.grad(torch.vmap(function)(*inputs).square().sum(), inputs) for inputs in (sound, struck)]
    assert all(torch.equal(a[0], b[0]) and b[1].isnan().all() for a, b in zip(*found))
