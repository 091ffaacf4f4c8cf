"""The baselines of a lane group's members: the same network trained without something, and scikit-learn's methods."""

import dataclasses
import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import torch

from ssgan.config import Recipe
from ssgan.data.splits import Split
from ssgan.evaluation import classifier
from ssgan.evaluation.baselines import Measured, fitted, measure_fitted, trained_without
from ssgan.experiments.group_training import train_group
from ssgan.files import write_text
from ssgan.tracking.workfolder import WorkFolder
from ssgan.training import loop
from ssgan.training.execution import compile_problem
from ssgan.training.trained_model import TrainedModel
from ssgan.training.trainer import Trainer

if TYPE_CHECKING:
    from ssgan.experiments.member import Group


FITTED = "fitted.json"  # in a work folder, until the run has been evaluated: what scikit-learn's methods came to


def train_all(group: "Group", tables: list[Split]) -> None:
    """Trains the networks up to their checkpoints, from which `measure_all` then takes them. Raises Interrupted."""
    for recipe in trained_without(group.recipe):
        train(group, tables, recipe)


def measure_all(group: "Group", tables: list[Split]) -> list[dict[str, Measured]]:
    """Every lane's baselines by name, trained where they are not yet. Raises Interrupted."""
    rows: list[dict[str, Measured]] = [{} for _ in group.members]
    for recipe, served in trained_without(group.recipe).items():
        for lane, measured in _measure(group, tables, recipe).items():
            rows[lane] |= {baseline.name: dataclasses.replace(measured, name=baseline.name, note=baseline.note)
                           for baseline in served}
    return rows


def fit_all(group: "Group", tables: list[Split]) -> None:
    """Fits scikit-learn's methods on every lane's split, and saves what they came to, which `fit` then takes."""
    for lane, folder in enumerate(group.folders):
        rows = [dataclasses.asdict(measured) for measured in fit(group, lane, tables[lane])]
        if rows:
            write_text(folder.path / FITTED, json.dumps(rows))


def fit(group: "Group", lane: int, table: Split) -> list[Measured]:
    """scikit-learn's baselines of one lane, fitted where that has not been done."""
    wanted, found = fitted(group.recipe), _saved(group.folders[lane])
    missing = [baseline for baseline in wanted if baseline.name not in found]
    if missing:
        group.progress.begin("scikit-learn", 0)
        rows = measure_fitted(missing, group.dataset, table, group.members[lane].split_seed)
        found |= {measured.name: measured for measured in rows}
        group.progress.end()
    return [found[baseline.name] for baseline in wanted]


def forget(folder: WorkFolder) -> None:
    """Removes what was saved until the run has been evaluated."""
    for path in (*folder.path.glob("checkpoint-*.pt"), folder.path / FITTED):
        path.unlink(missing_ok=True)


def _saved(folder: WorkFolder) -> dict[str, Measured]:
    """By name; none where there is no file, or not a whole one."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        rows = json.loads((folder.path / FITTED).read_text())
        return {row["name"]: Measured(**{key: tuple(value) if isinstance(value, list) else value
                                         for key, value in row.items()}) for row in rows}
    return {}


def train(group: "Group", tables: list[Split], recipe: Recipe) -> Trainer:
    """The trainer of a recipe of baselines at its end, saved until the run has been evaluated. Raises Interrupted."""
    stage = _stage(group, recipe)
    path = group.folders[0].path / f"checkpoint-{stage}.pt"
    if group.resolved.compiled and compile_problem(recipe, group.dataset.train, group.resolved,
                                                   lambda: group.progress.begin(f"{stage}: compiling the step", 0)):
        group = dataclasses.replace(group, resolved=dataclasses.replace(group.resolved, compiled=False))
    trainer = train_group(group, recipe, tables, stage, path, record=False)
    if trainer.first < trainer.steps:
        loop.save(trainer, path)  # so that the end of another baseline does not cost this one again
    return trainer


def _measure(group: "Group", tables: list[Split], recipe: Recipe) -> dict[int, Measured]:
    """The recipe trained on every lane's split and evaluated, by lane; a lane that failed is left out."""
    trainer, stage = train(group, tables, recipe), _stage(group, recipe)
    failed = {failure.lane for failure in trainer.failures()}
    rows = {}
    for lane in set(range(len(group.members))) - failed:
        began = time.monotonic()
        logits_of = TrainedModel.of_trainer(trainer, lane).classifier(group.resolved.device)
        result = classifier.evaluate(logits_of, group.dataset.test, torch.from_numpy(tables[lane].test))
        result.save(group.folders[lane].stage_folder("evaluate") / f"{stage}.npz")
        seconds = trainer.seconds / len(group.members) + time.monotonic() - began
        rows[lane] = Measured.of(stage, result.confusion, seconds, "")
    return rows


def _stage(group: "Group", recipe: Recipe) -> str:
    """What the training and its files are named after: the first of the baselines that it serves."""
    return trained_without(group.recipe)[recipe][0].stage
