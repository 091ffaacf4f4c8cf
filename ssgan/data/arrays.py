"""A data set as arrays in one .npz file: x, y with -1 for no label, and x_test, y_test where there are some."""

import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ssgan.data.array_images import Layout
from ssgan.data.array_labels import UNLABELLED, encode, known_labels
from ssgan.data.array_scaling import Scaling
from ssgan.data.dataset import Dataset
from ssgan.errors import Mistake

WANTED = ("It holds x, images [n, h, w], [n, h, w, c] or [n, c, h, w] as uint8 or as numbers from 0 to 1, and y, "
          "labels [n] with -1 for none; x_test and y_test, if you have them; and channels, 'first' or 'last', where "
          "the shape of x does not tell.")
KEYS = ("x", "y", "x_test", "y_test", "channels")


def load(name: str, path: Path, say: Callable[[str], object] = lambda text: None) -> Dataset:
    """The data set of that name in the file at `path`; `say` is told of bytes that are taken as of another range than 0
    to 255, and of test images without a label. Raises Mistake.
    """
    arrays = _read(path)
    for key in ("x", "y"):
        if key not in arrays:
            raise Mistake(f"{path} holds {', '.join(arrays) or 'nothing'}, and no {key}.\n{WANTED}")
    if ("x_test" in arrays) != ("y_test" in arrays):
        raise Mistake(f"{path} holds one of x_test and y_test alone.\n{WANTED}")
    classes, labels = _train_labels(arrays["y"], path)
    channels = str(arrays["channels"]) if "channels" in arrays else None
    pixels = _pixels(arrays["x"], len(labels), channels, f"x of {path}")
    scaling = _scaling(pixels, f"x of {path}", say)
    train = _images(pixels, scaling, labels, classes)
    if "x_test" not in arrays:
        return Dataset(name, train, None)
    labels = _test_labels(arrays["y_test"], classes, path)
    pixels = _pixels(arrays["x_test"], len(labels), channels, f"x_test of {path}")
    if pixels.shape[1:] != train.shape:
        raise Mistake(f"{path}: x has images of shape {train.shape}, x_test of {pixels.shape[1:]} (c, h, w).")
    if unknown := int((labels == UNLABELLED).sum()):
        say(f"{unknown:,} of the {len(labels):,} images of x_test have no label in y_test, and are not used")
    return Dataset(name, train, _images(pixels, scaling, labels, classes))


def load_images(path: Path):
    """The images in x of the file at `path`, as they are and without labels. Raises Mistake."""
    arrays = _read(path)
    if "x" not in arrays:
        raise Mistake(f"{path} holds {', '.join(arrays) or 'nothing'}, and no x.\n{WANTED}")
    channels = str(arrays["channels"]) if "channels" in arrays else None
    pixels = _pixels(arrays["x"], len(arrays["x"]), channels, f"x of {path}")
    return _images(pixels, None, np.full(len(pixels), UNLABELLED, dtype=np.int64), ())


def _read(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as saved:
            if isinstance(saved, np.ndarray):
                raise ValueError("it is a single array")
            return {key: saved[key] for key in saved.files if key in KEYS}
    except FileNotFoundError:
        raise Mistake(f"there is no file {path}.") from None
    except (OSError, ValueError, TypeError, AttributeError, KeyError, EOFError, RuntimeError, zlib.error,
            zipfile.BadZipFile) as error:
        text = (str(error) or type(error).__name__).splitlines()[0]
        raise Mistake(f"{path} cannot be read as arrays in an .npz file: {text}.\n{WANTED}") from None


def _train_labels(y: np.ndarray, path: Path) -> tuple[tuple[str, ...], np.ndarray]:
    """The class names, and labels [n] as indices into them. Raises Mistake."""
    try:
        classes, labels = encode(_marked(y, f"y of {path}"))
    except ValueError as error:
        raise Mistake(f"{path}: {error}") from None
    return tuple(map(_name, classes.tolist())), labels


def _test_labels(y: np.ndarray, classes: tuple[str, ...], path: Path) -> np.ndarray:
    """The same of a test part, by the names of the classes."""
    try:
        index, known = known_labels(_marked(y, f"y_test of {path}"))
    except ValueError as error:
        raise Mistake(f"{path}: {error}") from None
    names, number = list(map(_name, known.tolist())), {name: label for label, name in enumerate(classes)}
    strange = sorted({name for name in names if name not in number})
    if strange:
        raise Mistake(f"y_test of {path} has classes that y lacks: {', '.join(strange[:5])}.")
    labels = np.full(len(y), UNLABELLED, dtype=np.int64)
    labels[index] = [number[name] for name in names]
    return labels


def _marked(y: np.ndarray, where: str) -> np.ndarray:
    """Labels [n] in which an empty text marks none, as -1 does. Raises Mistake."""
    if y.ndim != 1 or y.dtype.kind not in "iufUb":
        raise Mistake(f"{where} is {y.dtype} of shape {y.shape}; labels are whole numbers or texts, [n].")
    return np.where(y == "", str(UNLABELLED), y) if y.dtype.kind == "U" else y


def _name(label: object) -> str:
    """A class's name, of a whole number however it is kept."""
    return str(int(label) if isinstance(label, float) and label.is_integer() else label)


def _pixels(x: np.ndarray, count: int, channels: str | None, where: str) -> np.ndarray:
    """Images [n, c, h, w]; whole numbers as bytes. Raises Mistake for what are none, or not so many."""
    if x.ndim not in (3, 4):
        raise Mistake(f"{where} has shape {x.shape}.\n{WANTED}")
    if len(x) != count or not count:
        raise Mistake(f"{where} has {len(x):,} images, and there are {count:,} labels.")
    try:
        pixels = Layout.of(x.shape[1:], channels, f"{where}: images of shape").pixels(x.reshape(len(x), -1))
    except ValueError as error:
        raise Mistake(f"{error}\n{WANTED}") from None
    most = 1 if x.dtype.kind == "f" else 255
    if x.dtype.kind not in "fiu" or not ((x >= 0) & (x <= most)).all():
        values = f" with values from {np.min(x):.4g} to {np.max(x):.4g}" if x.dtype.kind in "biuf" else ""
        raise Mistake(f"{where} is {x.dtype}{values}; images are uint8, or numbers from 0 to 1.")
    return pixels.astype(np.float32 if x.dtype.kind == "f" else np.uint8, copy=False)


def _scaling(pixels: np.ndarray, where: str, say: Callable[[str], object]) -> Scaling | None:
    """The range of bytes that stay far from filling 0 to 255, which is told; None where nothing is to be scaled."""
    if pixels.dtype != np.uint8:
        return None
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = Scaling.of_images(pixels.reshape(len(pixels), -1))
    if (found.low, found.range) == (0, 255):
        return None
    for each in told:
        say(str(each.message).replace(" X ", f" {where} "))
    return found


def _images(pixels: np.ndarray, scaling: Scaling | None, labels: np.ndarray, classes: tuple[str, ...]):
    import torch

    from ssgan.data.images import Images

    if scaling is not None:
        rows = scaling(pixels.reshape(len(pixels), -1)).astype(np.float32)
        pixels = rows.reshape(pixels.shape)
    return Images.of(torch.from_numpy(np.ascontiguousarray(pixels)), torch.from_numpy(labels), classes)
