"""The numbers of a comparison: a series for each setting, a row for each label budget."""

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ssgan import recipes
from ssgan.evaluation.baselines import BASELINES
from ssgan.evaluation.ensembles import ensembles
from ssgan.evaluation.scoring_network import OWN
from ssgan.experiments.report.forecast import Forecast, Interval, forecast
from ssgan.experiments.report.results import Result

MOST_SERIES = 12
ERROR_NAMES = {"test": "test error", "cross-validation": "cross-validated error"}
LADDER = (0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)  # errors that people ask for


@dataclass(frozen=True)
class Stat:
    """Mean and standard deviation (ddof 1; None of one value) of n values."""

    mean: float
    std: float | None
    n: int

    @classmethod
    def of(cls, values: Iterable[float]) -> "Stat":
        """From the values, at least one."""
        found = list(values)
        return cls(statistics.mean(found), statistics.stdev(found) if len(found) > 1 else None, len(found))

    def half_width(self) -> float | None:
        """Of the 95 % interval of the mean by Student's t; None of one value."""
        if self.std is None:
            return None
        from scipy import stats

        return float(stats.t.ppf(0.975, self.n - 1)) * self.std / self.n**0.5

    def change(self, scale: float = 1, digits: int = 2) -> str:
        """The mean of differences with its 95 % interval; of one value without."""
        mean, half = scale * self.mean, self.half_width()
        if half is None:
            return f"{mean:+.{digits}f}"
        return f"{mean:+.{digits}f} ({mean - scale * half:+.{digits}f} to {mean + scale * half:+.{digits}f})"

    def interval(self) -> Interval | None:
        """The 95 % interval of the mean of errors; None of one value, and of values that came out alike, whose spread
        tells nothing.

        Student's t of the mean's logarithm (delta method: its standard error is that of the mean, relative to the
        mean), so that it stays above 0.
        """
        half = self.half_width()
        if not half:
            return None
        factor = math.exp(min(half / self.mean, 700))
        return Interval(self.mean, self.mean / factor, min(1.0, self.mean * factor))


@dataclass(frozen=True)
class Ensembles:
    """Errors of averaged probabilities by size, a mean over `groups` splits; `labels` is what the whole ensemble may
    have used.
    """

    labels: int
    groups: int
    errors: dict[int, Stat]

    @property
    def largest(self) -> tuple[int, Stat]:
        """The ensemble of all members."""
        return max(self.errors.items())


@dataclass(frozen=True, eq=False)
class Row:
    """The runs of one label budget."""

    labels: int
    results: tuple[Result, ...]
    same_split: Ensembles | None = None  # members of one split and different training seeds
    across: Ensembles | None = None  # members of different splits, which together have seen more labels

    @property
    def errors(self) -> list[float]:
        """Every run's error."""
        return [result.error for result in self.results]

    @property
    def stat(self) -> Stat:
        """Of the errors."""
        return Stat.of(self.errors)

    @property
    def median(self) -> float:
        """Of the errors."""
        return statistics.median(self.errors)

    @property
    def total(self) -> int | None:
        """The images on which a run's error was measured, if known."""
        return next((result.total for result in self.results if result.total), None)

    @property
    def baselines(self) -> dict[str, Stat]:
        """The errors of every baseline that all runs have."""
        return _stats([result.baselines for result in self.results])

    @property
    def balanced_error(self) -> Stat | None:
        """The mean of the classes' errors, where all runs have it and classes are uneven."""
        return (_stat_of_all([result.balanced_error for result in self.results])
                if any(result.uneven for result in self.results) else None)

    @property
    def balanced_baselines(self) -> dict[str, Stat]:
        """The same of the baselines."""
        return _stats([result.balanced_baselines for result in self.results]) if self.balanced_error else {}

    @property
    def score(self) -> Stat | None:
        """The Inception Score, where all runs have one, by one network that is not each run's own."""
        return self._by_one_network([result.score for result in self.results])

    @property
    def efficientnet_score(self) -> Stat | None:
        """EfficientNet's score, where all runs have one."""
        return self._by_one_network([result.efficientnet_score for result in self.results])

    @property
    def fid(self) -> Stat | None:
        """The Fréchet distance, where all runs have one, by one network."""
        return self._by_one_network([result.fid for result in self.results])

    @property
    def generated_only_error(self) -> Stat | None:
        """The error of what was trained on generated images alone, where all runs have one."""
        return _stat_of_all([result.generated_only_error for result in self.results])

    def _by_one_network(self, values: list[float | None]) -> Stat | None:
        networks = {result.network for result in self.results}
        each_its_own = networks == {OWN} and len(self.results) > 1
        return _stat_of_all(values) if len(networks) == 1 and not each_its_own else None

    @property
    def seconds(self) -> float:
        """A run's time, in the mean."""
        return statistics.mean(result.seconds for result in self.results)

    def measurements(self) -> dict[str, float]:
        """Name and value for the summary run, whose steps are label budgets."""
        found = {"sweep/error_mean": self.stat.mean, "sweep/error_median": self.median,
                 "sweep/error_best": min(self.errors), "sweep/error_worst": max(self.errors),
                 "sweep/runs": float(len(self.results))}
        return found | {f"sweep/baseline/{name}": stat.mean for name, stat in self.baselines.items()}


