"""Strides that are chosen by the size of the images."""

import dataclasses

import pytest
import torch
from small import CONV

from ssgan.config import override
from ssgan.models import build_discriminator
from ssgan.models.context import Context
from ssgan.models.functional import convolved
from ssgan.models.small_conv import strides_of
from ssgan.random_streams import torch_generator

AUTO = override(CONV, ["model.strides=[0]", "model.widths=[4, 4, 4, 4]", "model.pooling=none"]).model


@pytest.mark.parametrize(("side", "strides"), [
    (4, [1, 1, 1, 1]), (8, [1, 1, 1, 1]), (16, [2, 1, 1, 1]), (28, [2, 2, 1, 1]), (32, [2, 2, 1, 1]),
    (48, [2, 2, 2, 1]), (64, [2, 2, 2, 1]), (128, [2, 2, 2, 2]), (1024, [2, 2, 2, 2])])
def test_maps_are_halved_until_they_have_about_eight_pixels_a_side(side, strides):
    assert strides_of(AUTO, (1, side, side)) == strides


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 20, 31), (3, 64, 64)])
def test_the_network_is_of_these_strides(shape):
    network = build_discriminator(AUTO, shape, 3, torch_generator(0))
    logits, features = network(torch.rand(2, *shape))
    assert logits.shape == (2, 3) and features.shape[1] <= 4 * 10 * 10


def test_given_strides_stay_as_they_are():
    assert strides_of(override(CONV, ["model.strides=[1, 2]"]).model, (1, 64, 64)) == [1, 2, 1]


@pytest.mark.parametrize("shape", [(1, 8, 8), (2, 9, 13)])
def test_average_pooling_has_the_maps_of_the_strides_and_takes_the_mean_of_what_is_there(shape):
    config = override(CONV, ["model.strides=[2, 3, 1]", "model.norm=none"]).model
    network, strided = (build_discriminator(dataclasses.replace(config, downsampling=kind), shape, 3,
                                            torch_generator(0)) for kind in ("average", "strides"))
    pooled, maps = [], []
    x = torch.rand(2, *shape, generator=torch_generator(1))
    network(x, Context(), pooled)
    strided(x, Context(), maps)
    assert [y.shape for y in pooled] == [y.shape for y in maps]
    whole = torch.nn.functional.leaky_relu(torch.nn.functional.conv2d(
        x, network.hidden[0].weight, network.hidden[0].bias, padding=1), 0.2)
    torch.testing.assert_close(pooled[0][:, :, 0, 0], whole[:, :, :2, :2].mean((2, 3)))
    rest = shape[2] - 2 * (pooled[0].shape[3] - 1)
    torch.testing.assert_close(pooled[0][:, :, 0, -1], whole[:, :, :2, -rest:].mean((2, 3)))


@pytest.mark.parametrize("sides", [(1, 1), (2, 1), (5, 1), (1, 5)], ids=str)
def test_a_stride_over_a_map_one_pixel_wide_has_its_gradient_in_bf16(sides):
    random = torch.Generator().manual_seed(0)
    x, weight = torch.randn(12, 6, *sides, generator=random), torch.randn(32, 6, 3, 3, generator=random)
    found = {}
    for dtype in (torch.float32, torch.bfloat16):
        kernel = weight.clone().to(dtype).requires_grad_()
        lain = [torch.full((200, 200), float("nan"), dtype=dtype) for _ in range(20)]
        del lain  # memory that the gradient may be given, so that what is not written is not 0 by chance
        y = convolved(x.to(dtype), kernel, None, 2, 1)
        y.float().square().sum().backward()
        found[dtype] = kernel.grad.float()
    wanted = found[torch.float32]
    assert y.shape[2:] == tuple(-(-side // 2) for side in sides)
    torch.testing.assert_close(found[torch.bfloat16], wanted, rtol=0, atol=0.03 * wanted.abs().max().item())
