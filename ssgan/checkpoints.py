"""Atomic save and load of tensors and plain values: one file, no pickled code."""

import os
import pickle
import zipfile
import zlib
from pathlib import Path
from typing import Any

import torch

from ssgan.errors import Mistake

# What zipfile and torch raise on a damaged file or a foreign one.
DAMAGE = (OSError, RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError, zipfile.BadZipFile, zlib.error, pickle.UnpicklingError)


def save(path: Path, content: dict[str, Any]) -> None:
    """Writes under a temporary name, syncs, renames: after a kill at any moment the old or the new file is whole."""
    for stale in path.parent.glob(f"{path.name}.*.tmp"):  # of a process that was killed here; one process writes at a time
        stale.unlink(missing_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


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
