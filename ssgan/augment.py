"""Random changes of the shape of image batches, on the device that holds them."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from ssgan.config import AugmentConfig

AFFINE, LATTICE = 6, 5  # numbers of an affine change, and points on a side of the elastic one's lattice


def warp(x: Tensor, draw: Tensor, config: AugmentConfig) -> Tensor:
    """Shifts, turns, scales and shears each image [n, c, h, w] about its centre, and warps it elastically; outside is black.

    By its draw [n, d], uniform on [-1, 1), with d from `draw_size`. The elastic displacements are interpolated between the lattice's
    points by cubics (the idea: Simard, Steinkraus & Platt 2003).
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
    grid = functional.affine_grid(theta, list(x.shape), align_corners=False)
    if config.elastic:
        x_points, y_points = draw[:, AFFINE:].unflatten(1, (2, LATTICE, LATTICE)).unbind(1)
        points = torch.stack((x_points * (2 * config.elastic / width), y_points * (2 * config.elastic / height)), 1)
        grid = grid + functional.interpolate(points, (height, width), mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
    return functional.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def draw_size(config: AugmentConfig) -> int:
    """How many numbers the change of one image takes."""
    return AFFINE + (2 * LATTICE**2 if config.elastic else 0)


def is_on(config: AugmentConfig) -> bool:
    """Whether any change is asked for."""
    return any((config.shift, config.rotation, config.scale, config.shear, config.elastic))
