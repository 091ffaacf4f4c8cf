"""The baselines that are the same network trained without something, on the splits of a lane group's members."""

import dataclasses
import time
from typing import TYPE_CHECKING

import torch

from ssgan.config import Recipe
from ssgan.data.splits import Split
from ssgan.evaluation import classifier
from ssgan.evaluation.baselines import Measured, trained_without
from ssgan.experiments.group_training import train_group
from ssgan.training import loop
from ssgan.training.execution import compile_problem
from ssgan.training.trained_model import TrainedModel
from ssgan.training.trainer import Trainer

if TYPE_CHECKING:
    from ssgan.experiments.member import Group


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


def train(group: "Group", tables: list[Split], recipe: Recipe) -> Trainer:
    """The trainer of a recipe of baselines at its end, saved until the run has been evaluated. Raises Interrupted."""
    stage = _stage(group, recipe)
    path = group.folders[0].path / f"checkpoint-{stage}.pt"
    if group.resolved.compiled and compile_problem(recipe, group.dataset.train, group.resolved):
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
