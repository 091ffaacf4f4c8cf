"""Entropy: answers to unlabelled images that are sure."""

from dataclasses import dataclass

from torch import Tensor

from ssgan.settings import number


@dataclass(frozen=True)
class EntropyConfig:
    """The recipe's [entropy] section: answers to unlabelled images that are sure."""

    weight: float = number(0.0, 0, 1000, "weight of the loss; 0 is off")


def entropy_loss(logits: Tensor) -> Tensor:
    """Mean entropy of the answers over the K real classes: [n, k] -> [] (Grandvalet & Bengio 2005; with a generator, Dai et al. 2017)."""
    logarithms = logits.log_softmax(1)
    return -(logarithms.exp() * logarithms).sum(1).mean()
