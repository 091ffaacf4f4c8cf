"""Images that carry smaller scales of themselves."""

import plain_halving
import pytest
import torch

from ssgan.models.scales import alike, packed, pyramid, unpacked

SHAPES = [(3, 1, 8, 12), (2, 3, 28, 28), (2, 2, 6, 8), (2, 1, 32, 32)]


def some(shape) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("shape", SHAPES)
def test_scales_are_averages_and_come_out_as_they_went_in(shape):
    x = some(shape)
    scales = pyramid(x)
    assert scales[0] is x
    for larger, smaller in zip(scales, scales[1:]):
        torch.testing.assert_close(smaller, plain_halving.averaged(larger), rtol=0, atol=1e-15)
    together = packed(scales)
    assert together.shape == (*shape[:2], shape[2] * 3 // 2, shape[3])
    torch.testing.assert_close(together, plain_halving.packed(scales), rtol=0, atol=0)
    for count in range(1, len(scales) + 1):
        for mine, its in zip(unpacked(together, count), scales[:count], strict=True):
            assert torch.equal(mine, its)


def test_as_many_scales_as_are_asked_for():
    assert [each.shape[2:] for each in pyramid(some((1, 1, 28, 28)))] == [(28, 28), (14, 14), (7, 7)]
    assert len(pyramid(some((1, 1, 32, 32)), 3)) == 3 and len(pyramid(some((1, 1, 5, 8)))) == 1
    assert torch.equal(packed([some((1, 1, 5, 8))]), some((1, 1, 5, 8)))


def test_fewer_scales_lie_where_they_would_among_more():
    scales = pyramid(some((1, 1, 32, 32)))
    for mine, its in zip(unpacked(packed(scales[:3]), 3), scales):
        assert torch.equal(mine, its)


def test_whole_images_are_made_like_packed_ones():
    x = some((2, 1, 8, 12))
    assert alike(x, x) is x and torch.equal(alike(x, packed(pyramid(x, 2))), packed(pyramid(x)))


def test_every_scale_has_its_own_gradient_in_lanes_too():
    scales = [torch.rand(4, 2, 1, side, side, dtype=torch.float64, requires_grad=True) for side in (8, 4, 2)]  # [r, n
    weigh = torch.vmap(lambda *scales: sum((1 + number) * scale.sum()
                                           for number, scale in enumerate(unpacked(packed(scales), 3))))
    for number, gradient in enumerate(torch.autograd.grad(weigh(*scales).sum(), scales), 1):
        assert torch.equal(gradient, torch.full_like(gradient, number))
