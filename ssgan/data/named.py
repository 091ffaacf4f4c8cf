"""The data sets that have a name: checked files in, images on the CPU out."""

import gzip
import hashlib
import math
import os
import struct
import zlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from ssgan.data import downloads
from ssgan.data.dataset import Dataset
from ssgan.data.images import Images
from ssgan.errors import Mistake, unknown

COUNTS = {"train": 60_000, "t10k": 10_000}  # images of 28x28 in each part of MNIST and of Fashion-MNIST

# MD5 of the unpacked files. Fashion-MNIST's are published for the .gz alone: of its unpacked files the header, the exact length
# and the range of the labels are checked, so a changed pixel in one of them goes unseen.
UNPACKED_MD5 = {
    "MNIST": {
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    },
    "FashionMNIST": {},
}


def load(name: str, data_dir: Path) -> Dataset:
    """The data set of that name, its files found under `data_dir` or downloaded to it. Raises Mistake."""
    if name not in SOURCES:
        raise unknown("data set", name, SOURCES)
    train, test = SOURCES[name](data_dir)
    return Dataset(name, train, test)


def data_dir(option: str | None) -> Path:
    """The folder of data files: the option, else SSGAN_DATA_DIR, else ssgan/data in the user's cache folder. Raises Mistake."""
    chosen = option or os.environ.get("SSGAN_DATA_DIR")
    path = Path(chosen) if chosen else Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "ssgan" / "data"
    try:
        return path.expanduser()
    except RuntimeError:
        raise Mistake(f"the data folder {path} needs a home folder, and you have none: choose one with --data-dir.") from None


def _digits(data_dir: Path) -> tuple[Images, Images]:
    """scikit-learn's 1797 digits of 8x8 pixels, which need no file, in a fixed stratified split of 1437 and 360."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    bunch = load_digits()
    pixels = torch.from_numpy(np.round(bunch.images * 255 / 16).astype(np.uint8)).unsqueeze(1)  # [n, 1, 8, 8]
    labels = torch.from_numpy(bunch.target.astype(np.int64))  # [n]
    parts = train_test_split(np.arange(len(labels)), test_size=360, stratify=bunch.target, random_state=0, shuffle=True)
    classes = tuple(str(name) for name in bunch.target_names)
    train, test = (Images.of(pixels[part], labels[part], classes) for part in parts)
    return train, test


def _mnist(kind: str, data_dir: Path) -> tuple[Images, Images]:
    """MNIST, or a data set in its form, named as torchvision's class is, from torchvision's file layout."""
    if os.path.exists(data_dir) and not data_dir.is_dir():
        raise Mistake(f"the data folder {data_dir} is a file: choose a folder with --data-dir or SSGAN_DATA_DIR.")
    folder = data_dir / kind / "raw"
    _download_missing(kind, folder)
    classes = tuple("0123456789") if kind == "MNIST" else tuple(_torchvision(kind).classes)
    train, test = (_read_part(kind, folder, part, classes) for part in ("train", "t10k"))
    return train, test


SOURCES = {
    "digits": _digits,
    "mnist": partial(_mnist, "MNIST"),
    "fashion-mnist": partial(_mnist, "FashionMNIST"),
}


def _torchvision(kind: str):
    import torchvision.datasets  # takes a second, so only when its tables are needed

    return getattr(torchvision.datasets, kind)


@dataclass(frozen=True)
class _Idx:
    """What one of the four files must be: an array of bytes behind a header that its shape determines."""

    name: str
    shape: tuple[int, ...]
    largest: int

    @property
    def header(self) -> bytes:
        return struct.pack(f">4B{len(self.shape)}I", 0, 0, 8, len(self.shape), *self.shape)

    def places(self, folder: Path) -> list[Path]:
        """The files of this content that are there: unpacked, then compressed."""
        return [path for path in (folder / self.name, folder / f"{self.name}.gz") if os.path.exists(path)]


def _files(part: str) -> tuple[_Idx, _Idx]:
    n = COUNTS[part]
    return _Idx(f"{part}-images-idx3-ubyte", (n, 28, 28), 255), _Idx(f"{part}-labels-idx1-ubyte", (n,), 9)


def _download_missing(kind: str, folder: Path) -> None:
    names = [file.name for part in COUNTS for file in _files(part)]
    missing = [file.name for part in COUNTS for file in _files(part) if not file.places(folder)]
    for name in missing:
        published = _torchvision(kind)
        try:
            downloads.fetch(published.mirrors, f"{name}.gz", dict(published.resources)[f"{name}.gz"], folder)
        except downloads.Unavailable as error:
            raise Mistake(
                f"{folder} has no {name}, and it cannot be downloaded ({error}).\n"
                f"Put {', '.join(names)} into {folder}, unpacked or as .gz, "
                f"or name the folder above {kind}/raw with --data-dir.\n"
                f"`--dataset digits` needs no files and no network."
            ) from None


def _read_part(kind: str, folder: Path, part: str, classes: tuple[str, ...]) -> Images:
    pixels, labels = (_read(kind, folder, file) for file in _files(part))
    return Images.of(pixels.unsqueeze(1), labels.long(), classes)


def _read(kind: str, folder: Path, file: _Idx) -> torch.Tensor:
    """The checked content of one file as uint8 of its shape."""
    path = file.places(folder)[0]
    try:
        found = path.read_bytes()
        content = bytearray(gzip.decompress(found) if path.suffix == ".gz" else found)  # a tensor wants it writable
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(path, str(error)) from None
    size = len(file.header) + math.prod(file.shape)
    if len(content) != size:
        raise _damaged(path, f"it holds {len(content):,} bytes, expected {size:,}")
    if content[: len(file.header)] != file.header:
        raise _damaged(path, f"it does not begin as an IDX file of shape {file.shape}")
    _check_md5(kind, path, file.name, found, content)
    array = torch.frombuffer(content, dtype=torch.uint8, offset=len(file.header)).view(file.shape)
    if array.max() > file.largest:
        raise _damaged(path, f"it holds the label {array.max()}, the largest is {file.largest}")
    return array


def _check_md5(kind: str, path: Path, name: str, found: bytes, content: bytearray) -> None:
    """Checks what is published: the unpacked content of MNIST, the .gz of others."""
    if name in UNPACKED_MD5[kind]:
        checked, expected = content, UNPACKED_MD5[kind][name]
    elif path.suffix == ".gz":
        checked, expected = found, dict(_torchvision(kind).resources)[path.name]
    else:
        return
    md5 = hashlib.md5(checked, usedforsecurity=False).hexdigest()
    if md5 != expected:
        raise _damaged(path, f"its MD5 is {md5}, expected {expected}")


def _damaged(path: Path, found: str) -> Mistake:
    mend = "Delete that file and run again to download it, or copy it afresh from where it came."
    return Mistake(f"{path} is damaged: {found}.\n{mend}")
