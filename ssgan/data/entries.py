"""`Entry`: a file of a person's data set, in a folder or an archive, by what tells whether it has changed."""

import os
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

from ssgan.files import shown

TABLE = "labels.csv"
SHOWN = 3  # examples in a line
MARKS = {"-1", "-1.0"}  # what -1, which marks an unlabelled sample, becomes among text
LOST = {"", "nan", "NaN", "None", "<NA>", "NaT"}  # what a missing label becomes where all are made text
LITTER = {"__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "@eadir", "$recycle.bin", "system volume information",
          "lost+found", "icon\r"}  # in small letters; and whatever begins with a dot


class Entry(NamedTuple):
    """A file below the root of its source."""

    name: str  # from there, its parts joined by /
    size: int  # bytes
    stamp: int  # the time of its last change in ns, or a checksum
    place: int = 0  # where it lies in an archive


class Found(NamedTuple):
    """The files of a source."""

    entries: list[Entry]  # images by their names' endings, and tables of labels
    litter: list[str]  # what operating systems add
    others: list[str]  # files of other kinds


class Source(Protocol):
    """A folder or an archive that holds a data set."""

    in_order: bool  # whether files are to be opened one at a time, in the order of their places

    def find(self) -> Found:
        """Its files, in any order. Raises Mistake where it cannot be read, or not safely."""

    def open(self, entry: Entry) -> BinaryIO | Path:
        """The content of a file, or where it lies; several threads may ask at once unless `in_order`. Raises whatever
        a damaged archive gives.
        """

    def close(self) -> None:
        """It will not be asked for more."""


def is_litter(name: str) -> bool:
    """Whether a file or folder of that name is one that operating systems add."""
    return name.startswith(".") or name.lower() in LITTER


def is_wanted(name: str, endings: Iterable[str]) -> bool:
    """Whether a file of that name may be an image, or the table of labels."""
    return os.path.splitext(name)[1].lower() in endings or name.lower() == TABLE


def composed(name: str) -> str:
    """The name with each accent in its letter; some file systems keep it apart, and both look the same."""
    return unicodedata.normalize("NFC", name)


def examples(names: Iterable[str]) -> str:
    """The first few names, and how many others there are."""
    names = list(names)
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(shown(name) for name in names[:SHOWN]) + more


def counted(number: int, singular: str, plural: str = "") -> str:
    """A number with its noun."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"
