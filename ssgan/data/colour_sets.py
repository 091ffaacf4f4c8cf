"""The colour data sets that have a name: CIFAR-10, CIFAR-100, SVHN and STL-10, read by torchvision's classes."""

import hashlib
import os
import tarfile
import tempfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ssgan.data.torchvision_files import check_folder, damaged, md5_of, torchvision_class
from ssgan.errors import Mistake
from ssgan.files import writing

if TYPE_CHECKING:  # the command line lists the sets, without torch
    from ssgan.data.images import Images

BLOCK = 2**20  # bytes copied at once


class Published(NamedTuple):
    """A file by torchvision's own tables."""

    name: str
    md5: str
    archive: str  # that it is downloaded in; its own name where it comes alone
    url: str
    archive_md5: str


@dataclass(frozen=True)
class ColourSource:
    """A data set of torchvision's. Called with the folder of data files, it gives the training and the test images,
    uint8 [n, 3, h, w].

    Its files lie there as torchvision has them: in a folder of the set's, or in the archive that is downloaded. Each is
    checked by its published MD5 before it is read, for some are pickles. They are read through a temporary folder, so
    the folder of data files may be read-only; an archive is unpacked there every time.
    """

    kind: str  # the name of torchvision's class
    images: int  # training images
    folder: str  # under that of data files
    train: tuple[Mapping[str, Any], ...]  # options of torchvision's class for each part of the training images
    test: Mapping[str, Any]
    classes: tuple[str, ...] = ()  # () for torchvision's names

    def __call__(self, data_dir: Path) -> "tuple[Images, Images]":
        """The training and the test images, checked. Raises Mistake."""
        check_folder(data_dir)
        with writing(Path(tempfile.gettempdir())), tempfile.TemporaryDirectory(prefix="ssgan-") as root:
            self._lay(data_dir, Path(root, self.folder))
            make = torchvision_class(self.kind)
            train, test = ([make(root, **options) for options in parts] for parts in (self.train, (self.test,)))
            return self._images(train), self._images(test)

    def files(self) -> list[Published]:
        """All that are read, from torchvision's own tables."""
        published = torchvision_class(self.kind)
        if self.kind == "SVHN":
            wanted = {options["split"] for options in (*self.train, self.test)}
            return [Published(name, md5, name, url, md5) for split, (url, name, md5) in published.split_list.items()
                    if split in wanted]
        listed = [*published.train_list, *published.test_list]
        if self.kind != "STL10":
            listed.append([published.meta["filename"], published.meta["md5"]])
        return [Published(name, md5, published.filename, published.url, published.tgz_md5) for name, md5 in listed]

    def _lay(self, data_dir: Path, target: Path) -> None:
        """Puts the checked files where torchvision will look for them."""
        target.mkdir(parents=True, exist_ok=True)
        missing = []
        for file in self.files():
            place = data_dir / self.folder / file.name
            if os.path.exists(place):
                _check(place, file.md5)
                (target / file.name).symlink_to(place.absolute())
            else:
                missing.append(file)
        for archive in dict.fromkeys(file.archive for file in missing):
            self._unpack(data_dir, [file for file in missing if file.archive == archive], target)

    def _unpack(self, data_dir: Path, files: list[Published], target: Path) -> None:
        """Puts files there that lie in one archive, which is downloaded if need be."""
        place = data_dir / files[0].archive
        if not os.path.exists(place):
            self._fetch(files[0], place)
        if files[0].archive == files[0].name:  # it came alone
            _check(place, files[0].md5)
            (target / files[0].name).symlink_to(place.absolute())
            return
        try:
            with tarfile.open(place) as archive:
                for file in files:
                    found = _copied(archive, f"{self.folder}/{file.name}", target / file.name)
                    if found != file.md5:
                        raise damaged(place, f"the MD5 of {file.name} in it is {found}, expected {file.md5}")
        except (OSError, EOFError, KeyError, zlib.error, tarfile.TarError) as error:
            raise damaged(place, str(error)) from None

    def _fetch(self, file: Published, place: Path) -> None:
        from ssgan.data import downloads

        try:
            downloads.fetch((file.url,), file.archive_md5, place)
        except downloads.Unavailable as error:
            names = ", ".join(each.name for each in self.files())
            unpacked = f", or {names} into {place.parent / self.folder}" if self.folder else ""
            raise Mistake(f"{place.parent} has no {file.archive}, and it cannot be downloaded ({error}).\n"
                          f"Put {file.archive} from {file.url} into it{unpacked}; or name another folder with "
                          f"--data-dir.\n`--dataset digits` needs no files and no network.") from None

    def _images(self, parts: list[Any]) -> "Images":
        """What torchvision's objects hold, one behind the other."""
        import numpy as np
        import torch

        from ssgan.data.images import Images

        if self.kind in ("SVHN", "STL10"):
            pixels, labels = [part.data for part in parts], [part.labels for part in parts]
        else:
            pixels, labels = [part.data.transpose(0, 3, 1, 2) for part in parts], [part.targets for part in parts]
        joined = torch.from_numpy(np.concatenate(pixels)), torch.from_numpy(np.concatenate(labels).astype(np.int64))
        return Images.of(*joined, tuple(self.classes or parts[0].classes))


def _check(place: Path, expected: str) -> None:
    if (found := md5_of(place)) != expected:
        raise damaged(place, f"the MD5 of its content is {found}, expected {expected}")


def _copied(archive: tarfile.TarFile, name: str, target: Path) -> str:
    """Writes a file of an archive; the MD5 of its content."""
    source = archive.extractfile(name)
    if source is None:
        raise KeyError(f"{name} in it is no file")
    digest = hashlib.md5(usedforsecurity=False)
    with source, open(target, "wb") as file:
        while block := source.read(BLOCK):
            digest.update(block)
            file.write(block)
    return digest.hexdigest()


DIGITS = tuple("0123456789")
STL10 = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")  # as its class_names.txt

COLOUR: dict[str, ColourSource] = {
    "cifar10": ColourSource("CIFAR10", 50_000, "cifar-10-batches-py", ({"train": True},), {"train": False}),
    "cifar100": ColourSource("CIFAR100", 50_000, "cifar-100-python", ({"train": True},), {"train": False}),
    "svhn": ColourSource("SVHN", 73_257, "", ({"split": "train"},), {"split": "test"}, DIGITS),
    "svhn-extra": ColourSource("SVHN", 604_388, "", ({"split": "train"}, {"split": "extra"}), {"split": "test"},
                               DIGITS),
    "stl10": ColourSource("STL10", 105_000, "stl10_binary", ({"split": "train+unlabeled"},), {"split": "test"}, STL10),
}
