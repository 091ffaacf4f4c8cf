"""Tuning: a grid over recipe keys, judged by the error on held-out training images and never on test images."""

import math
import statistics
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Any

from ssgan.config import Recipe
from ssgan.data.dataset import Dataset
from ssgan.data.splits import most_validation
from ssgan.errors import Mistake, NothingFinished
from ssgan.experiments.grid import Plan, worker_count, written
from ssgan.experiments.progress import duration
from ssgan.experiments.report.markdown_table import markdown_table
from ssgan.experiments.report.table import Stat
from ssgan.experiments.report.text import spread
from ssgan.experiments.run import TUNE_TAG, Setting, validation_error
from ssgan.experiments.scheduler import folder_of, run_groups, summary_run
from ssgan.random_streams import FIRST_TO_TUNE
from ssgan.techniques import TECHNIQUES, classifier_alone
from ssgan.tracking import run_ids
from ssgan.tracking.workfolder import WorkFolder
from ssgan.training.execution import find_device

ROUNDING = 1e-9
SHARE = 6  # one in so many training images is held out, unless another number is asked for


@dataclass(frozen=True, eq=False)
class Trial:
    """One run."""

    seed: int
    split_seed: int
    error: float | None  # of the validation images; None where it did not come through
    folder: WorkFolder


@dataclass(frozen=True, eq=False)
class Row:
    """The runs of one choice of the grid's values, at one label budget."""

    grid: dict[str, Any]
    trials: tuple[Trial, ...]

    @property
    def errors(self) -> list[float]:
        """Of the runs that came through."""
        return [trial.error for trial in self.trials if trial.error is not None]

    @property
    def stat(self) -> Stat | None:
        """Of the errors, if there are any."""
        return Stat.of(self.errors) if self.errors else None

    @property
    def seconds(self) -> float | None:
        """A training's, in the mean of the runs that came through."""
        found = [trial.folder.facts["stages"]["train"]["seconds"] for trial in self.trials if trial.error is not None]
        return statistics.mean(found) if found else None

    @property
    def name(self) -> str:
        """The values as one writes them."""
        return ", ".join(written(self.grid))

    @property
    def rank(self) -> tuple[int, float]:
        """Rows are sorted by it: a value with which runs are lost stands behind those with which fewer are."""
        return len(self.trials) - len(self.errors), self.stat.mean if self.stat else math.inf


@dataclass(frozen=True, eq=False)
class Tuning:
    """A grid that has been tried out."""

    folder: WorkFolder  # the summary run's
    plan: Plan
    validation: int  # images that judged each run
    images: int  # of known class, from which they were taken
    budgets: dict[int, list[Row]]  # by label budget, the best row first

    @property
    def lost(self) -> list[Trial]:
        """The runs that did not come through."""
        return [trial for rows in self.budgets.values() for row in rows for trial in row.trials if trial.error is None]


def check(plan: Plan) -> None:
    """Raises Mistake for what is no honest tuning, whatever the data."""
    if not plan.grid:
        raise Mistake("nothing to choose from: name a key of the recipe and its values, for example --grid "
                      "train.learning_rate=0.001,0.003.")
    for key in (assignment.partition("=")[0].strip() for assignment in plan.grid):
        if key == "split.validation":
            raise Mistake(f"--grid {key}: all values must be judged on as many images; name their number with "
                          f"--validation.")
        section = key.partition(".")[0]
        if section == "score" or (section in TECHNIQUES and TECHNIQUES[section].generates):
            raise Mistake(f"--grid {key}: it does not change the classifier, and tuning looks at nothing else.")
    for _, split_seed in plan.seeds:
        if split_seed < FIRST_TO_TUNE:
            raise Mistake(f"split seed {split_seed}: tuning takes split seeds from {FIRST_TO_TUNE} on. Those below are "
                          f"for results, which would look better\n"
                          "than they are with settings chosen on the same splits. Leave --split-seeds out, or write "
                          "--split-seeds 1000-1002, say.")
    plan.variants()


