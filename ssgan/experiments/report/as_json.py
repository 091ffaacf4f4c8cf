"""A comparison as plain values for JSON. Errors are fractions; what is infinite is null."""

import math
from typing import Any

from ssgan.experiments.report.forecast import COVERAGE, Interval
from ssgan.experiments.report.table import Comparison, Ensembles, Row, Series, Stat, paper_row
from ssgan.experiments.report.text import forecasts


def as_plain(comparison: Comparison) -> dict[str, Any]:
    """`series`, each with its table and its forecast, and what failed."""
    return {
        "series": [_series(series) for series in comparison.series],
        "failed": [{"run_id": run.run_id, "name": run.name, "status": run.status, "error": run.reason}
                   for run in comparison.failed],
        "repeated": comparison.repeated, "dropped": comparison.dropped}


def _series(series: Series) -> dict[str, Any]:
    kinds = sorted({result.error_from for row in series.rows for result in row.results})
    return {"title": series.title, "dataset": series.dataset, "error_from": kinds,
            "table": [_row(row) for row in series.rows],
            "paper": paper_row(series.dataset), "forecast": _forecast(series), "answers": forecasts(series)}


def _row(row: Row) -> dict[str, Any]:
    interval = row.stat.interval()
    return {
        "balanced_error": row.balanced_error and _stat(row.balanced_error),
        "labels": row.labels, "n": row.stat.n, "mean": row.stat.mean, "std": row.stat.std,
        "interval": [interval.low, interval.high] if interval else None, "median": row.median, "errors": row.errors,
        "runs": [result.run_id for result in row.results],
        "baselines": {name: _stat(stat) for name, stat in row.baselines.items()},
        "balanced_baselines": {name: _stat(stat) for name, stat in row.balanced_baselines.items()},
        "inception_score": row.score and _stat(row.score), "seconds": row.seconds,
        "efficientnet_score": row.efficientnet_score and _stat(row.efficientnet_score),
        "fid": row.fid and _stat(row.fid), "frechet_distance": row.fid and _stat(row.fid),  # under its older name
        "generated_only_error": row.generated_only_error and _stat(row.generated_only_error),
        "ensembles": {"same_split": _ensembles(row.same_split), "across_splits": _ensembles(row.across)}}


def _forecast(series: Series) -> dict[str, Any] | None:
    curve = series.forecast
    if curve is None:
        return None
    return {
        "coverage": COVERAGE, "floor": _interval(curve.floor),
        "doubling": [{"labels": row.labels, **_interval(curve.gain(row.labels, 2 * row.labels))}
                     for row in series.rows],
        "targets": [{"error": error, **_interval(needed)} for error, needed in series.targets.items()]}


def _ensembles(found: Ensembles | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {"uses_labels": found.labels, "groups": found.groups,
            "errors": {str(size): _stat(stat) for size, stat in found.errors.items()}}


def _stat(stat: Stat) -> dict[str, Any]:
    return {"mean": stat.mean, "std": stat.std, "n": stat.n}


def _interval(interval: Interval) -> dict[str, Any]:
    return {name: value if math.isfinite(value) else None for name, value in interval._asdict().items()}
