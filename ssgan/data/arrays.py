"""A data set as arrays in one .npz file: x, y with -1 for no label, and x_test, y_test where there are some."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from ssgan.data.dataset import Dataset
from ssgan.errors import Mistake

WANTED = ("It holds x, images [n, h, w], [n, h, w, c] or [n, c, h, w] as uint8 or as numbers from 0 to 1, and y, "
          "labels [n] with -1 for none; x_test and y_test, if you have them.")
MOST_CHANNELS = 16  # of an axis that may be that of channels


def load(name: str, path: Path) -> Dataset:
    """The data set of that name in the file at `path`. Raises Mistake."""
    arrays = _read(path)
    for key in ("x", "y"):
        if key not in arrays:
            raise Mistake(f"{path} holds {', '.join(arrays) or 'nothing'}, and no {key}.\n{WANTED}")
    if ("x_test" in arrays) != ("y_test" in arrays):
        raise Mistake(f"{path} holds one of x_test and y_test alone.\n{WANTED}")
    classes, labels = _encoded(arrays["y"], f"y of {path}")
    train = _images(arrays["x"], labels, classes, f"x of {path}")
    if "x_test" not in arrays:
        return Dataset(name, train, None)
    test = _images(arrays["x_test"], _test_labels(arrays["y_test"], arrays["y"], path), classes, f"x_test of {path}")
    if test.shape != train.shape:
        raise Mistake(f"{path}: x has images of shape {train.shape}, x_test of {test.shape} (c, h, w).")
    return Dataset(name, train, test)


def _read(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as saved:
            if isinstance(saved, np.ndarray):
                raise ValueError("it is a single array")
            return {key: saved[key] for key in saved.files if key in ("x", "y", "x_test", "y_test")}
    except FileNotFoundError:
        raise Mistake(f"there is no file {path}.") from None
    except (OSError, ValueError, TypeError, AttributeError, KeyError, EOFError, RuntimeError, zlib.error,
            zipfile.BadZipFile) as error:
        text = (str(error) or type(error).__name__).splitlines()[0]
        raise Mistake(f"{path} cannot be read as arrays in an .npz file: {text}.\n{WANTED}") from None


def _encoded(y: np.ndarray, where: str) -> tuple[tuple[str, ...], np.ndarray]:
    """The class names, and labels [n] as indices into them. Raises Mistake."""
    values = _values(y, where)
    found = np.unique(values[_is_known(values)])
    if len(found) < 2:
        raise Mistake(f"{where} has labels of {len(found)} classes; a classifier needs two at least. -1 means "
                      f"unlabelled.")
    return tuple(str(value) for value in found.tolist()), _index(values, found)


def _test_labels(y: np.ndarray, of_train: np.ndarray, path: Path) -> np.ndarray:
    values, known = _values(y, f"y_test of {path}"), _values(of_train, f"y of {path}")
    if values.dtype.kind != known.dtype.kind:
        raise Mistake(f"{path}: y has labels of type {known.dtype}, y_test of {values.dtype}.")
    found = np.unique(known[_is_known(known)])
    strange = np.setdiff1d(values[_is_known(values)], found)
    if len(strange):
        raise Mistake(f"y_test of {path} has classes that y lacks: {', '.join(map(str, strange[:5].tolist()))}.")
    return _index(values, found)


def _values(y: np.ndarray, where: str) -> np.ndarray:
    """Labels as whole numbers or texts [n]. Raises Mistake."""
    if y.ndim != 1 or y.dtype.kind not in "iufUb":
        raise Mistake(f"{where} is {y.dtype} of shape {y.shape}; labels are whole numbers or texts, [n].")
    if y.dtype.kind == "U":
        return y
    if y.dtype.kind == "f":
        y = np.where(np.isnan(y), -1, y)
        if (y != np.round(y)).any():
            raise Mistake(f"{where} has labels that are no whole numbers.")
    return y.astype(np.int64)


def _is_known(values: np.ndarray) -> np.ndarray:
    return ~np.isin(values, ["", "-1"]) if values.dtype.kind == "U" else values >= 0


def _index(values: np.ndarray, found: np.ndarray) -> np.ndarray:
    known = _is_known(values)
    labels = np.full(len(values), -1, dtype=np.int64)
    labels[known] = np.searchsorted(found, values[known])
    return labels


def _images(x: np.ndarray, labels: np.ndarray, classes: tuple[str, ...], where: str):
    """Raises Mistake for what are no images."""
    import torch

    from ssgan.data.images import Images

    pixels = _channels_first(x, where)
    if len(pixels) != len(labels) or not len(pixels):
        raise Mistake(f"{where} has {len(pixels):,} images, and there are {len(labels):,} labels.")
    if pixels.dtype != np.uint8:
        if pixels.dtype.kind not in "fiu" or not ((pixels >= 0) & (pixels <= (1 if pixels.dtype.kind == "f" else 255))
                                                  ).all():
            raise Mistake(f"{where} is {x.dtype} with values from {np.min(x):.4g} to {np.max(x):.4g}; images are "
                          f"uint8, or numbers from 0 to 1.")
        pixels = pixels.astype(np.float32 if pixels.dtype.kind == "f" else np.uint8)
    return Images.of(torch.from_numpy(np.ascontiguousarray(pixels)), torch.from_numpy(labels), classes)


def _channels_first(x: np.ndarray, where: str) -> np.ndarray:
    """[n, c, h, w] of the shapes that are taken. Raises Mistake for others, and for one that may be read both ways."""
    if x.ndim == 3:
        return x[:, None]
    if x.ndim != 4:
        raise Mistake(f"{where} has shape {x.shape}.\n{WANTED}")
    first, last = x.shape[1] <= MOST_CHANNELS, x.shape[3] <= MOST_CHANNELS
    if first and last and (x.shape[1] in (1, 3)) != (x.shape[3] in (1, 3)):
        first, last = x.shape[1] in (1, 3), x.shape[3] in (1, 3)
    if first == last:
        raise Mistake(f"{where} has shape {x.shape}: it cannot be told which axis is that of the channels. Save it "
                      f"with 1 or 3 channels in front of or behind height and width, both larger than {MOST_CHANNELS}.")
    return x if first else x.transpose(0, 3, 1, 2)