def run_tune(plan: Plan, dataset: Dataset, setting: Setting, validation: int | None = None,
             workers: int | None = 1) -> Tuning:
    """Trains every member that is not trained yet, on what `validation` held-out training images leave, and judges it
    by these.

    Without that number it is the recipe's own, or a sixth of the training images. `workers` as for a sweep. No test
    image is evaluated. Raises Mistake before anything is written, NothingFinished, with the Tuning, where no member
    came through, and Interrupted.
    """
    check(plan)
    plan = _held_out(plan, dataset, validation)
    with summary_run("tune", plan, dataset, replace(setting, until="train")) as (folder, groups):
        count = worker_count(workers, groups, find_device(setting.device))
        tags = setting.tags | {TUNE_TAG: folder.fingerprint, "ssgan.kind": "tune"}
        run_groups("tune", plan, groups, dataset, replace(setting, tags=tags, until="train"), count)
        found = Tuning(folder, plan, plan.recipe.split.validation, len(dataset.train.known),
                       _rows(plan, dataset, setting))
        if not any(row.errors for rows in found.budgets.values() for row in rows):
            first = next((trial.folder.facts["error"] for trial in found.lost if trial.folder.facts.get("error")),
                         "it has not begun")
            raise NothingFinished(f"none of the {len(found.lost)} runs came through. The first: {first}", found)
        folder.update(tags=folder.facts["tags"] | {"mlflow.note.content": markdown(found)})
    return found


def verdict(rows: list[Row]) -> str:
    """Which value of a budget is best, and whether it differs from the second by more than the seeds' spread."""
    best = rows[0]
    if not best.errors:
        return "no run came through."
    if len(rows) == 1:
        return f"{best.name} is the only value."
    second, lead = rows[1], difference(rows[0], rows[1])
    if second.rank[0] > best.rank[0]:
        return f"{best.name} is best: with {second.name} {second.rank[0]} of {len(second.trials)} runs were lost."
    if lead is None or lead.std is None:
        return (f"{best.name} is best, {second.name} is second; with fewer than two seeds in common nothing can be "
                f"said of whether they differ.")
    if lead.std < ROUNDING:
        same = ("they are equal with every seed" if abs(lead.mean) < ROUNDING
                else f"it is {100 * lead.mean:.2f} points better with every seed alike")
        return (f"{best.name} is best, {second.name} is second: {same}, so the {lead.n} seeds tell nothing of the "
                f"spread.")
    half = lead.half_width()
    found = (f"{best.name} is best, {100 * lead.mean:.2f} points better than {second.name} in the mean of {lead.n} "
             f"seeds "
             f"(paired by seed, 95 % interval {100 * (lead.mean - half):.2f} to {100 * (lead.mean + half):.2f})")
    return (f"{found}: more than the seeds' spread." if lead.mean > half
            else f"{found}: no more than the seeds' spread, so either may be the better one.")


def difference(best: Row, second: Row) -> Stat | None:
    """How much lower the best one's error is, over the seeds that came through with both; None where there are none."""
    first, other = ({(trial.seed, trial.split_seed): trial.error for trial in row.trials if trial.error is not None}
                    for row in (best, second))
    found = [other[key] - first[key] for key in first if key in other]
    return Stat.of(found) if found else None


def markdown(found: Tuning) -> str:
    """How it was judged, the table, and a verdict on each budget."""
    keys = list(found.budgets[found.plan.budgets[0]][0].grid)
    seeds = ", ".join(f"{seed} on split {split}" for seed, split in found.plan.seeds)
    splits = len({split for _, split in found.plan.seeds})
    cells = [["labels", *keys, "validation error, %, mean ± std", "median", "n", "training", f"every seed: {seeds}"]]
    for labels, rows in found.budgets.items():
        for row in rows:
            values = [value.partition("=")[2] for value in written(row.grid)]
            each = ", ".join("lost" if trial.error is None else f"{100 * trial.error:.2f}" for trial in row.trials)
            median = f"{100 * statistics.median(row.errors):.2f}" if row.errors else ""
            stat, took = (spread(row.stat), duration(row.seconds)) if row.errors else ("none", "")
            cells.append([labels, *values, stat, median, len(row.errors), took, each])
    lines = [
        f"Judged by the error on {found.validation:,} validation images of each of {splits} split{'s' * (splits > 1)}, "
        f"held out of the {found.images:,} training images ({100 * found.validation / found.images:.0f} %; "
        f"one image is {100 / found.validation:.2f} points). No test image was looked at.", "",
        markdown_table(cells), "", *(f"{labels} labels: {verdict(rows)}" for labels, rows in found.budgets.items())]
    return "\n".join(lines) + "\n"


