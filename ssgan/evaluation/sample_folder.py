"""Generated images as files, one folder a class that they were asked for."""

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from ssgan.errors import Mistake
from ssgan.evaluation.figures import as_picture
from ssgan.files import writing
from ssgan.models.sampling import Sampler

PIECE = 1000  # images at once


def write_folder(sampler: Sampler, classes: Sequence[str], count: int, folder: Path,
                 progress: Callable[[int], None] = lambda done: None) -> dict[str, int]:
    """Writes images number 0 to `count` as folder/<class>/<number>.png, or folder/<number>.png of a generator that is
    told no class; returns how many there are of each class.

    The folder is whole or not there. Raises Mistake where it exists, or cannot be written.
    """
    if folder.exists() or folder.is_symlink():
        raise Mistake(f"-o {folder}: it exists, and images would mix with what is there; name a folder that does not.")
    if not folder.parent.is_dir():
        raise Mistake(f"-o {folder}: there is no folder {folder.parent}.")
    names = folder_names(classes)
    half = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    counts: dict[str, int] = {}
    try:
        with writing(folder):
            half.mkdir()
            for start in range(0, count, PIECE):
                n = min(PIECE, count - start)
                images, labels = (sampler.images(start, n) * 255).round().byte(), sampler.labels(start, n)
                for place, image in enumerate(images):
                    name = "" if labels is None else names[labels[place]]
                    (half / name).mkdir(exist_ok=True)
                    as_picture(image).save(half / name / f"{start + place:0{len(str(count - 1))}d}.png")
                    counts[name] = counts.get(name, 0) + 1
                progress(start + n)
            half.rename(folder)
    finally:
        shutil.rmtree(half, ignore_errors=True)
    return dict(sorted(counts.items()))


def folder_names(classes: Sequence[str]) -> list[str]:
    """Names of classes as names of folders: without the signs that divide paths, and no two alike."""
    found: list[str] = []
    for name in classes:
        safe = "".join("-" if sign in "/\\:\0" else sign for sign in name).strip(". ") or "-"
        found.append(safe if safe not in found else f"{safe}-{len(found)}")
    return found
