"""Consistency: confident answers on plain images, taught on augmented ones."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from ssgan.settings import number


@dataclass(frozen=True)
class ConsistencyConfig:
    """The recipe's [consistency] section: the averaged classifier's confident answers on plain unlabelled images, taught on augmented ones."""

    weight: float = number(0.0, 0, 1000, "weight of the loss; 0 is off")
    threshold: float = number(0.95, 0, 1, "least probability of an answer that is taught")
    start: float = number(0.1, 0, 1, "share of the run before the loss begins")


def consistency_loss(logits: Tensor, targets: Tensor, confident: Tensor) -> Tensor:
    """Cross entropy with taught answers, counted where they are confident: [n, k], [n], [n] of 0 and 1 -> [] (Sohn et al. 2020, eq. 4)."""
    return (functional.cross_entropy(logits, targets, reduction="none") * confident).mean()
