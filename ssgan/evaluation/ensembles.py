"""Ensembles: the error of averaged probabilities, for every size from one member to all."""

import itertools
import math
from dataclasses import dataclass

import numpy as np

from ssgan.random_streams import numpy_generator

MOST_SUBSETS = 120  # all subsets of 10 members but the middle sizes'


@dataclass(frozen=True)
class Ensemble:
    """The mean error of `subsets` sets of `size` members; all such sets there are, unless `sampled`."""

    size: int
    error: float
    subsets: int
    sampled: bool


def ensembles(probabilities: np.ndarray, labels: np.ndarray, seed: int = 0) -> list[Ensemble]:
    """Ensembles of 1 to m members from their probabilities [m, n, k] for n images with these labels [n]."""
    members = len(probabilities)
    found = []
    for size in range(1, members + 1):
        subsets, sampled = _subsets(members, size, seed)
        errors = [float(np.mean(probabilities[list(subset)].mean(0).argmax(1) != labels)) for subset in subsets]
        found.append(Ensemble(size, float(np.mean(errors)), len(subsets), sampled))
    return found


def _subsets(members: int, size: int, seed: int) -> tuple[list[tuple[int, ...]], bool]:
    if math.comb(members, size) <= MOST_SUBSETS:
        return list(itertools.combinations(range(members), size)), False
    random = numpy_generator(seed, "ensembles", size)
    drawn: dict[tuple[int, ...], None] = {}
    while len(drawn) < MOST_SUBSETS:
        drawn[tuple(sorted(random.choice(members, size, replace=False).tolist()))] = None
    return list(drawn), True
