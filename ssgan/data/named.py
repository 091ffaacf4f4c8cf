"""The data sets that have a name, read by torchvision's classes from files whose content is checked first."""

import gzip
import hashlib
import math
import os
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssgan.data.colour_sets import COLOUR
from ssgan.data.colours import brought
from ssgan.data.own_data import Reading, is_own
from ssgan.data.own_data import load as load_own
from ssgan.data.torchvision_files import check_folder, damaged, md5_of, torchvision_class
from ssgan.errors import Mistake, unknown
from ssgan.files import cache_folder, writing

if TYPE_CHECKING:  # the command line lists SOURCES, without torch
    from ssgan.data.dataset import Dataset
    from ssgan.data.images import Images


def load(name: str, data_dir: Path, reading: Reading = Reading()) -> "Dataset":
    """The data set of that name, its files found under `data_dir` or downloaded to it; folder:PATH and npz:FILE are
    one's own, read as `reading` says. Raises Mistake.
    """
    return brought(_load(name, data_dir, reading), reading.colours, reading.watching.say)


def _load(name: str, data_dir: Path, reading: Reading) -> "Dataset":
    if is_own(name):
        return load_own(name, reading)
    if name not in SOURCES:
        raise unknown("data set", name, SOURCES)
    if reading.image_size:
        raise Mistake(f"--image-size {reading.image_size}: the images of {name} have their size; it is for --dataset "
                      f"folder:PATH.")
    from ssgan.data.dataset import Dataset

    train, test = SOURCES[name](data_dir)
    return Dataset(name, train, test)


def data_dir(option: str | None) -> Path:
    """The folder of data files: the option, else SSGAN_DATA_DIR, else data in the cache folder. Raises Mistake."""
    chosen = option or os.environ.get("SSGAN_DATA_DIR")
    try:
        return Path(chosen).expanduser() if chosen else cache_folder("data")
    except (RuntimeError, Mistake):
        raise Mistake(f"the data folder {chosen or '~/.cache/ssgan/data'} needs a home folder, and you have none: "
                      f"choose one with --data-dir.") from None


def _digits(data_dir: Path) -> "tuple[Images, Images]":
    """scikit-learn's 1797 digits of 8x8 pixels, which need no file, in a fixed stratified split of 1437 and 360."""
    import numpy as np
    import torch
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    from ssgan.data.images import Images

    bunch = load_digits()
    pixels = torch.from_numpy(np.round(bunch.images * 255 / 16).astype(np.uint8)).unsqueeze(1)  # [n, 1, 8, 8]
    labels = torch.from_numpy(bunch.target.astype(np.int64))  # [n]
    parts = train_test_split(np.arange(len(labels)), test_size=360, stratify=bunch.target, random_state=0, shuffle=True)
    classes = tuple(str(name) for name in bunch.target_names)
    train, test = (Images.of(pixels[part], labels[part], classes) for part in parts)
    return train, test


@dataclass(frozen=True)
class File:
    """A file that torchvision's class opens, by what its content must be."""

    name: str
    shape: tuple[int, ...] = ()  # of the bytes in an IDX file; () for a file of another form
    md5: str = ""  # of the content; "" where nobody publishes it

    def check(self, content: bytes, place: Path) -> None:
        """Raises Mistake for content, found at that place, which is not the file's."""
        header = struct.pack(f">4B{len(self.shape)}I", 0, 0, 8, len(self.shape), *self.shape)
        size = len(header) + math.prod(self.shape)
        if self.shape and len(content) != size:
            raise damaged(place, f"it holds {len(content):,} bytes, expected {size:,}")
        if self.shape and content[: len(header)] != header:
            raise damaged(place, f"it does not begin as an IDX file of shape {self.shape}")
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest() if self.md5 else ""
        if md5 != self.md5:
            raise damaged(place, f"the MD5 of its content is {md5}, expected {self.md5}")