def as_plain(found: Tuning) -> dict[str, Any]:
    """The same as plain values for JSON; errors are fractions."""
    ids = run_ids(found.folder)
    return {
        "tune": found.folder.fingerprint, "summary_run_id": ids[-1] if ids else None,
        "name": found.folder.facts["name"], "dataset": found.plan.recipe.dataset, "validation": found.validation,
        "training_images": found.images,
        "budgets": [{"labels": labels, "best": rows[0].grid if rows[0].errors else None, "verdict": verdict(rows),
                     "difference": _lead(rows), "rows": [_row(row) for row in rows]}
                     for labels, rows in found.budgets.items()],
        "lost": len(found.lost)}


def _lead(rows: list[Row]) -> dict[str, Any] | None:
    lead = difference(*rows[:2]) if len(rows) > 1 else None
    if lead is None:
        return None
    half = lead.half_width()
    return {"mean": lead.mean, "std": lead.std, "n": lead.n, "interval": None if half is None
            else [lead.mean - half, lead.mean + half]}


def _row(row: Row) -> dict[str, Any]:
    runs = [{"seed": trial.seed, "split_seed": trial.split_seed, "validation_error": trial.error,
             "status": trial.folder.facts.get("status"),
             "run_id": (run_ids(trial.folder) or [trial.folder.fingerprint])[-1], "folder": str(trial.folder.path)}
             for trial in row.trials]
    stat = row.stat
    return {"grid": row.grid, "n": len(row.errors), "mean": stat and stat.mean, "std": stat and stat.std,
            "median": statistics.median(row.errors) if row.errors else None, "seconds": row.seconds, "runs": runs}


def _held_out(plan: Plan, dataset: Dataset, asked: int | None) -> Plan:
    """The plan with its number of validation images. Raises Mistake."""
    recipe, most = plan.recipe, max(plan.budgets)
    replace(plan, recipe=_with_validation(recipe, 0)).check(dataset, "train")
    room = most_validation(dataset, most, recipe.split)
    if room < 1:
        raise Mistake(f"--labels {most}: of a class of {dataset.name} no training image would be left to judge by; "
                      f"take fewer labels.")
    wanted = asked or recipe.split.validation or min(room, max(1, len(dataset.train.known) // SHARE))
    if wanted > room:
        raise Mistake(f"--validation {wanted}: beside {most} labels {dataset.name} has room for {room}; try "
                      f"--validation {room}, or fewer labels.")
    return replace(plan, recipe=_with_validation(recipe, wanted))


def _with_validation(recipe: Recipe, images: int) -> Recipe:
    """Judged is the classifier: what is trained after it is left out."""
    return replace(classifier_alone(recipe), split=replace(recipe.split, validation=images))


def _rows(plan: Plan, dataset: Dataset, setting: Setting) -> dict[int, list[Row]]:
    trials: dict[Recipe, list[Trial]] = defaultdict(list)
    for member in plan.members():
        folder = folder_of(member, dataset, setting)
        trials[member.recipe].append(Trial(member.seed, member.split_seed, validation_error(folder), folder))
    return {labels: sorted((Row(grid, tuple(trials[replace(recipe, labels=labels)]))
                            for grid, recipe in plan.variants()), key=lambda row: row.rank)
            for labels in plan.budgets}
