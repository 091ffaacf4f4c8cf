"""Random changes of real image batches, on the device that holds them."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ssgan.settings import choice, number, switch
from ssgan.techniques.colour import coloured
from ssgan.techniques.cutout import cut
from ssgan.techniques.technique import Draw, Moment, Size, Technique
from ssgan.techniques.warping import AFFINE, BORDERS, draw_size, moved, warp

WARPS = ("rotation", "shear", "scale", "elastic")
COLOURS = ("brightness", "contrast", "saturation")


@dataclass(frozen=True)
class Augmentation(Technique):
    """Random changes of every real image, drawn uniformly between minus and plus the value.

    It changes the images that are there, whoever looks at them, and brings none in. Images are mirrored, warped in one
    interpolation, shifted by whole pixels, coloured and cut, in this order. With `chosen` each takes that many of the
    changes that are on, all equally likely, beside mirroring and shift: the random choice and strength of Cubuk et al.
    2020 (RandAugment). What is tested is never changed. Costs one interpolation of every image, none where it is but
    shifted by whole pixels, and a pass over it for each of the others. The elastic part: the idea of Simard,
    Steinkraus & Platt 2003.
    """

    key = "shift"  # one of several
    sees = frozenset()

    shift: float = number(0.0, 0, 100, "pixels, in each direction")
    rotation: float = number(0.0, 0, 180, "degrees")
    scale: float = number(0.0, 0, 0.9, "share: 0.1 is 90 % to 110 %")
    shear: float = number(0.0, 0, 80, "degrees")
    elastic: float = number(0.0, 0, 100, "pixels by which a lattice of 5x5 points is displaced, with a smooth warp "
                                         "between")
    flip: bool = switch(False, "mirrored left to right too, every other image: where both sides mean the same")
    whole: bool = switch(False, "shifts by whole pixels, so that nothing is interpolated")
    border: str = choice("black", BORDERS, "what lies beyond an image's edge: black, or the image mirrored")
    brightness: float = number(0.0, 0, 1, "added to all pixels, which are 0 to 1")
    contrast: float = number(0.0, 0, 1, "share: 0.4 is 60 % to 140 % of the distances from the image's mean")
    saturation: float = number(0.0, 0, 1, "share, likewise, of the distances from a pixel's grey")
    cutout: float = number(0.0, 0, 1, "side of a grey square somewhere in the image, as a share of the image's side")
    chosen: int = number(0, 0, 8, "changes that each image takes of those that are on, beside flip and shift; 0 is all")
    labelled: float = number(1.0, 0, 1, "share of all these on labelled images: strongly changed, few known images can "
                                        "come to look like another class")
    begin: float = number(1.0, 0, 1, "share of all these at the start of the run; they grow from it in a line")
    grow: float = number(0.25, 0.001, 1, "share of the run over which they grow, where begin is below 1")
    end: float = number(1.0, 0, 1, "share of all these at the end of the run; they shrink to it in a line, from "
                                   "train.decay_from on")

    def is_on(self) -> bool:
        """Whether any change is asked for."""
        return bool(self.shift or self.flip or self.to_choose())

    def off(self) -> "Augmentation":
        """No change."""
        return Augmentation()

    def to_choose(self) -> tuple[str, ...]:
        """The changes that are on, of which `chosen` leaves some out."""
        return tuple(name for name in (*WARPS, *COLOURS, "cutout") if getattr(self, name))

    def numbers(self, moment: Moment) -> dict[str, float]:
        """The share of the full changes."""
        return {"strength": strength(self, moment.decay_from, moment.step, moment.steps)}

    def change(self, size: Size) -> Draw:
        """The numbers of one image's change."""
        return Draw((sum(self._columns().values()),), "uniform")

    def changed(self, images: Mapping[str, Tensor], draws: Mapping[str, Tensor],
                numbers: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The images [n, c, h, w] of each kind changed by their draws [n, d], all at once."""
        x, draw = torch.cat(list(images.values())), torch.cat([draws[kind] for kind in images])
        shares = torch.cat([draws[kind].new_full((len(images[kind]), 1), self.labelled if kind == "labelled" else 1)
                            for kind in images])

        def weakened(amount: Tensor) -> Tensor:
            return amount * shares if self.begin == self.end == 1 else amount * shares * numbers["strength"]

        its = dict(zip(self._columns(), draw.split(list(self._columns().values()), 1)))
        takes = self._taken(its)
        if self.flip:
            x = torch.where(its["flip"][:, :, None, None] < 0.5, x.flip(-1), x)
        x = self._warped(x, weakened(its["warp"] * 2 - 1), takes)
        if "colour" in its:
            amounts = weakened(its["colour"] * 2 - 1)
            x = coloured(x, *(getattr(self, name) * takes.get(name, 1) * amounts[:, i]
                              for i, name in enumerate(COLOURS))).clamp(0, 1)
        if "cutout" in its:
            x = cut(x, its["cutout"], weakened(self.cutout * torch.ones_like(shares))[:, 0] * takes.get("cutout", 1))
        return dict(zip(images, x.split([len(each) for each in images.values()])))

    def _columns(self) -> dict[str, int]:
        """The numbers of one image's change, by what they are for."""
        found = {"warp": draw_size(self)}
        if any(getattr(self, name) for name in COLOURS):
            found["colour"] = len(COLOURS)
        if self.cutout:
            found["cutout"] = 2
        if self.chosen:
            found["chosen"] = len(self.to_choose())
        return found | ({"flip": 1} if self.flip else {})

    def _taken(self, draw: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """By change, which images take it: [n] of 0 and 1; nothing where they take all."""
        if not self.chosen:
            return {}
        return dict(zip(self.to_choose(), largest(draw["chosen"], self.chosen).unbind(1)))

    def _warped(self, x: Tensor, draw: Tensor, takes: Mapping[str, Tensor]) -> Tensor:
        """By a draw [n, d] between minus and plus 1."""
        if takes:
            all_of = torch.ones_like(draw[:, 0])
            rotation, shear, scale, elastic = (takes.get(name, all_of) for name in WARPS)
            affine = (rotation, shear, scale, scale, all_of, all_of)
            draw = draw * torch.stack((*affine, *[elastic] * (draw.shape[1] - AFFINE)), 1)
        if not self.whole:
            return warp(x, draw, self)
        if any(getattr(self, name) for name in WARPS):
            x = warp(x, torch.cat((draw[:, :4], torch.zeros_like(draw[:, 4:AFFINE]), draw[:, AFFINE:]), 1), self)
        return moved(x, draw[:, 4:AFFINE], self.shift, self.border) if self.shift else x


def largest(draw: Tensor, count: int) -> Tensor:
    """Which numbers of each row [n, m] are the `count` largest, or all where there are fewer: [n, m] of 0 and 1."""
    return (draw.argsort(1).argsort(1) >= draw.shape[1] - count).to(draw.dtype)


def strength(config: Augmentation, decay_from: float, step: int, steps: int) -> float:
    """The share of the full changes in update number `step` (from 0) of `steps`: they grow at the start, and shrink
    from the share `decay_from` of the steps on; where both, the smaller counts.
    """
    grown, first = config.grow * steps, decay_from * steps
    rising = config.begin + (1 - config.begin) * step / grown if step < grown else 1.0
    falling = 1 - (1 - config.end) * (step - first) / (steps - first) if step > first else 1.0
    return min(rising, falling)
