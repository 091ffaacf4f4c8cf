"""The forecast of a label-efficiency curve: a power law with a floor, its intervals by bootstrap over seeds."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ssgan.random_streams import numpy_generator

BUDGETS, SEEDS = 4, 3  # the least that a forecast is made from
COVERAGE = 0.9
DRAWS = 1000
# budgets with few seeds borrow their spread from the others, as if each had so many runs more of the common spread
PRIOR_RUNS = 4
MEDIAN_COST = 1.4  # variance of a few numbers' median, over that of their mean
# what a floor must improve the chi-square by: without it every curve would be a little too flat at its end
FLOOR_COST = 1.0
USUAL_EXPONENT, EXPONENT_SPREAD = 0.8, 1.0  # of the weak prior of the logarithm of the exponent


class Interval(NamedTuple):
    """The middle of the bootstrap's curves, and the limits between which 90 % of them lie."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Forecast:
    """Bootstrap curves e(N) = scale * (share + (1 - share) * (N / first)^-exponent), so the floor is scale * share. All
    arrays [d].
    """

    budgets: tuple[int, ...]
    scale: np.ndarray
    share: np.ndarray
    exponent: np.ndarray

    def error(self, labels: float) -> Interval:
        """The typical (median) error of a run with so many labels."""
        return _interval(self._curves(labels))

    def gain(self, labels: float, more: float) -> Interval:
        """How far the error falls from `labels` to `more`."""
        return _interval(self._curves(labels) - self._curves(more))

    def labels_for(self, error: float) -> Interval:
        """The labels that bring the error down to this; inf where most curves never come there."""
        rest = (error / self.scale - self.share) / (1 - self.share)
        needed = np.full(len(rest), math.inf)
        reached = rest > 0
        with np.errstate(over="ignore"):
            needed[reached] = self.budgets[0] * rest[reached] ** (-1 / self.exponent[reached])
        return _interval(needed)

    @property
    def floor(self) -> Interval:
        """The error that no number of labels takes away."""
        return _interval(self.scale * self.share)

    def _curves(self, labels: float) -> np.ndarray:
        return self.scale * (self.share + (1 - self.share) * (labels / self.budgets[0]) ** -self.exponent)


def forecast(errors: Mapping[int, Sequence[float]], smallest: float, seed: int = 0) -> Forecast | None:
    """The forecast from the errors of every seed by budget; None from fewer than four budgets of three seeds or more.

    Each curve of the bootstrap is fitted to the medians of seeds drawn anew at every budget, in logarithms, for errors
    of a small budget often fall in two heaps. `smallest` stands for an error of 0: half a test image, say.
    """
    budgets = tuple(sorted(budget for budget, found in errors.items() if len(found) >= SEEDS))
    if len(budgets) < BUDGETS:
        return None
    logs = [np.log(np.maximum(errors[budget], smallest)) for budget in budgets]
    centres, spread = np.array([np.median(found) for found in logs]), _standard_errors(logs)  # [m], [m]
    drawn = centres + spread * _deviations(logs, seed)  # [d, m]
    return Forecast(budgets, *_fit(drawn, 1 / spread**2, np.array(budgets) / budgets[0]))


def _standard_errors(logs: list[np.ndarray]) -> np.ndarray:
    """Of each budget's median [m]; widened by Student's t, because the spread of few seeds is itself uncertain."""
    from scipy import stats

    counts = np.array([len(found) for found in logs])
    variances = np.array([found.var(ddof=1) for found in logs])
    common = np.average(variances, weights=counts - 1)
    variances = (PRIOR_RUNS * common + (counts - 1) * variances) / (PRIOR_RUNS + counts - 1)
    tail = (1 + COVERAGE) / 2
    widening = stats.t.ppf(tail, (counts - 1).sum()) / stats.norm.ppf(tail)
    return np.maximum(widening * np.sqrt(MEDIAN_COST * variances / counts), 1e-3)


def _deviations(logs: list[np.ndarray], seed: int) -> np.ndarray:
    """The medians of seeds drawn with replacement [d, m], less the median, in units of their standard deviation."""
    columns = []
    for number, found in enumerate(logs):
        random = numpy_generator(seed, "forecast", number)
        medians = np.median(found[random.integers(len(found), size=(DRAWS, len(found)))], axis=1) - np.median(found)
        spread = medians.std()
        columns.append(medians / spread if spread > 0 else random.standard_normal(DRAWS))
    return np.stack(columns, 1)


def _fit(targets: np.ndarray, weights: np.ndarray, budgets: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scale, share and exponent [d] of the least weighted squares to log errors [d, m], over a grid in which the scale
    has a closed form.
    """
    shares = np.concatenate([[0.0], np.geomspace(1e-3, 0.999, 60)])
    share, exponent = (grid.ravel() for grid in np.meshgrid(shares, np.geomspace(0.1, 4, 50), indexing="ij"))  # [g]
    shapes = np.log(share[:, None] + (1 - share[:, None]) * budgets ** -exponent[:, None])  # [g, m]
    portion = weights / weights.sum()
    shapes_, targets_ = shapes - (shapes @ portion)[:, None], targets - (targets @ portion)[:, None]
    # [d, g], without what depends on the target alone
    cost = (shapes_**2 @ weights) - 2 * (targets_ * weights) @ shapes_.T
    cost += FLOOR_COST * (share > 0) + (np.log(exponent / USUAL_EXPONENT) / EXPONENT_SPREAD) ** 2
    best = cost.argmin(1)
    return np.exp((targets - shapes[best]) @ portion), share[best], exponent[best]


def _interval(values: np.ndarray) -> Interval:
    # Values themselves, not means of two of them: some are infinite.
    low, middle, high = np.quantile(values, [(1 - COVERAGE) / 2, 0.5, (1 + COVERAGE) / 2], method="inverted_cdf")
    return Interval(float(middle), float(low), float(high))
