"""Prediction from an exported classifier: files found, decoded, converted and answered, one batch after the other,
without torch.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ssgan.data.image_files import Unreadable
from ssgan.data.image_reader import Reader
from ssgan.export.load import Model

UNSURE = "unsure"


@dataclass(frozen=True)
class Answer:
    """The most probable classes of one file, with their probabilities, the best first."""

    path: Path
    top: tuple[tuple[str, float], ...]

    def label(self, threshold: float) -> str:
        """The most probable class, or `unsure` where it is less probable than the threshold."""
        name, probability = self.top[0]
        return name if probability >= threshold else UNSURE


def predict(model: Model, found: Iterable[Path | Unreadable], reader: Reader, *, batch: int = 256,
            top: int = 1) -> Iterator[Answer | Unreadable]:
    """Answers in the order of the files, and Unreadable for what is none; holds one batch of images at a time."""
    paths: list[Path] = []
    pixels: list[np.ndarray] = []
    for item in found:
        if not isinstance(item, Unreadable):
            item = reader.read(item)
        if isinstance(item, Unreadable):
            yield item
            continue
        path, image = item
        paths.append(path)
        pixels.append(image)
        if len(paths) == batch:
            yield from _answers(model, paths, pixels, top)
            paths, pixels = [], []
    if paths:
        yield from _answers(model, paths, pixels, top)


def _answers(model: Model, paths: list[Path], pixels: list[np.ndarray], top: int) -> Iterator[Answer]:
    _, probabilities = model.answer(np.stack(pixels))  # [n, k]
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
    for path, row, order in zip(paths, probabilities, best):
        yield Answer(path, tuple((model.card.classes[i], float(row[i])) for i in order))
