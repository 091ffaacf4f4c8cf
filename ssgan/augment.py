"""Random affine changes of image batches, on the device that holds them."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from ssgan.config import AugmentConfig


def affine(x: Tensor, draw: Tensor, config: AugmentConfig) -> Tensor:
    """Shifts, turns, scales and shears each image [n, c, h, w] about its centre by its draw [n, 6], uniform on [-1, 1); outside is black."""
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
    return functional.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def is_on(config: AugmentConfig) -> bool:
    """Whether any change is asked for."""
    return any((config.shift, config.rotation, config.scale, config.shear))
