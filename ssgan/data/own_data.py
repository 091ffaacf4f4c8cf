"""A person's own data set, by a name that says where it lies: `folder:PATH` and `npz:FILE`."""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ssgan.data.watching import Nobody, Watching
from ssgan.errors import Mistake

if TYPE_CHECKING:  # the command line asks whether a name is one of these, without torch
    import numpy as np

    from ssgan.data.dataset import Dataset
    from ssgan.data.decoded_cache import Decoded
    from ssgan.data.entries import Found
    from ssgan.data.layouts import Layout

FOLDER, NPZ = "folder:", "npz:"
KINDS = (FOLDER, NPZ)


@dataclass(frozen=True)
class Reading:
    """How data are read, where that may be chosen."""

    image_size: int = 0  # pixels a side of images from files; 0 is found by looking
    skip_broken: bool = False  # whether labelled images that cannot be read are left out
    recheck: bool = False  # whether every file is read again, whatever the cache holds
    watching: Watching = field(default_factory=Nobody)
    colours: str = "any"  # what images are wanted: grey, colour, or any, as data/colours.py has it


def is_own(name: str) -> bool:
    """Whether a data set's name says where it lies."""
    return name.startswith(KINDS)


def absolute(name: str) -> str:
    """The name with its path from the root of the file system, by which it is found from anywhere. Raises Mistake."""
    kind, path = split(name)
    if not path:
        raise Mistake(f"--dataset {name}: name a {'file' if kind == NPZ else 'folder, zip or tar'} behind the colon, "
                      f"for example --dataset {kind}{'digits.npz' if kind == NPZ else 'photos'}.")
    return kind + os.path.abspath(os.path.expanduser(path))


def split(name: str) -> tuple[str, str]:
    """The kind and the path of such a name."""
    kind = next(kind for kind in KINDS if name.startswith(kind))
    return kind, name.removeprefix(kind)


def short(name: str) -> str:
    """A data set's name for titles and files: of one's own the last part of its path, without an archive's ending."""
    if not is_own(name):
        return name
    last = os.path.basename(split(name)[1].rstrip("/"))
    for ending in (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".npz"):
        last = last.removesuffix(ending)
    return last or "own"


def title(recipe_name: str, dataset: str) -> str:
    """What runs of a recipe on a data set are called: as the recipe, but on one's own data as these."""
    return short(dataset) if is_own(dataset) else recipe_name or dataset


def load(name: str, reading: Reading) -> "Dataset":
    """The data set of that name. Raises Mistake where it cannot be read, or has nothing to learn from."""
    kind, path = split(absolute(name))
    if kind == NPZ:
        from ssgan.data import arrays

        if reading.image_size:
            raise Mistake(f"--image-size {reading.image_size}: the arrays in {path} are taken as they are; leave it "
                          f"out.")
        return arrays.load(name, Path(path), reading.watching.say)
    found = read(Path(path), reading)
    for line in found.lines(reading):
        reading.watching.say(line)
    found.check(reading.skip_broken)
    return found.dataset(name)