@dataclass(frozen=True, eq=False)
class Series:
    """The rows of one setting, by rising budget."""

    title: str
    dataset: str
    settings: dict[str, str]
    rows: tuple[Row, ...]
    forecast: Forecast | None
    targets: dict[float, Interval] = field(default_factory=dict)  # error: labels needed

    @property
    def images(self) -> int | None:
        """Training images of the data set, if known."""
        return next((result.images for row in self.rows for result in row.results if result.images), None)

    @property
    def error_name(self) -> str:
        """What its error is: of test images, or of labelled ones that were held out."""
        kinds = {result.error_from for row in self.rows for result in row.results}
        return "error" if len(kinds) > 1 else ERROR_NAMES[kinds.pop()]

    def gain(self, fewer: Row, more: Row) -> Stat:
        """The measured fall of the error from one budget to another; of the same seeds where they were run with
        both.
        """
        first, second = ({result.key[1:]: result.error for result in row.results} for row in (fewer, more))
        common = first.keys() & second.keys()
        if len(common) >= 2:
            return Stat.of(first[key] - second[key] for key in sorted(common))
        return Stat(fewer.stat.mean - more.stat.mean, None, len(common))


@dataclass(frozen=True, eq=False)
class Comparison:
    """Series of one or more settings, what failed, and how many older runs of the same settings and seeds were left
    out. A run that failed after it was evaluated has its error in a series, and is among the failed.
    """

    series: tuple[Series, ...]
    failed: tuple[Result, ...]
    repeated: int
    dropped: int  # series beyond the most that a page can show


def compare(results: Sequence[Result], targets: Sequence[float] = ()) -> Comparison:
    """The comparison of runs, the series with most runs first; `targets` are errors for which the needed labels are
    forecast.
    """
    newest: dict[tuple, Result] = {}
    done = [result for result in results if result.error is not None]
    for result in sorted(done, key=lambda result: result.ended):
        newest[(result.dataset, *sorted(result.settings.items()), *result.key)] = result
    groups: dict[tuple, list[Result]] = defaultdict(list)
    for result in newest.values():
        groups[(result.dataset, *sorted(result.settings.items()))].append(result)
    ordered = sorted(groups.values(), key=lambda group: (-len(group), -max(result.ended for result in group)))
    titles = _titles(ordered[:MOST_SERIES])
    series = tuple(_series(title, group, targets) for title, group in zip(titles, ordered))
    failed = tuple(result for result in results if result.error is None or not result.finished)
    return Comparison(series, failed, len(done) - len(newest), max(0, len(ordered) - MOST_SERIES))


def _stats(found: Sequence[Mapping[str, float]]) -> dict[str, Stat]:
    """Of every baseline that all have."""
    return {name: Stat.of(each[name] for each in found) for name in BASELINES if all(name in each for each in found)}


def _stat_of_all(values: list[float | None]) -> Stat | None:
    """Of the values, where none is missing."""
    return None if None in values else Stat.of(values)


def paper_row(dataset: str) -> dict[str, Any] | None:
    """A paper's errors on that data set, in per cent by budget, from a shipped recipe's evidence."""
    for name in recipes.names():
        file = recipes.read(name)
        if file.recipe.dataset == dataset and "paper" in file.evidence:
            return file.evidence["paper"]
    return None


def _series(title: str, results: list[Result], targets: Sequence[float]) -> Series:
    by_budget: dict[int, list[Result]] = defaultdict(list)
    for result in sorted(results, key=lambda result: result.key):
        by_budget[result.labels].append(result)
    rows = tuple(_row(labels, tuple(by_budget[labels])) for labels in sorted(by_budget))
    total = next((result.total for result in results if result.total), 1000)
    curve = forecast({row.labels: row.errors for row in rows}, smallest=0.5 / total)
    asked = {} if curve is None else {target: curve.labels_for(target)
                                      for target in sorted({*targets, *(() if targets else _usual(rows))},
                                                           reverse=True)}
    return Series(title, results[0].dataset, results[0].settings, rows, curve, asked)


def _usual(rows: Sequence[Row]) -> list[float]:
    """Up to three round errors: below the largest budget's, and the nearest above."""
    best = rows[-1].median
    below = [error for error in LADDER if error < best][:2]
    above = [error for error in LADDER if best <= error < rows[0].median][-1:]
    return above + below


def _row(labels: int, results: tuple[Result, ...]) -> Row:
    splits: dict[int, list[Result]] = defaultdict(list)
    for result in results:
        splits[result.split_seed].append(result)
    same = [group for group in splits.values() if len(group) > 1]
    firsts = [group[0] for group in splits.values()]
    across = _ensembles([firsts], labels * len(firsts)) if len(firsts) > 1 else None
    return Row(labels, results, _ensembles(same, labels) if same else None, across)


def _ensembles(groups: list[list[Result]], labels: int) -> Ensembles | None:
    """The errors by size, over the sizes that every group has; None where a run did not keep its answers."""
    tables = []
    for group in groups:
        kept = [result.probabilities() for result in group]
        if any(answers is None for answers in kept) or any(not np.array_equal(answers[1], kept[0][1])
                                                           for answers in kept):
            return None
        tables.append(ensembles(np.stack([answers[0] for answers in kept]), kept[0][1]))
    sizes = min(map(len, tables))
    return Ensembles(labels, len(groups), {i + 1: Stat.of(table[i].error for table in tables) for i in range(sizes)})


def _titles(groups: list[list[Result]]) -> list[str]:
    """What tells the series apart: the data set, the recipe, and the settings that differ among those of a data set."""
    found = []
    for group in groups:
        first = group[0]
        others = [other[0].settings for other in groups if other[0].dataset == first.dataset]
        differing = [key for key in first.settings if any(other.get(key) != first.settings[key] for other in others)]
        named = [result.recipe for result in group if result.recipe]
        name = named[-1] if named else first.dataset
        found.append(", ".join([name, *(f"{key}={first.settings[key]}" for key in differing[:4])])
                     + (" …" if len(differing) > 4 else ""))
    return [title if found.count(title) == 1 else f"{title} ({i})" for i, title in enumerate(found, 1)]
