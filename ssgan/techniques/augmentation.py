"""Random changes of the shape of image batches, on the device that holds them."""

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ssgan.settings import number, switch
from ssgan.techniques.technique import Draw, Moment, Size, Technique

AFFINE, LATTICE = 6, 5  # numbers of an affine change, and points on a side of the elastic one's lattice


@dataclass(frozen=True)
class Augmentation(Technique):
    """Random changes of the shape of every real image, drawn uniformly between minus and plus the value.

    It changes the images that are there, whoever looks at them, and brings none in. Costs one interpolation of every
    image. The elastic part: the idea of Simard, Steinkraus & Platt 2003.
    """

    sees = frozenset()

    shift: float = number(0.0, 0, 100, "pixels, in each direction")
    rotation: float = number(0.0, 0, 180, "degrees")
    scale: float = number(0.0, 0, 0.9, "share: 0.1 is 90 % to 110 %")
    shear: float = number(0.0, 0, 80, "degrees")
    elastic: float = number(0.0, 0, 100, "pixels by which a lattice of 5x5 points is displaced, with a smooth warp "
                                         "between")
    flip: bool = switch(False, "mirrored left to right too, every other image: where both sides mean the same")
    labelled: float = number(1.0, 0, 1, "share of all these on labelled images: strongly changed, few known images can "
                                        "come to look like another class")
    begin: float = number(1.0, 0, 1, "share of all these at the start of the run; they grow from it in a line")
    grow: float = number(0.25, 0.001, 1, "share of the run over which they grow, where begin is below 1")
    end: float = number(1.0, 0, 1, "share of all these at the end of the run; they shrink to it in a line, from "
                                   "train.decay_from on")

    def is_on(self) -> bool:
        """Whether any change is asked for."""
        return any((self.shift, self.rotation, self.scale, self.shear, self.elastic, self.flip))

    def off(self) -> "Augmentation":
        """No change."""
        return Augmentation()

    def numbers(self, moment: Moment) -> dict[str, float]:
        """The share of the full changes."""
        return {"strength": strength(self, moment.decay_from, moment.step, moment.steps)}

    def change(self, size: Size) -> Draw:
        """The numbers of one image's change."""
        return Draw((draw_size(self) + self.flip,), "uniform")

    def changed(self, images: Mapping[str, Tensor], draws: Mapping[str, Tensor],
                numbers: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The images [n, c, h, w] of each kind warped by their draws [n, d], all at once."""
        counts = [len(x) for x in images.values()]
        draw = torch.cat([(draws[kind] * 2 - 1) * (self.labelled if kind == "labelled" else 1) for kind in images])
        x = torch.cat(list(images.values()))
        if self.flip:
            x = torch.where(torch.cat([draws[kind][:, -1] for kind in images])[:, None, None, None] < 0.5, x.flip(-1),
                            x)
            draw = draw[:, :-1]
        warped = warp(x, draw if self.begin == self.end == 1 else draw * numbers["strength"], self)
        return dict(zip(images, warped.split(counts)))


def warp(x: Tensor, draw: Tensor, config: Augmentation) -> Tensor:
    """Shifts, turns, scales and shears each image [n, c, h, w] about its centre, and warps it elastically; outside is
    black.

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
    return functional.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


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


def strength(config: Augmentation, decay_from: float, step: int, steps: int) -> float:
    """The share of the full changes in update number `step` (from 0) of `steps`: they grow at the start, and shrink
    from the share `decay_from` of the steps on; where both, the smaller counts.
    """
    grown, first = config.grow * steps, decay_from * steps
    rising = config.begin + (1 - config.begin) * step / grown if step < grown else 1.0
    falling = 1 - (1 - config.end) * (step - first) / (steps - first) if step > first else 1.0
    return min(rising, falling)


def draw_size(config: Augmentation) -> int:
    """How many numbers the change of one image takes."""
    return AFFINE + (2 * LATTICE**2 if config.elastic else 0)
