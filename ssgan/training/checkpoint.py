"""Atomic save and load of tensors and plain values: one file, no pickled code."""

import pickle
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import torch

from ssgan.errors import Mistake
from ssgan.files import remove_leftovers, replacing

# What zipfile and torch raise on a damaged file or a foreign one.
DAMAGE = (OSError, RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError, zipfile.BadZipFile,
          zlib.error, pickle.UnpicklingError)


def save(path: Path, content: dict[str, Any]) -> None:
    """Replaces the file: after a kill at any moment, or on a full disk, the old or the new one is whole. Raises
    Mistake.
    """
    remove_leftovers(path)  # of a process that was killed here; one process writes at a time
    with replacing(path) as file:
        watched = _Watched(file)
        try:
            torch.save(content, watched)
        except RuntimeError as error:  # what torch makes of a disk that is full
            raise watched.error or error from error


class _Watched:
    """A file that remembers the error of its writing, which torch replaces by one of its own that tells nothing."""

    def __init__(self, file: BinaryIO):
        self.file, self.error = file, None

    def write(self, data: bytes) -> int:
        try:
            return self.file.write(data)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        self.file.flush()


def load(path: Path) -> dict[str, Any]:
    """The content of a saved file, on the CPU. Raises Mistake when the file is not one or is damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # torch does not look at the check sums
        if damaged is None:
            return torch.load(path, map_location="cpu", weights_only=True)
        reason = f"{damaged} is damaged"
    except DAMAGE as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
    raise Mistake(f"{path} cannot be read as a checkpoint: {reason}")
