"""stdin, stdout and stderr as the commands need them, whatever they are: closed, full, or of a small alphabet."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class Unwritable(OSError):
    """What is written to stdout cannot be taken: its disk is full, or it is closed."""


class _Told(io.FileIO):
    """stdout, whose failures are told from those of other files."""

    def write(self, data) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise Unwritable(error.errno, error.strerror) from None


class _Silent(io.FileIO):
    """stderr, without which the work goes on."""

    def write(self, data) -> int:
        try:
            return super().write(data)
        except OSError:
            return len(data)


@contextmanager
def safe_streams() -> Iterator[None]:
    """While it lasts, every character can be printed, a stdout that cannot be written raises Unwritable, and a stderr
    that cannot costs nothing. Streams that are not the process's own, of a notebook say, are left alone.
    """
    for number, flags in enumerate((os.O_WRONLY, os.O_RDONLY, os.O_WRONLY)):
        _occupy(number, flags)
    before = sys.stdin, sys.stdout, sys.stderr
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)
    if sys.stdout is sys.__stdout__:
        sys.stdout = _over(_Told(1, "w", closefd=False), before[1])
    if sys.stderr is sys.__stderr__:
        sys.stderr = _over(_Silent(2, "w", closefd=False), before[2])
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            if stream not in before:
                _flush(stream)
        sys.stdin, sys.stdout, sys.stderr = before


def _flush(stream: io.TextIOWrapper) -> None:
    """Writes what is left; what cannot be written is given up, for it would be tried again when Python ends."""
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _occupy(number: int, flags: int) -> None:
    """Puts the null device where a standard stream is closed, lest the next file that is opened take its number; the
    wrong way round, so that it still fails as a closed one does.
    """
    try:
        os.fstat(number)
    except OSError:
        found = os.open(os.devnull, flags)
        if found != number:
            os.dup2(found, number)
            os.close(found)


def _over(raw: io.FileIO, old: io.TextIOWrapper | None) -> io.TextIOWrapper:
    encoding, buffered = (old.encoding, old.line_buffering) if old is not None else ("utf-8", False)
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding, "backslashreplace", line_buffering=buffered,
                            write_through=raw.fileno() == 2)
