"""Decoded images of a person's data set in the user's cache: decoded once, then mapped from the file into memory.

The file of pixels is read page by page as images are gathered, and its pages can be dropped at any time: a set larger
than the memory is trained on like any other.
"""

import contextlib
import hashlib
import json
import os
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ssgan.data import decoding, doubles
from ssgan.data.decoding import Seen
from ssgan.data.doubles import Doubles
from ssgan.data.entries import Entry, Source
from ssgan.data.watching import Watching
from ssgan.errors import Mistake
from ssgan.files import cache_folder, locked, replacing, writing
from ssgan.settings import fingerprint

VERSION = 1  # of the files, to be raised where images are decoded otherwise
WAIT_SECONDS = 24 * 3600.0  # for another process that decodes the same images


@dataclass(frozen=True, eq=False)
class Decoded:
    """The images that could be decoded, in the order of their entries."""

    pixels: np.ndarray  # uint8 [n, c, h, w], mapped from a file
    kept: np.ndarray  # [n] the numbers of their entries
    doubles: Doubles
    seen: Seen
    notes: Path | None  # the cache's file of hashes; None where it cannot be written

    def known_sha256(self, key: str) -> list[str] | None:
        """The hashes that were noted under that key."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            found = json.loads(self.notes.read_text())[key]
            return found if all(isinstance(each, str) for each in found) else None
        return None

    def note_sha256(self, key: str, hashes: list[str]) -> None:
        """Notes hashes of the content, so that it need not be read whole to be known again."""
        if self.notes is not None:
            with contextlib.suppress(Mistake), replacing(self.notes) as file:
                file.write(json.dumps({key: hashes}).encode())


def decoded(path: Path, source: Source, entries: Sequence[Entry], image_size: int, watching: Watching,
            recheck: bool) -> Decoded:
    """The images of the entries of the source at `path`, from the cache where nothing has changed there since, by
    names, sizes and times; `recheck` decodes them in any case. Raises Mistake for images that are too small.
    """
    folder, digest = _folder(path, image_size), _digest(entries, image_size)
    if folder is not None and not recheck and (found := _read(folder, digest)):
        return found
    with _place(folder, digest, watching) as place:
        if place.kept and not recheck and (found := _read(folder, digest)):
            return found  # another process has decoded them meanwhile
        return _decode(path, source, entries, image_size, watching, place)


@dataclass(frozen=True)
class _Place:
    """Where images are decoded to."""

    folder: Path
    digest: str
    kept: bool  # whether it stays


@contextlib.contextmanager
def _place(folder: Path | None, digest: str, watching: Watching) -> Iterator[_Place]:
    """The cache's folder under its lock; where it cannot be written a temporary one, which is said."""
    if folder is not None:
        with contextlib.ExitStack() as held:
            if not held.enter_context(locked(folder / "lock", 1.0)):
                watching.say("another process is decoding these images; waiting for it")
                held.enter_context(locked(folder / "lock", WAIT_SECONDS))
            for stale in folder.glob(".*.tmp"):
                stale.unlink(missing_ok=True)
            yield _Place(folder, digest, True)
        return
    with writing(Path(tempfile.gettempdir())), tempfile.TemporaryDirectory(prefix="ssgan-") as temporary:
        watching.say("the cache cannot be written, so the images are decoded again next time")
        yield _Place(Path(temporary), digest, False)


