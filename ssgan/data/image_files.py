"""The image files that words on the command line mean: files, folders, patterns, and lists from stdin."""

import errno
import glob
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

NOTHING = (errno.ENOENT, errno.ENOTDIR)
BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # some editors put it before a text in UTF-8


@dataclass(frozen=True)
class Unreadable:
    """A path that gives no answer, and why."""

    path: Path
    reason: str
    passing: bool = False  # of the system and not of the file, so that another try may read it


def find(words: Iterable[str], lines: Iterable[bytes]) -> Iterator[Path | Unreadable]:
    """Every file that the words mean, as soon as it is known; `-` stands for `lines`, one path each.

    A folder means the images in it and below, by their names' endings, in sorted order, and then those in the folders
    that links in it lead to, each real folder once; a zip or a tar means those in it. What means nothing comes as
    Unreadable, whatever the system says of it, and stops nothing.
    """
    for word in words:
        if word == "-":
            yield from _listed(lines)
        else:
            yield from _named(word, pattern=True)


def _listed(lines: Iterable[bytes]) -> Iterator[Path | Unreadable]:
    """The files of a list, whose lines may end as those of other systems do."""
    try:
        for number, line in enumerate(lines):
            name = line.removesuffix(b"\n")
            if number == 0 and not os.path.lexists(name):
                name = name.removeprefix(BYTE_ORDER_MARK)
            if name.endswith(b"\r") and not os.path.lexists(name):
                name = name[:-1]
            if name:
                yield from _named(os.fsdecode(name), pattern=False)
    except OSError as error:
        reason = "stdin is closed" if error.errno == errno.EBADF else error.strerror or str(error)
        yield Unreadable(Path("-"), f"the list cannot be read: {reason}")


def _named(word: str, *, pattern: bool) -> Iterator[Path | Unreadable]:
    path = Path(word)
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        if pattern and glob.has_magic(word) and not os.path.lexists(word):
            yield from _matching(word)
        else:
            yield Unreadable(path, _reason(error, path))
        return
    if stat.S_ISDIR(mode):
        yield from _folder(path, set())
    elif stat.S_ISREG(mode):
        yield from _file(path)
    else:
        yield Unreadable(path, "it is no file")


def _file(path: Path) -> Iterator[Path | Unreadable]:
    """The file itself, or the images in it where it is an archive."""
    from ssgan.data.archives import ENDINGS, is_archive, packed

    yield from packed(path) if path.suffix.lower() in ENDINGS and is_archive(path) else [path]


def _matching(word: str) -> Iterator[Path | Unreadable]:
    """What a pattern means."""
    try:
        matches = sorted(glob.glob(word, recursive=True))
        if not matches:
            first = next(place for place, part in enumerate(Path(word).parts) if glob.has_magic(part))
            os.scandir(Path(*Path(word).parts[:first])).close()  # glob tells nothing of what it may not read
    except (OSError, ValueError) as error:
        nothing = isinstance(error, OSError) and error.errno in NOTHING
        yield Unreadable(Path(word), "nothing matches this pattern" if nothing else _reason(error, Path(word)))
        return
    for match in matches:
        yield from _named(match, pattern=False)
    if not matches:
        yield Unreadable(Path(word), "nothing matches this pattern")


def _folder(folder: Path, seen: set[tuple[int, int]]) -> Iterator[Path | Unreadable]:
    """The images of a folder; `seen` are the real folders, by device and number, that have been gone through."""
    found = False
    for item in _walk(folder, seen):
        found = True
        yield item
    if not found:
        yield Unreadable(folder, "there is no image in this folder")


def _walk(folder: Path, seen: set[tuple[int, int]]) -> Iterator[Path | Unreadable]:
    endings, links = image_endings(), []
    failures: list[OSError] = []
    for place, folders, names in os.walk(folder, onerror=failures.append):
        links += sorted(Path(place, name) for name in folders if os.path.islink(os.path.join(place, name)))
        folders[:] = sorted(name for name in folders if not _known(Path(place, name), seen))
        _note(Path(place), seen)
        for name in sorted(names):
            path = Path(place, name)
            if not name.startswith(".") and (path.suffix.lower() in endings or not path.suffix and _is_loose(path)):
                yield _image(path)
    for failure in failures:
        yield Unreadable(Path(failure.filename or folder), failure.strerror or "it cannot be read")
    for link in links:  # after the real ones, so that an image keeps its real name
        if not _known(link, seen):
            yield from _walk(link, seen)


def _image(path: Path) -> Path | Unreadable:
    try:
        return path if stat.S_ISREG(path.stat().st_mode) else Unreadable(path, "it is no file")
    except OSError as error:
        return Unreadable(path, _reason(error, path))


def _is_loose(path: Path) -> bool:
    """Whether it is a link that leads nowhere, to a folder on a disk that is not there, say."""
    return os.path.islink(path) and not os.path.exists(path)


def _known(folder: Path, seen: set[tuple[int, int]]) -> bool:
    try:
        found = folder.stat()
    except OSError:
        return False  # that it cannot be looked into is said when it is tried
    return (found.st_dev, found.st_ino) in seen


def _note(folder: Path, seen: set[tuple[int, int]]) -> None:
    try:
        found = folder.stat()
    except OSError:
        return
    seen.add((found.st_dev, found.st_ino))


def _reason(error: OSError | ValueError, path: Path) -> str:
    """Why a path gives nothing, as a person says it."""
    if isinstance(error, ValueError):
        return "no name has a zero byte in it; a list is to be in UTF-8"
    if error.errno in NOTHING:
        return "it is a link that leads nowhere" if os.path.islink(path) else "there is no such file"
    return error.strerror or str(error)


def image_endings() -> set[str]:
    """The endings of the names of files that Pillow may decode."""
    from PIL import Image

    return {ending for ending, kind in Image.registered_extensions().items() if kind in Image.OPEN}
