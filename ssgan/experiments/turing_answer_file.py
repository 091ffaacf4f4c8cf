"""A file of answers to a visual Turing test, which an exported page saves and a person sends back."""

import json
from dataclasses import dataclass
from pathlib import Path

from ssgan.errors import Mistake
from ssgan.evaluation.turing_test import SIGNS
from ssgan.files import reading

FORMAT = "ssgan-turing-answers 1"
LONGEST_NAME = 60
LARGEST_FILE = 100_000  # bytes


@dataclass(frozen=True)
class AnswerFile:
    """What a person has sent back: the test's id, the name, the answers."""

    test: str
    name: str
    answers: str

    @property
    def check(self) -> str:
        """FNV-1a of 32 bits over all of it, 8 hex digits: the page that writes the file computes the same. It finds
        what was changed by hand or on the way; a person who reads the page's source can make one, and gains nothing,
        for the truth is not in the page.
        """
        return fnv_1a("\n".join((self.test, self.name, self.answers)).encode())


def read_answer_file(path: Path) -> AnswerFile:
    """A file of answers, whole and unchanged. Raises Mistake."""
    with reading(path), open(path, "rb") as file:
        content = file.read(LARGEST_FILE + 1)
    try:
        found = json.loads(content) if len(content) <= LARGEST_FILE else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise Mistake(f"--import {path}: it is no file of answers: name one that a page of\n`ssgan turing RUN --export "
                      f"FILE` has saved.")
    texts = [found.get(name) for name in ("test", "name", "answers", "check")]
    if all(isinstance(text, str) for text in texts):
        *parts, check = texts
        file = AnswerFile(*parts)
        if _encodable("".join(parts)) and file.check == check and tidy_name(file.name) and set(file.answers) <= SIGNS:
            return file
    raise Mistake(f"--import {path}: it was changed after the page had saved it, or not copied whole.\nAsk for the "
                  f"file again.")


def fnv_1a(content: bytes) -> str:
    """Fowler, Noll & Vo's hash 1a of 32 bits, as 8 hex digits."""
    value = 0x811C9DC5
    for byte in content:
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return f"{value:08x}"


def tidy_name(name: str) -> str:
    """A person's name in one line without what cannot be printed; "" where nothing is left of it."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in name).split())[:LONGEST_NAME].strip()


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half a sign, as JSON can hold
        return False
    return True