def _decode(path: Path, source: Source, entries: Sequence[Entry], image_size: int, watching: Watching,
            place: _Place) -> Decoded:
    watching.begin("looking at images", len(entries))
    headers = decoding.look(source, entries, watching.update)
    shape = decoding.shape_of(headers, image_size, path.name)
    seen = Seen(passing=headers.passing, modes=headers.modes, sizes=headers.sizes)
    watching.begin("decoding images", len(entries))
    digests, hashes = np.zeros(len(entries), "S32"), np.zeros(len(entries), np.uint64)
    there = np.zeros(len(entries), bool)
    coloured, pixels_path = False, place.folder / f"{place.digest}.pixels"
    size = int(np.prod(shape))
    with replacing(pixels_path) as file:
        for number, content in decoding.decode(source, entries, shape, seen, watching.update):
            os.pwrite(file.fileno(), content.pixels, number * size)
            digests[number], hashes[number], there[number] = content.digest.hex(), content.hash, True
            coloured |= content.coloured
        kept = np.flatnonzero(there)
        shape = _closed_up(file, kept, shape, coloured)
    watching.end()
    pixels = _mapped(pixels_path, len(kept), shape)
    pairs = doubles.find(digests[kept], hashes[kept], lambda numbers: pixels[numbers])
    about = {"shape": list(shape), "seen": seen.plain()}
    kept_long = place.kept and not seen.passing
    if kept_long:
        with replacing(place.folder / f"{place.digest}.npz") as file:
            np.savez(file, kept=kept, equal=pairs.equal, near=pairs.near, about=np.array(json.dumps(about)))
        for old in place.folder.glob("*.*"):
            if old.suffix == ".json" or (old.suffix in (".pixels", ".npz") and old.stem != place.digest):
                old.unlink(missing_ok=True)
    else:  # what was there of the same files, before --recheck say, does not fit to these pixels
        (place.folder / f"{place.digest}.npz").unlink(missing_ok=True)
    return Decoded(pixels, kept, pairs, seen, _notes(place.folder, place.digest) if kept_long else None)


def _closed_up(file: BinaryIO, kept: np.ndarray, shape: tuple[int, int, int], coloured: bool) -> tuple[int, int, int]:
    """Closes the gaps of images that could not be decoded, and leaves one channel where all are grey; the new shape."""
    channels, height, width = shape
    new = shape if coloured or channels == 1 else (1, height, width)
    size, new_size, count = channels * height * width, new[0] * height * width, len(kept)
    if new != shape or (count and kept[-1] != count - 1):
        with open(file.name, "rb") as written:
            for row, number in enumerate(kept.tolist()):
                os.pwrite(file.fileno(), os.pread(written.fileno(), new_size, number * size), row * new_size)
    file.truncate(count * new_size)
    return new


def _read(folder: Path, digest: str) -> Decoded | None:
    """What the cache holds; None where it is not there, or not whole."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error):
        with open(folder / f"{digest}.npz", "rb") as file, np.load(file, allow_pickle=False) as saved:
            about: dict[str, Any] = json.loads(str(saved["about"]))
            kept, pairs = saved["kept"], Doubles(saved["equal"], saved["near"])
        pixels = _mapped(folder / f"{digest}.pixels", len(kept), tuple(about["shape"]))
        return Decoded(pixels, kept, pairs, Seen.of_plain(about["seen"]), _notes(folder, digest))
    return None


def _notes(folder: Path, digest: str) -> Path:
    return folder / f"{digest}.json"


def _mapped(path: Path, count: int, shape: tuple[int, int, int]) -> np.ndarray:
    """The file of pixels as an array that is read only when it is looked at. Raises ValueError for another size."""
    if path.stat().st_size != count * int(np.prod(shape)):
        raise ValueError("the file of pixels has another size")
    if not count:
        return np.zeros((0, *shape), np.uint8)
    return np.memmap(path, np.uint8, "r", shape=(count, *shape))


def tensor_of(pixels: np.ndarray):
    """The same as a tensor that shares its memory; nothing may be written to it."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that it cannot be written
        return torch.from_numpy(pixels)


def _folder(path: Path, image_size: int) -> Path | None:
    """The cache's folder of that source, made; None where that is impossible."""
    try:
        name = os.fsencode(os.path.realpath(path)).decode("latin-1")
        folder = cache_folder("decoded", fingerprint({"source": name, "size": image_size}))
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except (OSError, Mistake):
        return None


def _digest(entries: Sequence[Entry], image_size: int) -> str:
    """16 hex digits that are equal exactly when the files are, by their names, sizes and times, in that order."""
    digest = hashlib.sha256(json.dumps([VERSION, image_size, doubles.can_hash()]).encode())
    for entry in entries:
        digest.update(f"{entry.name}\0{entry.size} {entry.stamp}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:16]
