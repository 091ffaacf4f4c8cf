"""`BASELINES`: what a classifier is compared with on the same split, one object each.

To add one, write its line in the dict: what trains, tells the time left, measures and reports reads it from there.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ssgan.config import Recipe
from ssgan.data.dataset import Dataset
from ssgan.data.splits import Split
from ssgan.evaluation import classical
from ssgan.techniques import without
from ssgan.techniques.label_spreading import label_spreading

SUPERVISED = "supervised only"
NO_GENERATOR = "no generator"


@dataclass(frozen=True)
class Measured:
    """A baseline's errors on the test images; `note` says what it saw."""

    name: str
    wrong: int
    total: int
    error: float
    balanced_error: float  # the mean of the classes' errors
    class_wrong: tuple[int, ...]  # [k] of each class
    class_total: tuple[int, ...]  # [k]
    seconds: float
    note: str

    @classmethod
    def of(cls, name: str, confusion: np.ndarray, seconds: float, note: str) -> "Measured":
        """Of the counts of answers [k, k], rows the true classes."""
        total = confusion.sum(1)
        return cls.of_classes(name, total - confusion.diagonal(), total, seconds, note)

    @classmethod
    def of_classes(cls, name: str, wrong: np.ndarray, total: np.ndarray, seconds: float, note: str) -> "Measured":
        """Of the wrong answers and of all of each class, both [k]."""
        there = total > 0
        return cls(name, int(wrong.sum()), int(total.sum()), float(wrong.sum() / total.sum()),
                   float((wrong[there] / total[there]).mean()), tuple(wrong.tolist()), tuple(total.tolist()), seconds,
                   note)


@dataclass(frozen=True)
class Baseline(ABC):
    """Something that a run is compared with."""

    name: str
    note: str  # what it sees, for a person
    switch: str  # the key of [evaluate] that asks for it
    cost: float  # its time, in units of a training with a generator

    @property
    def key(self) -> str:
        """The name in names of measurements."""
        return "".join(sign if sign.isalnum() else "_" for sign in self.name.lower())

    def metric(self, where: str = "test", kind: str = "error") -> str:
        """The name under which its error, or its balanced_error, is measured."""
        return f"{where}/{self.key}_{kind}"

    @abstractmethod
    def wanted(self, recipe: Recipe) -> bool:
        """Whether the recipe asks for it."""


@dataclass(frozen=True)
class TrainedWithout(Baseline):
    """The same network, noise, augmentation, averaging and steps, trained without something."""

    where: str  # a key that must be on for the comparison to tell something; "" where it always does
    gain: str  # the name under which is measured how much better the run is; "" where it is not
    unseen: frozenset[str] = frozenset()  # what it may not see: every technique that sees any of it is off
    off: tuple[str, ...] = ()  # further techniques that are off

    @property
    def stage(self) -> str:
        """The name of its training and of its files."""
        return self.key.replace("_", "-")

    def wanted(self, recipe: Recipe) -> bool:
        return getattr(recipe.evaluate, self.switch) and (not self.where or _value(recipe, self.where) != 0)

    def recipe(self, recipe: Recipe) -> Recipe:
        """What it trains in the place of the recipe."""
        off = {name: getattr(recipe, name).off() for name in self.off}
        return replace(without(recipe, self.unseen), **off)


@dataclass(frozen=True)
class Fitted(Baseline):
    """One of scikit-learn's methods, on the pixels."""

    fit: classical.Fit
    unlabelled: bool  # whether it is shown the unlabelled images too

    def wanted(self, recipe: Recipe) -> bool:
        return getattr(recipe.evaluate, self.switch)

    def measure(self, pixels: classical.Pixels) -> Measured:
        """Fits it and counts its errors."""
        began = time.monotonic()
        confusion = pixels.confusion(self.fit, unlabelled=self.unlabelled)
        note = pixels.note if self.unlabelled and pixels.note else self.note
        return Measured.of(self.name, confusion, time.monotonic() - began, note)


# The costs are medians of 30 runs of digits at 50 and 100 labels for 20 epochs, on two cores with bf16 beside other
# work, 2026-11-26; scikit-learn's are a sixth of that, as beside the recipe's 120 epochs.
BASELINES: dict[str, Baseline] = {
    SUPERVISED: TrainedWithout(
        SUPERVISED, "same network, labelled images alone", "supervised", 0.32, gain="gain", where="",
        unseen=frozenset({"unlabelled", "generated"})),
    NO_GENERATOR: TrainedWithout(
        NO_GENERATOR, "same recipe, no generated images", "gan_off", 0.43, gain="generator_gain", where="gan.weight",
        unseen=frozenset({"generated"})),
    "LabelSpreading": Fitted("LabelSpreading", "", "classical", 0.002, label_spreading, unlabelled=True),
    "SelfTraining": Fitted("SelfTraining", "", "classical", 0.014, classical.self_training, unlabelled=True),
    "SVM": Fitted("SVM", "labelled images alone", "classical", 0.001, classical.support_vectors, unlabelled=False),
}


def trained_without(recipe: Recipe) -> dict[Recipe, list[TrainedWithout]]:
    """The recipes that are trained for a recipe's baselines, each once, with the baselines that it serves; none where
    it is taught no labels, and has no error that could be compared.
    """
    found: dict[Recipe, list[TrainedWithout]] = {}
    for baseline in BASELINES.values() if recipe.train.labelled_weight else ():
        if isinstance(baseline, TrainedWithout) and baseline.wanted(recipe):
            found.setdefault(baseline.recipe(recipe), []).append(baseline)
    return found


def fitted(recipe: Recipe) -> list[Fitted]:
    """The recipe's baselines by scikit-learn."""
    return [baseline for baseline in BASELINES.values() if isinstance(baseline, Fitted) and baseline.wanted(recipe)]


def measure_fitted(wanted: Sequence[Fitted], dataset: Dataset, split: Split, seed: int) -> list[Measured]:
    """The errors of scikit-learn's methods on a split; `seed` chooses unlabelled images where there are too many."""
    pixels = classical.Pixels.of(dataset, split, seed)
    return [baseline.measure(pixels) for baseline in wanted]


def _value(recipe: Recipe, key: str) -> float:
    section, _, name = key.partition(".")
    return getattr(getattr(recipe, section), name)
