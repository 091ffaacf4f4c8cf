"""The label-efficiency picture of a recipe's recorded evidence: the report's own curve, of the file's rows for runs."""

import hashlib
import json
from dataclasses import replace
from typing import Any

from ssgan.errors import Mistake
from ssgan.evaluation.baselines import BASELINES
from ssgan.experiments.report.curve import picture
from ssgan.experiments.report.evidence import evidence_rows
from ssgan.experiments.report.results import Result
from ssgan.experiments.report.table import Comparison, compare, paper_row
from ssgan.recipes import RecipeFile

NOTE = "ssgan evidence"  # under which the PNG tells what it was drawn from


def evidence_picture(file: RecipeFile) -> bytes:
    """The PNG: the recipe's first row with every seed, its baselines, and the paper's row where its data set has one.

    Baselines are the rows that open with a baseline's name and have all seeds of the first; other rows are left out.
    Raises Mistake for a recipe without evidence, or with evidence that is not whole.
    """
    rows = evidence_rows(file)
    if not rows:
        raise Mistake(f"--picture: recipe {file.name} has no evidence that could be drawn; "
                      "`ssgan recipes --evidence` tells which have.")
    runs = len(rows[0]["split_seeds"])
    title = f"{file.name}: {runs} choice{'s' * (runs > 1)} of the labelled images at every label budget"
    return picture(recorded(file), file.recipe.dataset, title, {NOTE: evidence_hash(file)})


def recorded(file: RecipeFile) -> Comparison:
    """A recipe's evidence as the comparison of the runs that it is of; no forecast, for it shows what was measured."""
    own, *others = evidence_rows(file)
    baselines = {name: row for row in others for name in BASELINES
                 if row["what"].removeprefix("scikit-learn ").startswith(name)}
    found = compare([_result(file, own, baselines, int(labels), seed)
                     for labels in own["errors"] for seed in own["split_seeds"]])
    return replace(found, series=tuple(replace(series, forecast=None, targets={}) for series in found.series))


def evidence_hash(file: RecipeFile) -> str:
    """The SHA-256, in hexadecimal digits, of all that a recipe's picture shows."""
    series, = recorded(file).series
    runs = [[row.labels, result.split_seed, result.error, result.baselines]
            for row in series.rows for result in row.results]
    shown = {"name": file.name, "runs": runs, "paper": paper_row(file.recipe.dataset)}
    return hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()


def _result(file: RecipeFile, own: dict[str, Any], baselines: dict[str, dict[str, Any]],
            labels: int, seed: int) -> Result:
    errors = {name: _error(row, labels, seed) for name, row in baselines.items()}
    return Result(
        run_id="", name=file.name, dataset=file.recipe.dataset, recipe=file.name, labels=labels, seed=seed,
        split_seed=seed, status="FINISHED", error=_error(own, labels, seed), total=None,
        baselines={name: error for name, error in errors.items() if error is not None}, score=None, score_real=None,
        seconds=0.0, ended=0.0, settings={}, images=None, fetch=lambda pattern: None)


def _error(row: dict[str, Any], labels: int, seed: int) -> float | None:
    """A row's error, as a fraction, at a budget and split seed; None where it has none."""
    errors = row["errors"].get(str(labels))
    return errors[row["split_seeds"].index(seed)] / 100 if errors and seed in row["split_seeds"] else None
