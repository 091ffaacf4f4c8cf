"""The hand-over of a trained classifier: written aside, loaded afresh by its own runtime, compared, and only then put
in its place.
"""

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ssgan.errors import Failed, Mistake
from ssgan.export.classifier import Classifier
from ssgan.export.formats import FORMATS
from ssgan.export.load import Model, open_model
from ssgan.export.model_card import Card
from ssgan.files import writing
from ssgan.models.context import Context

TOLERANCE = 1e-3  # of a probability; a sound export differs by some 1e-6
BATCH = 1000


@dataclass(frozen=True)
class Agreement:
    """How an exported classifier's answers compare with the original's: equal ones of n images, and the largest
    differences.
    """

    images: int
    equal: int
    logits: float
    probabilities: float

    @property
    def sound(self) -> bool:
        """Whether every answer is the same, with nearly the same probability."""
        return self.equal == self.images and self.probabilities <= TOLERANCE


def export_classifier(discriminator: nn.Module, card: Card, kind: str, path: Path, images: np.ndarray, *,
                      force: bool = False) -> Agreement:
    """Writes a discriminator's classifier in a format of FORMATS, checked on images uint8 [n, c, h, w].

    Nothing appears at `path` before every answer is that of the original. Raises Mistake for what cannot be exported or
    written (a path that exists, without `force`), and Failed where the answers differ.
    """
    check_path(path, kind, force)
    classifier = Classifier(discriminator)
    with writing(path):
        aside = Path(tempfile.mkdtemp(prefix=".ssgan-", dir=path.parent))
    try:
        new = aside / path.name
        with writing(path):
            FORMATS[kind].write(classifier, card, new)
        agreement = compare(discriminator, open_model(new), images)
        if not agreement.sound:
            raise Failed(f"{path} is not written: the {kind} file agrees with the original on {agreement.equal} of "
                         f"{agreement.images} images only "
                         f"(largest difference of a probability {agreement.probabilities:.2g}).")
        with writing(path):
            if path.is_dir():
                path.rename(aside / f"{path.name}.old")
            os.replace(new, path)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return agreement


def check_path(path: Path, kind: str, force: bool) -> None:
    """Raises Mistake where a file or folder of that format cannot be written, before anything is computed."""
    ending = FORMATS[kind].ending
    if path.suffix.lower() != ending and (ending or path.suffix.lower() in (".onnx", ".pt2")):
        wanted = f"a file that ends in {ending}" if ending else "a folder"
        raise Mistake(f"-o {path}: --format {kind} makes {wanted}; try -o "
                      f"{f'{path}{ending}' if ending else path.with_suffix('')}.")
    if not path.parent.is_dir():
        raise Mistake(f"-o {path}: there is no folder {path.parent}; make it, or name another place.")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise Mistake(f"-o {path}: you may not write into {path.parent}; name another place.")
    if not os.path.lexists(path):
        return
    if not force:
        raise Mistake(f"-o {path} exists already; type --force to replace it, or name another place.")
    if ending and path.is_dir():
        raise Mistake(f"-o {path} is a folder, which --force does not replace with a file; name another place.")
    if not ending and not (path / "MLmodel").exists():
        raise Mistake(f"-o {path} is no MLflow model, so --force does not replace it; name another place.")


@torch.no_grad()
def compare(discriminator: nn.Module, model: Model, images: np.ndarray) -> Agreement:
    """The model beside the original discriminator, fp32 on the CPU, on images uint8 [n, c, h, w] in batches of several
    sizes.
    """
    equal, largest = 0, np.zeros(2)
    starts = [0, 1, *range(BATCH, len(images), BATCH), len(images)]  # a batch of one is an answer like any other
    for start, end in zip(starts, starts[1:]):
        part = images[start:end]
        if not len(part):
            continue
        logits = discriminator(torch.from_numpy(part).float().div(255), Context())[0]
        original = [each.double().numpy() for each in (logits, logits.softmax(1))]
        answers = model.answer(part)
        equal += int((answers[0].argmax(1) == original[0].argmax(1)).sum())
        largest = np.maximum(largest, [np.abs(new - old).max() for new, old in zip(answers, original)])  # and NaN stays
    return Agreement(len(images), equal, *largest.tolist())


def random_images(card: Card, count: int = 1000) -> np.ndarray:
    """Images uint8 [n, c, h, w] of random pixels, for a check where there are no test images."""
    return np.random.default_rng(0).integers(0, 256, (count, *card.shape), dtype=np.uint8)


def size(path: Path) -> int:
    """The bytes of a file, or of all files in a folder."""
    return (path.stat().st_size if path.is_file()
            else sum(each.stat().st_size for each in path.rglob("*") if each.is_file()))
