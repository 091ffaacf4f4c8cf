"""Answers that follow from images, labels and settings, in the user's cache: found once for all runs."""

import contextlib
import zipfile
import zlib
from collections.abc import Callable, Hashable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from ssgan.errors import Mistake
from ssgan.files import cache_folder, locked, remove_leftovers, replacing
from ssgan.settings import fingerprint

VERSION = 1  # of what is found, to be raised where it is found otherwise
ROOM = 200_000_000  # bytes that the files may take, of some five an image each
WAIT_SECONDS = 1800.0  # for another process that finds the same; then it is found here too

Answers = tuple[np.ndarray, np.ndarray]  # int64 [n] classes, and how certain each is: float32 [n]


def found_once(origin: tuple[Hashable, ...], find: Callable[[], Answers]) -> Answers:
    """What `find` returns, in these types, from the cache where it has been found from the same origin, by the same
    libraries on such a processor; a broken file is found anew. Processes that ask at once wait for the first. Where the
    cache cannot be written all find it for themselves.
    """
    place = _place(origin)
    if place is None:
        return _as_kept(*find())
    if (answers := _read(place)) is not None:
        return answers
    with contextlib.ExitStack() as held:
        with contextlib.suppress(Mistake):  # a file system without locks: it is found twice at worst
            held.enter_context(locked(place.with_suffix(".lock"), WAIT_SECONDS))
        if (answers := _read(place)) is not None:
            return answers
        answers = _as_kept(*find())
        with contextlib.suppress(Mistake, OSError):
            remove_leftovers(place)
            with replacing(place) as file:
                np.savez_compressed(file, classes=answers[0], certainty=answers[1])
            _forget_the_oldest(place.parent)
    return answers


def _as_kept(classes: np.ndarray, certainty: np.ndarray) -> Answers:
    """The same to the last bit whether they are read or have just been found."""
    return classes.astype(np.int64), certainty.astype(np.float32)


def _place(origin: tuple[Hashable, ...]) -> Path | None:
    """The file, in a folder that is there; None where there can be none."""
    versions = [VERSION, *map(version, ("torch", "numpy", "scipy", "scikit-learn"))]
    key = fingerprint({"origin": repr(origin), "by": versions, "on": torch.backends.cpu.get_cpu_capability()})
    with contextlib.suppress(OSError, Mistake):
        folder = cache_folder("answers")
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{key}.npz"
    return None


def _read(place: Path) -> Answers | None:
    """None where there is no file, or not a whole one."""
    with contextlib.suppress(OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        with open(place, "rb") as file, np.load(file, allow_pickle=False) as saved:
            return saved["classes"], saved["certainty"]
    return None


def _forget_the_oldest(folder: Path) -> None:
    """Leaves the newest files, as many as there is room for, and the locks that belong to them."""
    with contextlib.suppress(OSError):  # another process forgets the same
        newest_first = sorted(folder.glob("*.npz"), key=lambda file: file.stat().st_mtime, reverse=True)
        taken = np.cumsum([file.stat().st_size for file in newest_first])
        for old in (file for file, size in zip(newest_first[1:], taken[1:]) if size > ROOM):
            old.unlink()
            old.with_suffix(".lock").unlink(missing_ok=True)
