"""Consistency: confident answers on plain images, taught on augmented ones."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ssgan.settings import number
from ssgan.techniques.technique import DISCRIMINATOR, Moment, Technique, Term, View


@dataclass(frozen=True)
class Consistency(Technique):
    """The averaged classifier's confident answers on plain unlabelled images are taught on the augmented ones.

    Loss: cross entropy with the answers whose probability is at least the threshold, divided by the number of all
    images. Costs a pass of the averaged weights. Sohn et al. 2020, eq. 4 (FixMatch), with the mean teacher of Tarvainen
    & Valpola 2017.
    """

    sees = frozenset({"unlabelled"})
    parts = {DISCRIMINATOR: ("unlabelled",)}
    teacher = ("unlabelled",)
    measures = ("consistency_loss", "confident")

    weight: float = number(0.0, 0, 1000, "weight of the loss; 0 is off")
    threshold: float = number(0.95, 0, 1, "least probability of an answer that is taught")
    start: float = number(0.1, 0, 1, "share of the run before the loss begins")

    def numbers(self, moment: Moment) -> dict[str, float]:
        """Whether it has begun."""
        return {"begun": float(moment.step >= math.ceil(self.start * moment.steps))}

    def term(self, player: str, view: View) -> Term:
        """Of the discriminator."""
        with torch.no_grad():
            probability, targets = view.teacher["unlabelled"].softmax(1).max(1)
            confident = (probability >= self.threshold) * view.numbers["begun"].to(probability.dtype)
        loss = consistency_loss(view.out["unlabelled"].logits, targets, confident)
        return Term(loss, {"consistency_loss": loss, "confident": confident.mean()})


def consistency_loss(logits: Tensor, targets: Tensor, confident: Tensor) -> Tensor:
    """Cross entropy with taught answers, counted where they are confident: [n, k], [n], [n] of 0 and 1 -> [] (Sohn et
    al. 2020, eq. 4).
    """
    return (functional.cross_entropy(logits, targets, reduction="none") * confident).mean()