def _idx(prefix: str, count: int, images_md5: str = "", labels_md5: str = "") -> tuple[File, File]:
    """The two files of a part in the form of MNIST."""
    return (File(f"{prefix}-images-idx3-ubyte", (count, 28, 28), images_md5),
            File(f"{prefix}-labels-idx1-ubyte", (count,), labels_md5))


@dataclass(frozen=True)
class Source:
    """A data set of torchvision's. Called with the folder of data files, it gives the training and the test images.

    Its files may lie there unpacked, as .gz, or in the archive that torchvision downloads. They are read through a
    temporary folder, so the folder of data files may be read-only.
    """

    kind: str  # the name of torchvision's class
    folder: str  # under that of data files
    train: tuple[File, ...]  # the files of the training images, that of the labels last
    test: tuple[File, ...]
    options: Mapping[str, Any] = field(default_factory=dict)  # of torchvision's class, beside root and train
    classes: str = ""  # a letter each; "" for torchvision's names
    first_label: int = 0
    transposed: bool = False  # the files hold columns where rows should be

    def __call__(self, data_dir: Path) -> "tuple[Images, Images]":
        """The training and the test images, checked. Raises Mistake."""
        check_folder(data_dir)
        places = {file: self._find(file, data_dir / self.folder) for file in self.train + self.test}
        self._check_archives(places)
        with writing(Path(tempfile.gettempdir())), tempfile.TemporaryDirectory(prefix="ssgan-") as root:
            for file, place in places.items():
                _lay(file, place, Path(root, self.folder, file.name))
            train, test = (torchvision_class(self.kind)(root, train=train, **self.options) for train in (True, False))
        return self._images(train, places[self.train[-1]]), self._images(test, places[self.test[-1]])

    def archive(self, file: File) -> tuple[str, tuple[str, ...], str]:
        """The archive that holds a file: its name, addresses and published MD5, from torchvision's own tables."""
        published = torchvision_class(self.kind)
        if self.kind == "EMNIST":
            return "gzip.zip", (published.url,), published.md5
        if self.kind == "USPS":
            return next((name, (url,), md5) for url, name, md5 in published.split_list.values() if name == file.name)
        name = f"{file.name}.gz"
        return name, tuple(mirror + name for mirror in published.mirrors), dict(published.resources)[name]

    def _find(self, file: File, folder: Path) -> Path:
        """Where the content of a file is: unpacked, compressed, or in its archive, downloaded if need be."""
        archive, urls, md5 = self.archive(file)
        for place in (folder / file.name, folder / f"{file.name}.gz", folder / archive):
            if os.path.exists(place):
                return place
        from ssgan.data import downloads

        try:
            downloads.fetch(urls, md5, folder / archive)
        except downloads.Unavailable as error:
            names = ", ".join(file.name for file in self.train + self.test)
            forms = {".gz": ", unpacked or as .gz,", ".zip": f", or {archive},"}.get(Path(archive).suffix, "")
            place = f"the folder above {self.folder}" if self.folder else "their folder"
            raise Mistake(f"{folder} has no {file.name}, and {archive} cannot be downloaded ({error}).\n"
                          f"Put {names}{forms} into {folder}, or name {place} with --data-dir.\n"
                          f"`--dataset digits` needs no files and no network.") from None
        return folder / archive

    def _check_archives(self, places: dict[File, Path]) -> None:
        """Checks archives by their published MD5, each once, where no MD5 of the content is known."""
        archives = {place: self.archive(file) for file, place in places.items() if not file.md5}
        for place, (archive, _, published) in archives.items():
            md5 = md5_of(place) if place.name == archive else published
            if md5 != published:
                raise damaged(place, f"its MD5 is {md5}, expected {published}")

    def _images(self, part: Any, labels_place: Path) -> "Images":
        """What torchvision's class holds, upright and with labels from 0."""
        import torch

        from ssgan.data.images import Images

        pixels, labels = torch.as_tensor(part.data), torch.as_tensor(part.targets).long()  # [n, h, w] and [n]
        classes = tuple(self.classes or part.classes[self.first_label :])
        last = self.first_label + len(classes) - 1
        wrong = labels[(labels < self.first_label) | (labels > last)]
        if len(wrong):
            raise damaged(labels_place, f"it holds the label {wrong[0]}, expected {self.first_label} to {last}")
        if self.transposed:
            pixels = pixels.transpose(1, 2)
        return Images.of(pixels.unsqueeze(1), labels - self.first_label, classes)


