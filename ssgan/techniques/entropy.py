"""Entropy: answers to unlabelled images that are sure."""

from dataclasses import dataclass

from torch import Tensor

from ssgan.settings import number
from ssgan.techniques.technique import DISCRIMINATOR, Technique, Term, View


@dataclass(frozen=True)
class Entropy(Technique):
    """The answers to unlabelled images are sure.

    Loss: the mean entropy of the answers over the K real classes. Costs nothing beside the unlabelled images' pass.
    Grandvalet & Bengio 2005; with a generator, Dai et al. 2017.
    """

    sees = frozenset({"unlabelled"})
    parts = {DISCRIMINATOR: ("unlabelled",)}
    measures = ("entropy_loss",)

    weight: float = number(0.0, 0, 1000, "weight of the loss; 0 is off")

    def term(self, player: str, view: View) -> Term:
        """Of the discriminator."""
        loss = entropy_loss(view.out["unlabelled"].logits)
        return Term(loss, {"entropy_loss": loss})


def entropy_loss(logits: Tensor) -> Tensor:
    """Mean entropy of the answers over the K real classes: [n, k] -> [] (Grandvalet & Bengio 2005; with a generator,
    Dai et al. 2017).
    """
    logarithms = logits.log_softmax(1)
    return -(logarithms.exp() * logarithms).sum(1).mean()
