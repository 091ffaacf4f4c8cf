"""Images that carry smaller scales of themselves, packed into one tensor.

A packed image has the whole one above, and below it, from left to right, the scales of half its sides, a quarter and so
on, as far as both sides are even; the rest is 0. So one tensor goes wherever images go, and each scale has its own
gradient (Karnewar & Wang 2020, section 2).
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional


def pyramid(x: Tensor, count: int | None = None) -> list[Tensor]:
    """Images [n, c, h, w], and their averages over 2x2 pixels, 4x4 and so on: so many scales, or as many as there are.
    """
    scales = [x]
    while x.shape[-2] % 2 == x.shape[-1] % 2 == 0 and (count is None or len(scales) < count):
        x = functional.avg_pool2d(x, 2)
        scales.append(x)
    return scales


def packed(scales: Sequence[Tensor]) -> Tensor:
    """Scales, the largest first, each of half the sides of the one before: [n, c, h + h / 2, w]; one alone is as it is.
    """
    whole, *smaller = scales
    if not smaller:
        return whole
    height, width = smaller[0].shape[-2], whole.shape[-1]
    strip = torch.cat([functional.pad(x, (0, 0, 0, height - x.shape[-2])) for x in smaller], 3)
    return torch.cat([whole, functional.pad(strip, (0, width - strip.shape[-1]))], 2)


def unpacked(x: Tensor, count: int) -> list[Tensor]:
    """The first `count` scales of packed images."""
    height, width = x.shape[-2] * 2 // 3, x.shape[-1]
    scales, left = [x[:, :, :height]], 0
    for number in range(1, count):
        rows, columns = height >> number, width >> number
        scales.append(x[:, :, height:height + rows, left:left + columns])
        left += columns
    return scales


def alike(x: Tensor, like: Tensor) -> Tensor:
    """Images packed with averages of themselves where those of `like`, whole ones of the same size, are packed; else as
    they are.
    """
    return x if x.shape[-2:] == like.shape[-2:] else packed(pyramid(x))
