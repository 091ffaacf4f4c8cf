"""How the classes of a series do, as a table of texts."""

import statistics

from ssgan.evaluation.classifier import SCORES
from ssgan.experiments.report.results import Result
from ssgan.experiments.report.table import Series

MOST_CLASSES = 20  # shown, those with the lowest recall first
COLUMNS = {"recall": "recall, %", "precision": "precision, %", "f1": "F1, %"}


def class_table(series: Series) -> list[list[str]]:
    """A heading and a line for each class, in the mean over the runs of the largest budget; [] where a run does not
    tell of its classes.
    """
    row = series.rows[-1]
    if not all(result.by_class for result in row.results):
        return []
    names = [name for name in row.results[0].by_class if all(name in result.by_class for result in row.results)]
    means = {name: {score: _mean(row.results, name, score) for score in (*SCORES, "n")} for name in names}
    ordered = sorted((name for name in names if means[name]["recall"] is not None),
                     key=lambda name: means[name]["recall"])
    heading = [f"class, {row.labels:,} labels", "images", *COLUMNS.values()]
    lines = [[name, f"{means[name]['n']:,.0f}", *(_percent(means[name][score]) for score in COLUMNS)]
             for name in ordered[:MOST_CLASSES]]
    if len(ordered) > MOST_CLASSES:
        lines.append([f"{len(ordered) - MOST_CLASSES} more, which are better", *[""] * (len(heading) - 1)])
    rest = [name for name in names if means[name]["recall"] is None]
    return [heading, *lines, *([name, "0", *["–"] * len(COLUMNS)] for name in rest[:MOST_CLASSES])]


def _mean(results: tuple[Result, ...], name: str, score: str) -> float | None:
    """Of the runs in which it can be told."""
    found = [value for result in results if (value := result.by_class[name][score]) is not None]
    return statistics.mean(found) if found else None


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}"
