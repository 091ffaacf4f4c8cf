"""Pictures of a run as PNG files: generated images, mistakes, confusion, classes."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ssgan.files import replacing

if TYPE_CHECKING:
    from torch import Tensor

    from ssgan.data.images import Images
    from ssgan.evaluation.classifier import Evaluation
    from ssgan.models.sampling import Sampler

INK, BLUE = "#22262b", "#2f6db3"
MANY = 30  # classes from which on pictures grow no more
MOST_ASKED = 100  # images that are looked through for a row of one class


def sample_sheet(images: "Tensor", path: Path, columns: int) -> None:
    """A grid of uint8 images [n, c, h, w], enlarged so that small ones can be seen."""
    sheet = _grid([_picture(image) for image in images], columns)
    _write(path, lambda file: sheet.save(file, "PNG"))


def by_class_sheet(sampler: "Sampler", classes: tuple[str, ...], path: Path, columns: int = 10) -> None:
    """The first images that a generator makes when asked for a class, a row for each class; a place stays empty where
    `MOST_ASKED` images for each class in the mean have not brought enough.
    """
    import torch

    asked, chosen = torch.empty(0, dtype=torch.int64), [[] for _ in classes]
    size, shown = 100 * -(-len(classes) // 10), []
    while len(asked) < MOST_ASKED * len(classes) and min(map(len, chosen)) < columns:
        shown += [*(sampler.images(len(asked), size) * 255).round().byte().cpu()]
        asked = torch.cat([asked, sampler.labels(len(asked), size).cpu()])
        chosen = [(asked == label).nonzero()[:columns, 0].tolist() for label in range(len(classes))]
    empty = torch.full_like(shown[0], 96)
    tiles = [shown[row[place]] if place < len(row) else empty for row in chosen for place in range(columns)]
    sheet = _grid([_picture(image) for image in tiles], columns)
    high = sheet.height / sheet.width * 5.2
    figure = _figure(5.2 + 0.1 * min(16, max(map(len, classes))), high + 0.4)
    axes = figure.add_subplot()
    axes.imshow(np.asarray(sheet), cmap="gray", vmin=0, vmax=255, interpolation="nearest", aspect="auto")
    rows = (np.arange(len(classes)) + 0.5) * sheet.height / len(classes)
    axes.set_yticks(rows, _names(classes), fontsize=10)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.set(title="Generated images by the class asked for")
    axes.spines[:].set_visible(False)
    _save(figure, path)


def classes_sheet(pixels: np.ndarray, labels: np.ndarray, classes: tuple[str, ...], path: Path,
                  columns: int = 12) -> None:
    """Images among uint8 [n, c, h, w] with labels [n], evenly chosen: a row for each class, a last one for -1."""
    rows, names = [], []
    for label, name in (*enumerate(classes[:MANY]), (-1, "unlabelled")):
        of = np.flatnonzero(labels == label)
        if len(of):
            names.append(name)
            rows.append(of[np.unique(np.linspace(0, len(of) - 1, columns).round().astype(int))])
    height, width = pixels.shape[2:]
    shape = len(rows) * (height + 1), columns * (width + 1)
    sheet = np.full(shape if len(pixels[0]) == 1 else (*shape, 3), 96, dtype=np.uint8)
    for row, chosen in enumerate(rows):
        for column, number in enumerate(chosen):
            y, x = row * (height + 1), column * (width + 1)
            sheet[y: y + height, x: x + width] = as_array(pixels[number])
    figure = _figure(7.5, 0.4 + 6.2 * sheet.shape[0] / sheet.shape[1])
    axes = figure.add_subplot()
    axes.imshow(sheet, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.set_yticks((np.arange(len(rows)) + 0.5) * (height + 1), _names(tuple(names)), fontsize=9)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    _save(figure, path)


def mistakes_sheet(evaluation: "Evaluation", worst: np.ndarray, images: "Images", path: Path, columns: int = 8) -> None:
    """The images at the positions `worst` of an evaluation, each with its true class, the answer and its confidence."""
    import torch

    columns = min(columns, len(worst))
    rows = -(-len(worst) // columns)
    figure = _figure(max(4, 1.35 * columns), 1.68 * rows + 0.4)
    figure.suptitle("Most confident mistakes: true class → answer, confidence", fontsize=10, color=INK)
    for place, position in enumerate(worst, 1):
        axes = figure.add_subplot(rows, columns, place)
        image = as_array(images.gather(torch.tensor(evaluation.index[position])).cpu().numpy())
        axes.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        answer = evaluation.predictions[position]
        true, answered = _names((evaluation.classes[evaluation.labels[position]], evaluation.classes[answer]))
        axes.set_title(f"{true} → {answered}\n{100 * evaluation.probabilities[position, answer]:.0f} "
                       f"%", fontsize=8, color=INK)
        axes.set_axis_off()
    _save(figure, path)


def confusion_picture(counts: np.ndarray, classes: tuple[str, ...], path: Path) -> None:
    """Counts [k, k] with the true classes in rows; only the mistakes are coloured, so that they stand out."""
    k = len(classes)
    side = 0.5 * min(k, MANY)
    figure = _figure(max(4.5, side + 1.5), max(4.2, side + 1.2))
    axes = figure.add_subplot()
    mistakes = np.where(np.eye(k, dtype=bool), 0, counts)
    axes.imshow(mistakes, cmap="Reds", vmin=0, vmax=max(1, 1.4 * mistakes.max()))
    if k <= MANY:
        for row, column in np.ndindex(k, k):
            if counts[row, column]:
                axes.text(column, row, counts[row, column], ha="center", va="center", fontsize=8,
                          color="#6d747c" if row == column else INK)
    _name_classes(axes.xaxis, classes)
    _name_classes(axes.yaxis, classes)
    axes.set(xlabel="answer", ylabel="true class", title="Test images by true class and answer")
    axes.spines[:].set_visible(False)
    _save(figure, path)


def class_histogram_picture(counts: np.ndarray, classes: tuple[str, ...], path: Path) -> None:
    """How many generated images fall into each class [k], beside an even spread."""
    figure = _figure(max(4.5, 0.45 * min(len(classes), MANY) + 1.5), 3.2)
    axes = figure.add_subplot()
    axes.bar(range(len(classes)), np.asarray(counts) / max(1, np.sum(counts)) * 100, color=BLUE)
    axes.axhline(100 / len(classes), color=INK, linewidth=1, linestyle="--", label="even")
    _name_classes(axes.xaxis, classes)
    axes.set(ylabel="% of generated images", title="Generated images by class")
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_ylim(0, 1.18 * axes.get_ylim()[1])  # room for the legend
    axes.legend(frameon=False, loc="upper right")
    _save(figure, path)


def _names(classes: tuple[str, ...]) -> list[str]:
    """Class names as matplotlib is to show them: short, and a dollar is a dollar."""
    return [(name if len(name) <= 16 else f"{name[:15]}…").replace("$", r"\$") for name in classes]


def _name_classes(axis, classes: tuple[str, ...]) -> None:
    upright = axis.axis_name == "y" or max(map(len, classes)) <= 2
    axis.set_ticks(range(len(classes)), _names(classes), rotation=0 if upright else 90,
                   fontsize=min(10, 10 * MANY / len(classes)))


def as_array(image: np.ndarray) -> np.ndarray:
    """An image [c, h, w] as it is looked at: grey [h, w] of one channel, else [h, w, 3] with the first three for red,
    green and blue, and no blue where there are two.
    """
    if len(image) == 1:
        return image[0]
    shown = np.zeros((*image.shape[1:], 3), dtype=image.dtype)
    shown[..., : len(image)] = image[:3].transpose(1, 2, 0)
    return shown


def as_picture(image: "Tensor"):
    """A uint8 image [c, h, w] as PIL's, grey or in colour."""
    from PIL import Image

    return Image.fromarray(as_array(image.cpu().numpy()))


def _picture(image: "Tensor"):
    """The same, enlarged."""
    from PIL import Image

    picture = as_picture(image)
    scale = max(1, round(64 / max(picture.size)))
    return picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)


def _grid(pictures: list, columns: int, gap: int = 4):
    from PIL import Image

    columns = min(columns, len(pictures))
    width, height = pictures[0].size
    rows = -(-len(pictures) // columns)
    sheet = Image.new(pictures[0].mode, (columns * (width + gap) + gap, rows * (height + gap) + gap),
                      96 if pictures[0].mode == "L" else (96,) * 3)
    for i, picture in enumerate(pictures):
        sheet.paste(picture, (gap + i % columns * (width + gap), gap + i // columns * (height + gap)))
    return sheet


def _figure(width: float, height: float):
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=110, layout="constrained")


def _save(figure, path: Path) -> None:
    with warnings.catch_warnings():
        # a class name in a script that the font lacks: a box is shown
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        _write(path, lambda file: figure.savefig(file, format="png"))


def _write(path: Path, save: Callable) -> None:
    """Writes a picture whole or not at all. Raises Mistake."""
    with replacing(path) as file:
        save(file)