DIGITS = "0123456789"

# MD5s are of the content, so any copy is taken, however it was compressed. Of KMNIST, EMNIST and USPS none is known:
# there the archive's is checked where the archive is what is there, and always length, shape and labels, so a changed
# pixel of an unpacked KMNIST or EMNIST goes unseen. Of EMNIST's splits, those with equally many images of each class.
SOURCES: dict[str, "Callable[[Path], tuple[Images, Images]]"] = {
    "digits": _digits,
    "mnist": Source(
        "MNIST", "MNIST/raw",
        _idx("train", 60_000, "6bbc9ace898e44ae57da46a324031adb", "a25bea736e30d166cdddb491f175f624"),
        _idx("t10k", 10_000, "2646ac647ad5339dbf082846283269ea", "27ae3e4e09519cfbb04c329615203637"), classes=DIGITS),
    "fashion-mnist": Source(
        "FashionMNIST", "FashionMNIST/raw",
        _idx("train", 60_000, "f4a8712d7a061bf5bd6d2ca38dc4d50a", "9018921c3c673c538a1fc5bad174d6f9"),
        _idx("t10k", 10_000, "8181f5470baa50b63fa0f6fddb340f0a", "15d484375f8d13e6eb1aabb0c3f46965")),
    "kmnist": Source("KMNIST", "KMNIST/raw", _idx("train", 60_000), _idx("t10k", 10_000)),
    "emnist-balanced": Source(
        "EMNIST", "EMNIST/raw", _idx("emnist-balanced-train", 112_800), _idx("emnist-balanced-test", 18_800),
        {"split": "balanced"}, transposed=True),
    "emnist-digits": Source(
        "EMNIST", "EMNIST/raw", _idx("emnist-digits-train", 240_000), _idx("emnist-digits-test", 40_000),
        {"split": "digits"}, transposed=True),
    "emnist-letters": Source(
        "EMNIST", "EMNIST/raw", _idx("emnist-letters-train", 124_800), _idx("emnist-letters-test", 20_800),
        {"split": "letters"}, first_label=1, transposed=True),
    "usps": Source("USPS", "", (File("usps.bz2"),), (File("usps.t.bz2"),), classes=DIGITS),
    **COLOUR,
}


def training_images(name: str) -> int | None:
    """How many training images the data set of that name has, without reading it; None where none is called so."""
    if name in ("digits", "usps"):
        return {"digits": 1437, "usps": 7291}[name]
    if name in COLOUR:
        return COLOUR[name].images
    return SOURCES[name].train[-1].shape[0] if name in SOURCES else None


def _lay(file: File, place: Path, target: Path) -> None:
    """Puts the checked content of a file where torchvision will look for it."""
    content = _content(place, file.name)
    file.check(content, place)
    target.parent.mkdir(parents=True, exist_ok=True)
    if place.name == file.name:
        target.symlink_to(place.absolute())
    else:
        target.write_bytes(content)


def _content(place: Path, name: str) -> bytes:
    """The file of that name as torchvision opens it, from a place where it is so, as .gz, or as .gz in a zip."""
    try:
        if place.suffix == ".zip":
            with zipfile.ZipFile(place) as archive:
                return gzip.decompress(archive.read(f"gzip/{name}.gz"))
        return place.read_bytes() if place.name == name else gzip.decompress(place.read_bytes())
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, KeyError) as error:
        raise damaged(place, str(error)) from None