class Part(NamedTuple):
    """The images of one part that could be decoded."""

    rows: "np.ndarray"  # [n] of the pixels
    labels: "np.ndarray"  # [n]
    files: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class OwnImages:
    """A folder or an archive that has been read: its layout, and its images as far as they can be decoded."""

    path: Path
    files: "Found"
    layout: "Layout"
    decoded: "Decoded"

    @property
    def names(self) -> list[str]:
        """Of all images' files, those of the training part first."""
        return [entry.name for entry in (*self.layout.train, *self.layout.test)]

    @property
    def labels(self) -> "np.ndarray":
        """Of all images, -1 for none: [n]."""
        import numpy as np

        return np.array([*self.layout.train_labels, *self.layout.test_labels], dtype=np.int64)

    def parts(self) -> tuple[Part, Part]:
        """The training and the test part."""
        import numpy as np

        kept, labels, names = self.decoded.kept, self.labels, self.names
        first = int(np.searchsorted(kept, len(self.layout.train)))
        rows = np.arange(len(kept))
        return tuple(Part(part, labels[kept[part]], tuple(names[number] for number in kept[part].tolist()))
                     for part in (rows[:first], rows[first:]))

    def lines(self, reading: Reading) -> list[str]:
        """What a person is told of it."""
        from ssgan.data import decoding, doubles
        from ssgan.data.entries import counted, examples
        from ssgan.files import shown

        left = [*self.files.litter, *self.files.others]
        kept, names, labels = self.decoded.kept, self.names, self.labels
        found = [f"{shown(self.path.name)}: {line}" for line in self.layout.told]
        if len(kept):
            found += decoding.lines(self.decoded.seen, self.decoded.pixels.shape[1:], reading.image_size)
        if left:
            found.append(f"left out, for by their names they are no images: {counted(len(left), 'file')}, "
                         f"{examples(left)}")
        if self.broken():
            first = sorted(self.broken(), key=lambda number: (labels[number] < 0, number))  # the labelled ones
            found.append(f"left out, for they cannot be decoded: {self._told_broken(first)}")
        if not doubles.can_hash():
            found.append("images that look alike are not looked for: pip install imagehash")
        return found + doubles.lines(self.decoded.doubles, labels[kept], len(self.parts()[0].rows),
                                     [names[number] for number in kept.tolist()], self.layout.classes)

    def broken(self) -> dict[int, str]:
        """Why images cannot be decoded, by their numbers."""
        return dict(sorted(self.decoded.seen.unreadable.items()))

    def check(self, skip_broken: bool) -> None:
        """Raises Mistake for labelled images that cannot be decoded, unless they are skipped, and for a class that has
        no image left.
        """
        labels = self.labels
        lost = [number for number in self.broken() if labels[number] >= 0]
        if lost and not skip_broken:
            raise Mistake(f"of the labelled images of {self.path} some cannot be decoded: {self._told_broken(lost)}.\n"
                          f"Mend or remove them, or go on without them: --skip-broken.")
        train, _ = self.parts()
        gone = sorted(set(range(len(self.layout.classes))) - set(train.labels.tolist()))
        if gone:
            raise Mistake(f"no image of class {self.layout.classes[gone[0]]!r} of {self.path} can be decoded.")
        unlabelled = int((train.labels < 0).sum())
        if unlabelled == 1:
            raise Mistake(f"{self.path} has one unlabelled image, of which nothing can be learned: give at least two, "
                          f"or none, and the labelled ones are taken for both.")

    def dataset(self, name: str) -> "Dataset":
        """Its images, mapped from the cache into memory."""
        import torch

        from ssgan.data.dataset import Dataset
        from ssgan.data.decoded_cache import tensor_of
        from ssgan.data.images import Images

        train, test = self.parts()
        pixels, classes = tensor_of(self.decoded.pixels), self.layout.classes
        first = len(train.rows)
        parts = [(pixels[:first], torch.from_numpy(train.labels)), (pixels[first:], torch.from_numpy(test.labels))]
        key = _key(train, test, classes)
        known = self.decoded.known_sha256(key)
        if known and len(known) == 2:
            images = [Images.hashed(*part, classes, sha256) for part, sha256 in zip(parts, known)]
        else:
            images = [Images.of(*part, classes) for part in parts]
            self.decoded.note_sha256(key, [part.sha256 for part in images])
        return Dataset(name, images[0], images[1] if len(test.rows) else None, train.files, test.files)

    def _told_broken(self, numbers: Sequence[int]) -> str:
        from ssgan.data.entries import SHOWN, counted
        from ssgan.files import shown

        names, reasons = self.names, self.broken()
        some = ", ".join(f"{shown(names[number])} ({reasons[number]})" for number in numbers[:SHOWN])
        more = f" and {len(numbers) - SHOWN:,} more" if len(numbers) > SHOWN else ""
        return f"{counted(len(numbers), 'image')}, {some}{more}"


def read(path: Path, reading: Reading) -> OwnImages:
    """The images of a folder or an archive, found, and decoded where the cache has them not. Raises Mistake."""
    from ssgan.data import layouts
    from ssgan.data.decoded_cache import decoded

    source = open_source(path)
    try:
        files = source.find()
        layout = layouts.find(files.entries, lambda entry: _content(source, entry), path.name)
        found = decoded(path, source, [*layout.train, *layout.test], reading.image_size, reading.watching,
                        reading.recheck)
    finally:
        source.close()
    return OwnImages(path, files, layout, found)


def open_source(path: Path):
    """Raises Mistake where nothing, or nothing of use, is there."""
    from ssgan.data.archives import is_archive, open_archive
    from ssgan.data.folders import Folder

    if path.is_dir():
        return Folder(path)
    if not os.path.lexists(path):
        raise Mistake(f"there is no folder {path}; name the folder, zip or tar that holds your images.")
    if not path.is_file() or not is_archive(path):
        raise Mistake(f"{path} is neither a folder nor a zip nor a tar; name one that holds your images.")
    return open_archive(path)


def _content(source, entry) -> bytes:
    """Raises Mistake where a table cannot be read."""
    try:
        opened = source.open(entry)
        return opened.read_bytes() if isinstance(opened, Path) else opened.read()
    except Exception as error:  # of a damaged archive whatever comes
        text = (getattr(error, "strerror", None) or str(error) or type(error).__name__).splitlines()[0]
        raise Mistake(f"{entry.name} cannot be read: {text}.") from None


def _key(train: Part, test: Part, classes: tuple[str, ...]) -> str:
    """What the hash of a data set depends on besides its pixels."""
    digest = hashlib.sha256(json.dumps(classes).encode())
    for part in (train, test):
        digest.update(f"{len(part.labels)} ".encode())
        digest.update(part.labels.astype("<i8").tobytes())
    return digest.hexdigest()
