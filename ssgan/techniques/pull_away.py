"""The pull-away term: generated images that differ from one another."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from ssgan.settings import number


@dataclass(frozen=True)
class PullAwayConfig:
    """The recipe's [pull_away] section: generated images that differ from one another, beside feature matching."""

    weight: float = number(0.0, 0, 1000, "weight of the loss; 0 is off")


def pull_away(features: Tensor) -> Tensor:
    """Mean squared cosine between the features of different images: [n, f] -> [], 0 to 1: the pull-away term (Zhao et al. 2017).

    In the generator's loss it stands for the entropy of the generated images (Dai et al. 2017).
    """
    n = len(features)
    cosines = functional.normalize(features, dim=1, eps=1e-12)
    cosines = cosines @ cosines.T
    return (cosines.square().sum() - cosines.diagonal().square().sum()) / (n * (n - 1))
