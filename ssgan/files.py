"""Files written whole or not at all, locks between processes, and the user's cache folder."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from ssgan.errors import Mistake


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A new binary file that takes the place of `path` when the block ends, and leaves it alone where the block raises.

    A reader, a crash or a kill at any moment finds the old content or the new, never half: it is written under a name
    of its own (a dot before it, the process after it), brought to the disk, and renamed. Raises Mistake where it cannot
    be written.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with writing(path), open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        with writing(path):
            os.replace(temporary, path)
            _sync_folder(path.parent)
    finally:
        with suppress(OSError):  # it is not there, or cannot be
            temporary.unlink()


def write_text(path: Path, text: str) -> None:
    """Replaces a file by a text in UTF-8. Raises Mistake."""
    with replacing(path) as file:
        file.write(text.encode())


def remove_leftovers(path: Path) -> None:
    """Removes what killed processes have left of `replacing(path)`; to be called where one process alone writes it."""
    for stale in path.parent.glob(f".{path.name}.*.tmp"):
        stale.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns an OSError about `path` or a file under it into a Mistake that says what to do."""
    try:
        yield
    except OSError as error:
        raise Mistake(
            f"cannot write {path}: {error.strerror or error}.\n"
            "Make room there or give yourself write permission, or change to a folder of your own, and type the same "
            "command again."
        ) from error


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turns an OSError about `path` or a file under it into a Mistake that says why it cannot be read."""
    try:
        yield
    except OSError as error:
        raise Mistake(f"cannot read {error.filename or path}: {error.strerror or error}.") from error


def shown(name: object, breaks: bool = False) -> str:
    """A name in one line that a person can read and a terminal does not obey: what cannot be printed is written as
    Python writes it, \\n say, and a byte that is no text as \\xff; `breaks` leaves line breaks alone.
    """
    return "".join(each if each.isprintable() or breaks and each == "\n" else _escaped(each) for each in str(name))


@contextmanager
def locked(path: Path, wait_seconds: float = 0) -> Iterator[bool]:
    """Holds a lock between processes on a file, made if need be, while it lasts; False if another holds it all that
    time. Raises Mistake.
    """
    import filelock

    lock = filelock.FileLock(path)
    with writing(path):
        try:
            lock.acquire(timeout=wait_seconds)
        except filelock.Timeout:
            held = False
        else:
            held = True
    try:
        yield held
    finally:
        if held:
            lock.release()


def is_locked(path: Path) -> bool:
    """Whether some process, this one included, holds the lock on that file now."""
    if not path.exists():
        return False
    with locked(path) as free:
        return not free


def cache_folder(*parts: str) -> Path:
    """ssgan's folder in the user's cache, or a place in it. Raises Mistake for a person without a home folder."""
    home = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(home) if home else Path.home() / ".cache").joinpath("ssgan", *parts)
    except RuntimeError:
        raise Mistake("the cache folder needs a home folder, and you have none: choose one with "
                      "XDG_CACHE_HOME.") from None


def _escaped(character: str) -> str:
    byte = ord(character) - 0xDC00  # Python's place for a byte that is no text
    return f"\\x{byte:02x}" if 0x80 <= byte <= 0xFF else character.encode("unicode_escape").decode()


def _sync_folder(folder: Path) -> None:
    """Brings a renaming in it to the disk, where the system can."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:  # file systems without it, over a network say
        pass
    finally:
        os.close(descriptor)
