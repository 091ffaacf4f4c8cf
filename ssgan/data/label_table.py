"""`labels.csv`: the labels of images as a table of files, read with what is wrong in it told."""

import csv
import io
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ssgan.data.entries import LOST, MARKS, TABLE, composed, counted, examples
from ssgan.errors import Mistake
from ssgan.files import shown

TEST = ("test", "testing")
TRAIN = ("", "train", "training")
WANTED = "Its first line names the columns: file,label (and part, if some rows are for the test)."


class Row(NamedTuple):
    """What the table says of one file."""

    label: str  # "" is none, as -1 is
    test: bool


def read(content: bytes, where: str, known: Iterable[str]) -> dict[str, Row]:
    """What the table says, by the files' names beside it, in its order; `known` are the files that are there.

    Raises Mistake for a table without the two columns, for files that are not there, and for a file with two labels.
    """
    rows = _rows(content, where)
    known, missing, found = set(known), [], {}
    same = {composed(name): name for name in known}  # for one system writes letters with their accents, another apart
    for line, name, row in rows:
        name = _path(name)
        if name not in known:
            name = same.get(composed(name), name)
        if name not in known:
            missing.append(name)
        elif found.setdefault(name, row) != row:
            both = (f"has two labels, {found[name].label!r} and {row.label!r}" if found[name].label != row.label
                    else "is for training and for the test")
            raise Mistake(f"{where}, line {line}: {shown(name)} {both}: leave one of its lines.")
    if missing:
        raise Mistake(f"{where} names {counted(len(missing), 'file')} that {'is' if len(missing) == 1 else 'are'} not "
                      f"there: {examples(missing)}.\nThe names are paths from the folder in which {TABLE} lies.")
    if not found:
        raise Mistake(f"{where} has no lines below its header.\n{WANTED}")
    return found


def _rows(content: bytes, where: str) -> list[tuple[int, str, Row]]:
    """Line number, name and the rest of every line. Raises Mistake."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Mistake(f"{where} is no text in UTF-8 (byte {error.start:,}): save it as UTF-8.") from None
    first = next(iter(text.splitlines()), "")
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        columns = {name: header.index(name) for name in ("file", "label", "part") if name in header}
        if "file" not in columns or "label" not in columns:
            raise Mistake(f"{where} begins with {shown(first[:80])!r}, which names no columns file and label.\n"
                          f"{WANTED}")
        return [(reader.line_num, *_row(cells, columns, where, reader.line_num)) for cells in reader
                if any(cell.strip() for cell in cells)]
    except csv.Error as error:
        raise Mistake(f"{where}, line {reader.line_num}: {error}.") from None


def _row(cells: list[str], columns: Mapping[str, int], where: str, line: int) -> tuple[str, Row]:
    """The name of a line's file, and the rest. Raises Mistake."""
    file, label, part = (cells[columns[name]].strip() if columns.get(name, len(cells)) < len(cells) else ""
                         for name in ("file", "label", "part"))
    if not file:
        raise Mistake(f"{where}, line {line}: it names no file.")
    if part.lower() not in (*TEST, *TRAIN):
        raise Mistake(f"{where}, line {line}: part is {part!r}; write train or test.")
    if label in LOST - {""}:
        raise Mistake(f"{where}, line {line}: the label {label!r} is what a missing label becomes as text: leave it "
                      f"empty, or give that class another name.")
    label = "" if label in MARKS else composed(label)
    test = part.lower() in TEST
    if test and not label:
        raise Mistake(f"{where}, line {line}: {shown(file)} is for the test and has no label.")
    return file, Row(label, test)


def _path(name: str) -> str:
    return "/".join(part for part in name.replace("\\", "/").split("/") if part not in ("", "."))
