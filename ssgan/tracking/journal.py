"""`Journal`: what a run has measured, as a file of JSON lines."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

from ssgan.errors import Mistake
from ssgan.files import writing


class Journal:
    """A file of JSON lines {"step", "time", "values"}; numbers that JSON lacks are written as "nan", "inf" and
    "-inf".
    """

    def __init__(self, path: Path):
        self.path = path
        self._last: dict[str, int] | None = None  # the last step of each name; None: not opened for writing yet
        self._pending: list[bytes] = []
        self._size = 0
        self._written = 0.0

    def add(self, step: int, values: dict[str, float], at: float) -> None:
        """Appends a line; it reaches the file within about a second's measurements, or with `flush`."""
        if self._last is None:
            self._open()
        fresh = {name: _plain(value) for name, value in values.items() if step > self._last.get(name, step - 1)}
        if fresh:
            self._pending.append(json.dumps({"step": step, "time": at, "values": fresh}).encode() + b"\n")
            self._last.update(dict.fromkeys(fresh, step))
        if time.monotonic() - self._written > 1:
            self._write(sync=False)

    def flush(self) -> None:
        """Writes what is pending to the disk. Raises Mistake where it cannot; nothing is lost then, and nothing
        half-written.
        """
        if self._pending:
            self._write(sync=True)

    def read(self, after_line: int) -> Iterator[tuple[int, int, float, dict[str, float]]]:
        """(line number, step, time, values) of the complete lines after that one."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    return
                if number > after_line:
                    yield number, *self._parse(number, line)

    def lines(self) -> int:
        """Number of complete lines."""
        return self.path.read_bytes().count(b"\n") if self.path.exists() else 0

    def _parse(self, number: int, line: bytes) -> tuple[int, float, dict[str, float]]:
        try:
            entry = json.loads(line)
            return int(entry["step"]), float(entry["time"]), {
                name: float(value) for name, value in entry["values"].items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Mistake(f"{self.path}: line {number} is no measurement ({error}); remove that line.") from None

    def _open(self) -> None:
        self._last = {}
        for _, step, _, values in self.read(0):
            self._last.update(dict.fromkeys(values, step))
        with writing(self.path), self.path.open("ab+") as file:
            file.seek(0)
            self._size = file.read().rfind(b"\n") + 1
            os.truncate(file.fileno(), self._size)  # what a killed process or a full disk left of a line

    def _write(self, sync: bool) -> None:
        text = b"".join(self._pending)
        with writing(self.path), self.path.open("rb+", buffering=0) as file:
            try:
                file.seek(self._size)
                written = 0
                while written < len(text):
                    written += file.write(text[written:])
                if sync:
                    os.fsync(file.fileno())
            except OSError:
                os.truncate(file.fileno(), self._size)
                raise
        self._size += len(text)
        self._pending.clear()
        self._written = time.monotonic()


def _plain(value: float) -> float | str:
    value = float(value)
    return value if value - value == 0 else repr(value)
