"""Label noise: now and then an image is told to be the other kind."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ssgan.settings import choice, number
from ssgan.techniques.smoothing import refuse_wasserstein
from ssgan.techniques.technique import DISCRIMINATOR, Draw, Size, Technique, View


@dataclass(frozen=True)
class LabelNoise(Technique):
    """Now and then the discriminator is told that an unlabelled image is generated, or a generated one real: t becomes
    1 - t for a share of the images that is drawn anew in every update.

    On the average that is smoothing of both sides, D = (p + s (q - p)) / (p + q) at the best with the share s, and
    noise on the gradient besides. Only the term of real and generated images is touched, never the labels of labelled
    ones. Costs a draw an image. Chintala et al. 2016, "How to train a GAN", number 6; Arjovsky & Bottou 2017.
    """

    sees = frozenset({"unlabelled", "generated"})
    parts = {DISCRIMINATOR: ("unlabelled", "generated")}
    adds_term = False
    key = "share"
    requires = ("gan",)

    share: float = number(0.0, 0, 0.5, "share of the images that are told to be the other kind; 0 is off")
    sides: str = choice("both", ("both", "unlabelled", "generated"), "images whose kind is told wrongly now and then")

    def check(self, recipe: Any) -> None:
        """A Wasserstein loss has no targets."""
        refuse_wasserstein(recipe, "label_noise.share")

    def draws(self, player: str, size: Size) -> dict[str, Draw]:
        """Of each image, below the share where it is told wrongly."""
        counts = {"unlabelled": size.unlabelled, "generated": size.generated}
        return {part: Draw((count,), "exact") for part, count in counts.items() if self.sides in ("both", part)}

    def targets(self, view: View) -> dict[str, Tensor]:
        """Of the kinds that are told wrongly."""
        found = {}
        for part, drawn in view.draws.items():
            told = view.targets.get(part, torch.full_like(drawn, 1.0 if part == "unlabelled" else 0.0))
            found[part] = torch.where(drawn < self.share, 1 - told, told)
        return found
