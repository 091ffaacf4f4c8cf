"""Cutout: a square of each image is grey."""

import torch
from torch import Tensor

GREY = 0.5


def cut(x: Tensor, centre: Tensor, side: Tensor) -> Tensor:
    """Images [n, c, h, w] of which a square is grey: with its centre anywhere in the image, by a number in [0, 1) for
    each direction [n, 2], and of a side [n] that is a share of the image's; it may stick out (DeVries & Taylor 2017).

    Grey are the pixels whose middle lies in it. Gradients flow through the others.
    """
    height, width = x.shape[-2:]
    across = _covered(centre[:, 0], side, width, x)  # [n, w]
    down = _covered(centre[:, 1], side, height, x)  # [n, h]
    return torch.where((down[:, :, None] & across[:, None])[:, None], torch.full_like(x, GREY), x)


def _covered(centre: Tensor, side: Tensor, pixels: int, like: Tensor) -> Tensor:
    """Which of a line's pixels the square covers: 2 x [n] -> [n, pixels]."""
    middles = (torch.arange(pixels, device=like.device, dtype=centre.dtype) + 0.5) / pixels
    return (middles - centre[:, None]).abs() < side[:, None] / 2
