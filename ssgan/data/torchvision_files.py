"""Files of torchvision's data sets: its classes, checksums, and what is said of a damaged one."""

import hashlib
import os
from pathlib import Path

from ssgan.errors import Mistake


def torchvision_class(kind: str) -> type:
    """The data set's class of that name."""
    import torchvision.datasets  # takes a second, so only where it is needed

    return getattr(torchvision.datasets, kind)


def check_folder(data_dir: Path) -> None:
    """Raises Mistake where the folder of data files is a file."""
    if os.path.exists(data_dir) and not data_dir.is_dir():
        raise Mistake(f"the data folder {data_dir} is a file: choose a folder with --data-dir or SSGAN_DATA_DIR.")


def md5_of(place: Path) -> str:
    """Of a file's content. Raises Mistake where it cannot be read."""
    try:
        with open(place, "rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    except OSError as error:
        raise damaged(place, str(error)) from None


def damaged(path: Path, found: str) -> Mistake:
    """What is said of a file whose content is not what it must be."""
    mend = "Delete that file and run again to download it, or copy it afresh from where it came."
    return Mistake(f"{path} is damaged: {found}.\n{mend}")
