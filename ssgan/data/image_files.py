"""The image files that words on the command line mean: files, folders, patterns, and lists from stdin."""

import glob
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Unreadable:
    """A path that gives no answer, and why."""

    path: Path
    reason: str


def find(words: Iterable[str], lines: Iterable[str]) -> Iterator[Path | Unreadable]:
    """Every file that the words mean, as soon as it is known; `-` stands for `lines`, one path each.

    A folder means the images in it and below, by their names' endings, in sorted order, a zip or a tar those in it.
    What means nothing comes as Unreadable.
    """
    for word in words:
        if word != "-":
            yield from _named(word, pattern=True)
            continue
        for line in lines:
            if line.rstrip("\n"):
                yield from _named(line.rstrip("\n"), pattern=False)


def _named(word: str, *, pattern: bool) -> Iterator[Path | Unreadable]:
    path = Path(word)
    if path.is_dir():
        yield from _folder(path)
    elif path.is_file():
        yield from _file(path)
    elif os.path.lexists(path):
        yield Unreadable(path, "it is no file")
    elif pattern and glob.has_magic(word):
        matches = sorted(glob.glob(word, recursive=True))
        for match in matches:
            yield from _named(match, pattern=False)
        if not matches:
            yield Unreadable(path, "nothing matches this pattern")
    else:
        yield Unreadable(path, "there is no such file")


def _file(path: Path) -> Iterator[Path | Unreadable]:
    """The file itself, or the images in it where it is an archive."""
    from ssgan.data.archives import ENDINGS, is_archive, packed

    yield from packed(path) if path.suffix.lower() in ENDINGS and is_archive(path) else [path]


def _folder(folder: Path) -> Iterator[Path | Unreadable]:
    endings, found = _endings(), False
    failures: list[OSError] = []
    for place, folders, names in os.walk(folder, onerror=failures.append):
        folders.sort()
        for name in sorted(names):
            if os.path.splitext(name)[1].lower() in endings and not name.startswith("."):
                path = Path(place, name)
                found = True
                yield path if path.is_file() else Unreadable(path, "it is no file")
    for failure in failures:
        yield Unreadable(Path(failure.filename or folder), failure.strerror or "it cannot be read")
    if not found and not failures:
        yield Unreadable(folder, "there is no image in this folder")


def _endings() -> set[str]:
    """The endings of the names of files that Pillow may decode."""
    from PIL import Image

    return {ending for ending, kind in Image.registered_extensions().items() if kind in Image.OPEN}
