"""The evaluation of a classifier on images that it was not trained on: errors, calibration, and its worst mistakes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ssgan.data.images import Images
from ssgan.errors import Mistake
from ssgan.evaluation import metrics
from ssgan.files import replacing

LogitsOf = Callable[[Tensor], Tensor]
SCORES = ("recall", "precision", "f1")  # of a class


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a classifier answered on n images, and how good that is."""

    classes: tuple[str, ...]
    index: np.ndarray  # [n] into the test images, or into the training images that were held out
    labels: np.ndarray  # [n]
    probabilities: np.ndarray  # [n, k] float32
    confusion: np.ndarray  # [k, k], rows are the true classes
    wrong: int
    total: int
    low: float  # 95 % interval of the error, for the sampling of these images alone
    high: float
    ece: float
    nll: float

    @property
    def error(self) -> float:
        """The share of wrong answers."""
        return self.wrong / self.total

    @property
    def predictions(self) -> np.ndarray:
        """The most probable class of each image: [n]."""
        return self.probabilities.argmax(1)

    @property
    def per_class(self) -> np.ndarray:
        """The share of wrong answers among the images of each class, NaN where there are none: [k]."""
        return metrics.per_class_error(self.confusion)

    @property
    def balanced_error(self) -> float:
        """The mean of the classes' errors, in which a small class counts as much as a large one."""
        return metrics.balanced_error(self.confusion)

    def measurements(self, where: str = "test") -> dict[str, float]:
        """Name and value of everything that is a number; `where` it was measured comes first in the names."""
        found = {"error": self.error, "error_low": self.low, "error_high": self.high, "wrong": float(self.wrong),
                 "ece": self.ece, "nll": self.nll, "balanced_error": self.balanced_error}
        found |= {f"error/{name}": value for name, value in self._of_class().items() if value is not None}
        for name, scores in class_table(self.confusion, self.classes).items():
            found |= {f"{score}/{name}": float(value) for score, value in scores.items() if value is not None}
        return {f"{where}/{name}": value for name, value in found.items()}

    def summary(self) -> dict[str, Any]:
        """The same as plain values for JSON."""
        found = {key: getattr(self, key) for key in ("wrong", "total", "error", "low", "high", "ece", "nll",
                                                     "balanced_error")}
        return found | {"per_class": self._of_class(), "by_class": class_table(self.confusion, self.classes),
                        "confusion": self.confusion.tolist()}

    def save(self, path: Path) -> None:
        """Writes probabilities, labels, index and class names as .npz, whole or not at all. Raises Mistake where
        nothing can be written.
        """
        with replacing(path) as file:
            np.savez(file, probabilities=self.probabilities, labels=self.labels, index=self.index,
                     classes=np.array(self.classes))

    def _of_class(self) -> dict[str, float | None]:
        return {name: None if np.isnan(value) else value for name, value in zip(self.classes, self.per_class.tolist())}


def evaluate(logits_of: LogitsOf, images: Images, index: Tensor, batch: int = 1000) -> Evaluation:
    """Asks the classifier, images [n, c, h, w] in [0, 1] -> logits [n, k], for the images at an index [n] with known
    labels.

    Every number is that of the float32 probabilities, so it can be found again from the saved ones. Raises Mistake for
    answers that are not finite.
    """
    with torch.no_grad():
        logits = torch.cat([logits_of(images.gather(part)).double().cpu() for part in index.split(batch)])  # [n, k]
    if not logits.isfinite().all():
        raise Mistake("the classifier's answers are not finite: its training has diverged.\n"
                      "Train it anew with a smaller train.learning_rate, or with --set train.precision=fp32.")
    probabilities = logits.softmax(1).float().numpy()
    labels = images.labels[index.to(images.labels.device)].cpu().numpy()
    return _of_answers(images.classes, index.cpu().numpy(), labels, probabilities)


def pooled(parts: Sequence[Evaluation]) -> Evaluation:
    """The evaluation of all images of several ones, in the order of their index."""
    index = np.concatenate([part.index for part in parts])
    order = np.argsort(index, kind="stable")
    labels, probabilities = (np.concatenate([getattr(part, name) for part in parts])[order]
                             for name in ("labels", "probabilities"))
    return _of_answers(parts[0].classes, index[order], labels, probabilities)


def class_table(counts: np.ndarray, classes: Sequence[str]) -> dict[str, dict[str, float | None]]:
    """Recall, precision, F1 and number n of images of every class by its name, from a confusion matrix [k, k], as plain
    values for JSON; None is what cannot be told.
    """
    found = metrics.class_scores(np.asarray(counts))
    rows = zip(*(found[name].tolist() for name in (*SCORES, "n")), strict=True)
    return {name: dict(zip((*SCORES, "n"), (None if value != value else value for value in row), strict=True))
            for name, row in zip(classes, rows, strict=True)}


def _of_answers(classes: tuple[str, ...], index: np.ndarray, labels: np.ndarray,
                probabilities: np.ndarray) -> Evaluation:
    counts = metrics.confusion(labels, probabilities.argmax(1), len(classes))
    wrong, total = int(counts.sum() - np.trace(counts)), int(counts.sum())
    return Evaluation(
        classes, index, labels, probabilities, counts, wrong, total, *metrics.error_interval(wrong, total),
        metrics.expected_calibration_error(probabilities, labels),
        metrics.negative_log_likelihood(probabilities, labels))


def worst_mistakes(evaluation: Evaluation, count: int) -> np.ndarray:
    """Positions [<= count] of wrong answers, the most confident first."""
    wrong = np.flatnonzero(evaluation.predictions != evaluation.labels)
    confidence = evaluation.probabilities[wrong].max(1)
    return wrong[np.argsort(-confidence, kind="stable")][:count]
