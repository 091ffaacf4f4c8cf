"""The evaluation of a classifier on test images: errors, calibration, and its worst mistakes."""

from collections.abc import Callable
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


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a classifier answered on n test images, and how good that is."""

    classes: tuple[str, ...]
    index: np.ndarray  # [n] into the test images
    labels: np.ndarray  # [n]
    probabilities: np.ndarray  # [n, k] float32
    confusion: np.ndarray  # [k, k], rows are the true classes
    wrong: int
    total: int
    low: float  # 95 % interval of the error, for the sampling of test images alone
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

    def measurements(self) -> dict[str, float]:
        """Name and value of everything that is a number."""
        found = {"test/error": self.error, "test/error_low": self.low, "test/error_high": self.high,
                 "test/wrong": float(self.wrong), "test/ece": self.ece, "test/nll": self.nll}
        return found | {f"test/error/{name}": value for name, value in self._of_class().items() if value is not None}

    def summary(self) -> dict[str, Any]:
        """The same as plain values for JSON."""
        found = {key: getattr(self, key) for key in ("wrong", "total", "error", "low", "high", "ece", "nll")}
        return found | {"per_class": self._of_class(), "confusion": self.confusion.tolist()}

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
    counts = metrics.confusion(labels, probabilities.argmax(1), len(images.classes))
    wrong, total = int(counts.sum() - np.trace(counts)), int(counts.sum())
    return Evaluation(
        images.classes, index.cpu().numpy(), labels, probabilities, counts, wrong, total,
        *metrics.error_interval(wrong, total), metrics.expected_calibration_error(probabilities, labels),
        metrics.negative_log_likelihood(probabilities, labels))


def worst_mistakes(evaluation: Evaluation, count: int) -> np.ndarray:
    """Positions [<= count] of wrong answers, the most confident first."""
    wrong = np.flatnonzero(evaluation.predictions != evaluation.labels)
    confidence = evaluation.probabilities[wrong].max(1)
    return wrong[np.argsort(-confidence, kind="stable")][:count]
