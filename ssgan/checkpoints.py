"""Atomic save and load of tensors and plain values: one file, no pickled code."""

import os
from pathlib import Path
from typing import Any

import torch

from ssgan.errors import Mistake


def save(path: Path, content: dict[str, Any]) -> None:
    """Writes under a temporary name, syncs, renames: after a kill at any moment the old or the new file is whole."""
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
    """The content of a saved file, on the CPU. Raises Mistake when the file is not one."""
    import pickle

    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise Mistake(f"{path} cannot be read as a checkpoint: {str(error).splitlines()[0]}") from None
