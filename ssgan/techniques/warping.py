"""Warping: images shifted, turned, scaled, sheared and elastically displaced, each in its own way."""

import functools
import math
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

AFFINE, LATTICE = 6, 5  # numbers of an affine change, and points on a side of the elastic one's lattice
BORDERS = ("black", "reflected")


class Warp(Protocol):
    """How far images may be changed: pixels, degrees, a share, degrees, pixels; and what lies beyond their edge."""

    shift: float
    rotation: float
    scale: float
    shear: float
    elastic: float
    border: str


def warp(x: Tensor, draw: Tensor, config: Warp) -> Tensor:
    """Shifts, turns, scales and shears each image [n, c, h, w] about its centre, and warps it elastically; outside is
    black, or the image mirrored at its edge.

    By its draw [n, d], uniform on [-1, 1), with d from `draw_size`. The elastic displacements are interpolated between
    the lattice's points by cubics (the idea: Simard, Steinkraus & Platt 2003).
    """
    height, width = x.shape[-2:]
    angle = draw[:, 0] * math.radians(config.rotation)
    shear = torch.tan(draw[:, 1] * math.radians(config.shear))
    sx, sy = (1 / (1 + draw[:, i] * config.scale) for i in (2, 3))
    cos, sin = torch.cos(angle), torch.sin(angle)
    # grid_sample asks where each output pixel comes from, in coordinates from -1 to 1, so the map is the inverse one.
    theta = torch.stack((
        torch.stack((sx * cos, sx * (shear * cos - sin) * height / width, draw[:, 4] * (2 * config.shift / width)), 1),
        torch.stack((sy * sin * width / height, sy * (shear * sin + cos), draw[:, 5] * (2 * config.shift / height)), 1),
    ), 1)  # [n, 2, 3]
    if config.elastic:
        across, down = draw[:, AFFINE:].unflatten(1, (2, LATTICE**2)).unbind(1)  # 2 x [n, 25]
        moves = torch.stack((across * (2 * config.elastic / width), down * (2 * config.elastic / height)), 1)
        theta = torch.cat((theta, moves), 2)
    grid = (theta @ _places(height, width, theta.shape[2], x.dtype, x.device)).unflatten(2, (height, width)).movedim(
        1, -1)
    padding = "reflection" if config.border == "reflected" else "zeros"
    return functional.grid_sample(x, grid, mode="bilinear", padding_mode=padding, align_corners=False)


@functools.cache
def _places(height: int, width: int, count: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """What a pixel's place is summed from: its x, its y, 1, and the shares of the lattice's points: [count, height *
    width].
    """
    x, y = ((2 * torch.arange(side, dtype=torch.float64) + 1) / side - 1 for side in (width, height))
    affine = torch.stack((x.expand(height, -1), y[:, None].expand(-1, width), torch.ones(height, width)))
    shares = torch.eye(LATTICE**2, dtype=torch.float64).view(-1, 1, LATTICE, LATTICE)
    shares = functional.interpolate(shares, (height, width), mode="bicubic", align_corners=True)[:, 0]
    return torch.cat((affine, shares)).flatten(1)[:count].to(device, dtype)


def moved(x: Tensor, draw: Tensor, most: float, border: str) -> Tensor:
    """Each image [n, c, h, w] shifted by whole pixels, up to `most` of them in each direction, all equally likely: by
    its draw [n, 2], uniform on [-1, 1). No pixel is interpolated.

    The same way as `warp` shifts: a positive draw to the left and up. Gradients flow through it.
    """
    height, width = x.shape[-2:]
    farthest = round(most)
    steps = ((draw + 1) * (farthest + 0.5)).floor().long() - farthest  # [n, 2]
    columns = torch.arange(width, device=x.device) + steps[:, :1]  # [n, w], where each comes from
    rows = torch.arange(height, device=x.device) + steps[:, 1:]  # [n, h]
    places = _mirrored(rows, height)[:, :, None] * width + _mirrored(columns, width)[:, None]
    found = x.flatten(2).gather(2, places.flatten(1)[:, None].expand(-1, x.shape[1], -1)).view(x.shape)
    if border == "reflected":
        return found
    inside = _within(rows, height)[:, :, None] & _within(columns, width)[:, None]
    return found * inside[:, None].to(x.dtype)


def _mirrored(places: Tensor, side: int) -> Tensor:
    """Places on a line that is mirrored behind its first and its last pixel."""
    places = torch.where(places < 0, -1 - places, places)
    return torch.where(places >= side, 2 * side - 1 - places, places).clamp(0, side - 1)


def _within(places: Tensor, side: int) -> Tensor:
    return (places >= 0) & (places < side)


def draw_size(config: Warp) -> int:
    """How many numbers the warp of one image takes."""
    return AFFINE + (2 * LATTICE**2 if config.elastic else 0)
