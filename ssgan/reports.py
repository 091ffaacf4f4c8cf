"""Pictures of a run as PNG files: generated images, mistakes, confusion, classes."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    from ssgan.data.images import Images
    from ssgan.evaluation import Evaluation

INK, BLUE = "#22262b", "#2f6db3"


def sample_sheet(images: "Tensor", path: Path, columns: int) -> None:
    """A grid of uint8 images [n, c, h, w], enlarged so that small ones can be seen."""
    sheet = _grid([_picture(image) for image in images], columns)
    _write(path, lambda file: sheet.save(file, "PNG"))


def mistakes_sheet(evaluation: "Evaluation", worst: np.ndarray, images: "Images", path: Path, columns: int = 8) -> None:
    """The images at the positions `worst` of an evaluation, each with its true class, the answer and its confidence."""
    import torch

    figure = _figure(1.35 * columns, 1.75 * -(-len(worst) // columns))
    for place, position in enumerate(worst, 1):
        axes = figure.add_subplot(-(-len(worst) // columns), columns, place)
        image = images.gather(torch.tensor(evaluation.index[position])).cpu().numpy().transpose(1, 2, 0)
        axes.imshow(image.squeeze(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        answer = evaluation.predictions[position]
        axes.set_title(f"{evaluation.classes[evaluation.labels[position]]} → {evaluation.classes[answer]}\n"
                       f"{100 * evaluation.probabilities[position, answer]:.0f} %", fontsize=8, color=INK)
        axes.set_axis_off()
    _save(figure, path)


def confusion_picture(counts: np.ndarray, classes: tuple[str, ...], path: Path) -> None:
    """Counts [k, k] with the true classes in rows; only the mistakes are coloured, so that they stand out."""
    k = len(classes)
    figure = _figure(max(4.5, 0.5 * k + 1.5), max(4.2, 0.5 * k + 1.2))
    axes = figure.add_subplot()
    mistakes = np.where(np.eye(k, dtype=bool), 0, counts)
    axes.imshow(mistakes, cmap="Reds", vmin=0, vmax=max(1, 1.4 * mistakes.max()))
    if k <= 30:
        for row, column in np.ndindex(k, k):
            if counts[row, column]:
                axes.text(column, row, counts[row, column], ha="center", va="center", fontsize=8, color="#8a9097" if row == column else INK)
    axes.set_xticks(range(k), classes, rotation=90 if max(map(len, classes)) > 2 else 0)
    axes.set_yticks(range(k), classes)
    axes.set(xlabel="answer", ylabel="true class", title="Test images by true class and answer")
    axes.spines[:].set_visible(False)
    _save(figure, path)


def class_histogram_picture(counts: np.ndarray, classes: tuple[str, ...], path: Path) -> None:
    """How many generated images fall into each class [k], beside an even spread."""
    figure = _figure(max(4.5, 0.45 * len(classes) + 1.5), 3.2)
    axes = figure.add_subplot()
    axes.bar(range(len(classes)), np.asarray(counts) / max(1, np.sum(counts)) * 100, color=BLUE)
    axes.axhline(100 / len(classes), color=INK, linewidth=1, linestyle="--", label="even")
    axes.set_xticks(range(len(classes)), classes, rotation=90 if max(map(len, classes)) > 2 else 0)
    axes.set(ylabel="% of generated images", title="Generated images by class")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    _save(figure, path)


def _picture(image: "Tensor"):
    from PIL import Image

    array = image.cpu().numpy().transpose(1, 2, 0)
    scale = max(1, 56 // max(array.shape[:2]))
    picture = Image.fromarray(array.squeeze(2) if array.shape[2] == 1 else array)
    return picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)


def _grid(pictures: list, columns: int, gap: int = 4):
    from PIL import Image

    width, height = pictures[0].size
    rows = -(-len(pictures) // columns)
    sheet = Image.new(pictures[0].mode, (columns * (width + gap) + gap, rows * (height + gap) + gap), 96 if pictures[0].mode == "L" else (96,) * 3)
    for i, picture in enumerate(pictures):
        sheet.paste(picture, (gap + i % columns * (width + gap), gap + i // columns * (height + gap)))
    return sheet


def _figure(width: float, height: float):
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=110, layout="constrained")


def _save(figure, path: Path) -> None:
    _write(path, lambda file: figure.savefig(file, format="png"))


def _write(path: Path, save: Callable) -> None:
    """Writes under a temporary name and renames, so that no reader finds half a picture."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with partial.open("wb") as file:
            save(file)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
