"""Feature matching: the generator's loss."""

from torch import Tensor


def feature_matching(real: Tensor, generated: Tensor) -> Tensor:
    """Mean squared difference of the batch means of the features: 2 x [n, f] -> [] (Salimans et al. 2016, section 3.1)."""
    return (real.mean(0) - generated.mean(0)).square().mean()
