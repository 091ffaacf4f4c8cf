"""Differentiable augmentation of what the discriminator tells apart."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ssgan.errors import Mistake
from ssgan.settings import choice, number, switch
from ssgan.techniques.augmentation import COLOURS
from ssgan.techniques.colour import coloured
from ssgan.techniques.cutout import cut
from ssgan.techniques.technique import DISCRIMINATOR, GENERATOR, Draw, Size, Technique, View
from ssgan.techniques.warping import BORDERS, moved


@dataclass(frozen=True)
class DiffAugment(Technique):
    """Wherever the discriminator sees them, real and generated images alike are shifted, coloured and cut at random;
    the generator's gradient flows through the changes.

    Few real images can so not be learnt by heart, and the generator does not come to draw changed images, as it would
    where the real ones alone are changed. `real = false` leaves the unlabelled images to [augment], which changes them
    already: with the same values there as here both kinds are changed alike. Labelled images are left to it too. Costs
    a pass over the images for each change. Zhao et al. 2020, section 3.3: colour (brightness 0.25, as their images
    are -1 to 1, saturation 1, contrast 0.5), translation by an eighth of the side, cutout of half of it.
    """

    key = "shift"  # one of several
    sees = frozenset({"unlabelled", "generated"})
    parts = {DISCRIMINATOR: ("unlabelled", "generated"), GENERATOR: ("generated",)}
    adds_term = False
    logits = False
    requires = ("gan",)

    shift: float = number(0.0, 0, 100, "whole pixels, in each direction")
    border: str = choice("black", BORDERS, "what lies beyond an image's edge: black, or the image mirrored")
    brightness: float = number(0.0, 0, 1, "added to all pixels, which are 0 to 1")
    contrast: float = number(0.0, 0, 1, "share: 0.4 is 60 % to 140 % of the distances from the image's mean")
    saturation: float = number(0.0, 0, 1, "share, likewise, of the distances from a pixel's grey")
    cutout: float = number(0.0, 0, 1, "side of a grey square somewhere in the image, as a share of the image's side")
    real: bool = switch(True, "unlabelled images too; else those that are generated alone")

    def is_on(self) -> bool:
        """Whether any change is asked for."""
        return any((self.shift, self.brightness, self.contrast, self.saturation, self.cutout))

    def off(self) -> "DiffAugment":
        """No change."""
        return DiffAugment()

    def check(self, recipe: Any) -> None:
        """Images that carry their smaller scales with them are no plain images."""
        if recipe.model.family == "multiscale":
            raise Mistake("[diff_augment] changes whole images, and those of model.family = multiscale come with their "
                          "smaller scales:\nswitch its changes off, or take another family.")

    def draws(self, player: str, size: Size) -> dict[str, Draw]:
        """Seven numbers for the change of each image, of its shift, its colours and its cutout; exact, as in bf16 the
        largest would be 1.
        """
        counts = {"unlabelled": size.unlabelled} if self.real else {}
        return {part: Draw((count, 7), "exact") for part, count in (counts | {"generated": size.generated}).items()}

    def images(self, player: str, view: View) -> dict[str, Tensor]:
        """The same, changed; a generator's update may look at generated ones alone."""
        return {part: self.changed(view.images[part], draw) for part, draw in view.draws.items() if part in view.images}

    def changed(self, x: Tensor, draw: Tensor) -> Tensor:
        """Images [n, c, h, w] by their draws [n, 7], uniform on [0, 1)."""
        draw = draw.to(torch.promote_types(x.dtype, draw.dtype))
        amounts, y = draw * 2 - 1, x
        if self.shift:
            y = moved(y, amounts[:, :2], self.shift, self.border)
        if any(getattr(self, name) for name in COLOURS):
            y = coloured(y, *(getattr(self, name) * amounts[:, 2 + i] for i, name in enumerate(COLOURS)))
        if self.cutout:
            y = cut(y, draw[:, 5:], draw.new_full(draw.shape[:1], self.cutout))
        return y.to(x.dtype)
