"""The error without a test part: the recipe is trained once a fold, and asked of the labelled images held out of it."""

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ssgan.config import Recipe
from ssgan.data.dataset import Dataset
from ssgan.data.folds import Folds, fold_count, make_folds
from ssgan.data.splits import Split, check_budget
from ssgan.evaluation import classifier
from ssgan.evaluation.baselines import Measured, fitted, measure_fitted
from ssgan.experiments.group_training import explain, train_group
from ssgan.techniques import classifier_alone
from ssgan.training import loop
from ssgan.training.trained_model import TrainedModel
from ssgan.training.trainer import Trainer

if TYPE_CHECKING:
    from ssgan.experiments.member import Group

SKIPPED = "left out by --no-estimate; `ssgan evaluate RUN` makes up for it"
TOO_FEW = "nothing can be estimated: fewer than two classes have two labels or more, one to learn from and one to ask"
MEND = "give the data a test part, or label more images of each class"


@dataclass(frozen=True, eq=False)
class Estimate:
    """What the held-out images say of one member, or the reason why nothing is known."""

    evaluation: classifier.Evaluation | None  # of the held-out answers of all folds
    folds: int = 0
    kept: dict[str, int] = field(default_factory=dict)  # classes of which none was held out, with their labels
    baselines: tuple[Measured, ...] = ()
    reason: str = ""

    def summary(self) -> dict[str, Any]:
        """As plain values for JSON."""
        if self.evaluation is None:
            return {"error_from": "none", "reason": self.reason, "not_estimated": self.kept}
        return self.evaluation.summary() | {"error_from": "cross-validation", "folds": self.folds,
                                            "not_estimated": self.kept}


def stages(dataset: Dataset, recipe: Recipe) -> tuple[str, ...]:
    """The names of the trainings that a run of the recipe has for its folds, for a person: none with a test part, or
    without labels.
    """
    if dataset.tested or not recipe.train.labelled_weight:
        return ()
    count = fold_count(check_budget(dataset, recipe.labels, recipe.split)[0])
    return tuple(_stage(number, count) for number in range(count))


def estimate(group: "Group", lane: int, table: Split) -> Estimate:
    """Trains what is not trained yet of one member's folds, each from its checkpoint on. Raises Interrupted."""
    if not group.estimate:
        return Estimate(None, reason=SKIPPED)
    images, alone = group.dataset.train, _alone(group, lane)
    folds = make_folds(images, table)
    kept = {images.classes[label]: count for label, count in folds.kept.items()}
    if not folds.tables:
        return Estimate(None, kept=kept, reason=f"{TOO_FEW}; {MEND}")
    answers = []
    for number, fold in enumerate(folds.tables):
        trainer = _train(alone, folds, number)
        if failures := trainer.failures():
            reason = f"in {_stage(number, len(folds.tables))}, {explain(failures[0], alone)}"
            return Estimate(None, len(folds.tables), kept, reason=reason)
        logits_of = TrainedModel.of_trainer(trainer).classifier(group.resolved.device)
        answers.append(classifier.evaluate(logits_of, images, torch.from_numpy(fold.test)))
    return Estimate(classifier.pooled(answers), len(answers), kept, _baselines(alone, folds))


def _train(alone: "Group", folds: Folds, number: int) -> Trainer:
    """The trainer of a fold at its end, saved until the run has been evaluated."""
    path = alone.folders[0].path / f"checkpoint-fold-{number + 1}.pt"
    trainer = train_group(alone, classifier_alone(alone.recipe), [folds.tables[number]],
                          _stage(number, len(folds.tables)), path, record=False)
    if trainer.first < trainer.steps:
        loop.save(trainer, path)  # so that the end of another fold does not cost this one again
    return trainer


def _baselines(alone: "Group", folds: Folds) -> tuple[Measured, ...]:
    """scikit-learn's methods on the same folds; networks would have to be trained once more for each."""
    wanted = fitted(alone.recipe)
    if not wanted:
        return ()
    alone.progress.begin("scikit-learn", 0)
    data = dataclasses.replace(alone.dataset, test=alone.dataset.train)
    rows = [measure_fitted(wanted, data, fold, fold.split_seed) for fold in folds.tables]
    alone.progress.end()
    return tuple(map(_pooled, zip(*rows, strict=True)))


def _pooled(parts: tuple[Measured, ...]) -> Measured:
    wrong, total = (np.sum([getattr(part, name) for part in parts], 0) for name in ("class_wrong", "class_total"))
    return Measured.of_classes(parts[0].name, wrong, total, sum(part.seconds for part in parts), parts[0].note)


def _alone(group: "Group", lane: int) -> "Group":
    """One member as a group of its own: folds of members differ in the length of their pools, and so in their steps."""
    return dataclasses.replace(group, members=[group.members[lane]], folders=[group.folders[lane]])


def _stage(number: int, count: int) -> str:
    return f"fold {number + 1} of {count}"
