"""Class balance: answers that fall on all classes equally often."""

import math
from dataclasses import dataclass

from torch import Tensor

from ssgan.settings import number


@dataclass(frozen=True)
class ClassBalanceConfig:
    """The recipe's [class_balance] section: answers that fall on all classes equally often."""

    weight: float = number(0.0, 0, 1000, "weight of the loss; 0 is off")


def balance_loss(logits: Tensor) -> Tensor:
    """log K - H(mean answer of the batch): [n, k] -> [], 0 where all classes are answered equally often: the marginal entropy of Springenberg 2016."""
    mean = logits.softmax(1).mean(0)
    return math.log(logits.shape[1]) + (mean * mean.clamp_min(1e-12).log()).sum()
