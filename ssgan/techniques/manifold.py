"""Manifold regularisation: answers that do not change along the surface of what the generator can make."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ssgan.models.context import Context
from ssgan.models.functional import widened
from ssgan.settings import number
from ssgan.techniques.technique import DISCRIMINATOR, GENERATOR, Draw, Size, Technique, Term, View
from ssgan.techniques.virtual_adversarial import unit


@dataclass(frozen=True)
class Manifold(Technique):
    """The classifier's logits do not change along the surface of what the generator can make: it stands for the one on
    which real images lie.

    Loss: mean over images of sum over k of |f_k(x) - f_k(x + epsilon t)|, with x = G(z), t = (G(z + s e) - x) of length
    1, e normal and s the step; noise and dropout of the classifier are off. That is the gradient along
    the surface, by a finite difference in one direction a step. Costs a pass of the generator and two of the
    classifier. Lecouat et al. 2018: weight 0.001, and a length of 10 for 3x32x32 pixels in [0, 1].
    """

    sees = frozenset({"generated"})
    parts = {DISCRIMINATOR: ("generated",)}
    calls = {DISCRIMINATOR: (GENERATOR,)}
    measures = ("manifold_loss",)
    logits = False
    requires = ("gan",)
    excludes = {
        **dict.fromkeys(("minibatch_discrimination", "batch_norm"), "the loss is on how one image's answer changes, "
                                                                    "which there depends on all images of the batch"),
        "instance_noise": "the way along the surface begins at an image that the generator made, and noise takes "
                          "images off it"}

    weight: float = number(0.0, 0, 1000, "weight of the loss; 0 is off")
    epsilon: float = number(10.0, 1e-6, 1000, "length of the change: its root of summed squares over the pixels, which "
                                              "are 0 to 1")
    step: float = number(1.0, 1e-6, 1000, "standard deviation of the change of the latent vector that shows the way")

    def draws(self, player: str, size: Size) -> dict[str, Draw]:
        """The change of each latent vector."""
        return {"change": Draw((size.generated, size.latent), "normal")}

    def term(self, player: str, view: View) -> Term:
        """Of the discriminator, on all generated images."""
        images = view.images["generated"]
        with torch.no_grad():
            near = view.players[GENERATOR](view.latent + self.step * view.draws["change"], view.context)
            moved = images + (self.epsilon * unit(widened(near) - widened(images))).to(images.dtype)
        logits = view.players[DISCRIMINATOR](torch.cat([images, moved]), Context())[0]
        loss = apart(*widened(logits).chunk(2))
        return Term(loss, {"manifold_loss": loss})


def apart(one: Tensor, other: Tensor) -> Tensor:
    """Sum of the sizes of the differences, mean over the batch: 2 x [n, k] -> []."""
    return (one - other).abs().sum(1).mean()
