"""Class balance: answers that fall on all classes equally often."""

import math
from dataclasses import dataclass

from torch import Tensor

from ssgan.settings import number
from ssgan.techniques.technique import DISCRIMINATOR, Technique, Term, View


@dataclass(frozen=True)
class ClassBalance(Technique):
    """The answers to a batch of unlabelled images fall on all classes equally often.

    Loss: log K - H(mean answer of the batch), for data whose classes are equally frequent. Costs nothing beside the
    unlabelled images' pass. The marginal entropy of Springenberg 2016 (CatGAN), section 3.
    """

    sees = frozenset({"unlabelled"})
    parts = {DISCRIMINATOR: ("unlabelled",)}
    measures = ("balance_loss",)

    weight: float = number(0.0, 0, 1000, "weight of the loss; 0 is off")

    def term(self, player: str, view: View) -> Term:
        """Of the discriminator."""
        loss = balance_loss(view.out["unlabelled"].logits)
        return Term(loss, {"balance_loss": loss})


def balance_loss(logits: Tensor) -> Tensor:
    """log K - H(mean answer of the batch): [n, k] -> [], 0 where all classes are answered equally often: the marginal
    entropy of Springenberg 2016.
    """
    mean = logits.softmax(1).mean(0)
    return math.log(logits.shape[1]) + (mean * mean.clamp_min(1e-12).log()).sum()
