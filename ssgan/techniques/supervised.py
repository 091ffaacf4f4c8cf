"""The classifier's own loss: cross entropy over the labelled images."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from ssgan.techniques.technique import DISCRIMINATOR, Technique, Term, View


@dataclass(frozen=True)
class Supervised(Technique):
    """Cross entropy over the K real classes (Salimans et al. 2016, section 5), to which the techniques add; it is
    always on, but for a pair that is trained without labels, to be scored alone, with train.labelled_weight = 0.
    """

    sees = frozenset({"labelled"})
    parts = {DISCRIMINATOR: ("labelled",)}
    measures = ("labelled_loss",)

    weight: float = 1.0  # against which all others are weighed: train.labelled_weight

    def term(self, player: str, view: View) -> Term:
        """Of the discriminator."""
        loss = labelled_loss(view.out["labelled"].logits, view.labels["labelled"])
        return Term(loss, {"labelled_loss": loss})


def labelled_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy over the K real classes, mean over the batch: [n, k], [n] -> [] (Salimans et al. 2016, section 5).
    """
    return functional.cross_entropy(logits, labels)
