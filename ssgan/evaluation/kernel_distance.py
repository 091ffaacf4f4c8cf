"""The kernel distance of two sets of images in the features of a network: in Inception's, the KID."""

from typing import NamedTuple

import numpy as np
from torch import Tensor

SUBSET = 1000  # images of each kind in a subset, where there are as many
DEGREE, OFFSET = 3, 1.0  # of the polynomial kernel
SEED = 2020  # torch-fidelity's, whose subsets these are


class KernelDistance(NamedTuple):
    """The mean over subsets and its population's standard deviation; None where each would be the whole of both."""

    mean: float
    std: float | None


def kernel_distance(first: Tensor, second: Tensor, subsets: int, size: int = SUBSET) -> KernelDistance:
    """The squared maximum mean discrepancy of features [n, f] and [m, f] (Binkowski et al. 2018, eq. 4), unbiased, with
    the kernel (x y / f + 1)^3: the mean over random subsets of `size` images of each, or of all if there are fewer.

    Two sets of one kind have 0 in the mean, whatever their count, and so may be below it. Written here, for scores need
    no extra; a test holds it against torch-fidelity's. Raises ValueError for less than two images, and for features of
    different lengths.
    """
    x, y = (one.double().cpu().numpy() for one in (first, second))
    size = min(size, len(x), len(y))
    if size < 2 or x.shape[1] != y.shape[1]:
        raise ValueError(f"features {x.shape} and {y.shape}: two images of each are the least, of equal length")
    if size == len(x) == len(y):
        return KernelDistance(_discrepancy(x, y), None)
    random = np.random.RandomState(SEED)
    found = [_discrepancy(x[random.choice(len(x), size, replace=False)], y[random.choice(len(y), size, replace=False)])
             for _ in range(subsets)]
    return KernelDistance(float(np.mean(found)), float(np.std(found)))


def _discrepancy(x: np.ndarray, y: np.ndarray) -> float:
    """Of as many x as y [n, f]: no image is held against itself, which makes it unbiased."""
    n = len(x)
    within = sum(kernel.sum() - np.trace(kernel) for kernel in (_kernel(x, x), _kernel(y, y)))
    return float(within / (n * (n - 1)) - 2 * _kernel(x, y).mean())


def _kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x @ y.T / x.shape[1] + OFFSET) ** DEGREE
