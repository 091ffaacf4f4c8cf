"""The work folder of a run: everything it measures and makes is written here first."""

import fcntl
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ssgan.errors import Mistake

STAGES = ("split", "train", "evaluate", "score")
ARTIFACTS = (*STAGES, "report")  # the folders whose files are delivered; the last is a sweep's
ENDED = ("FINISHED", "FAILED", "KILLED")


class WorkFolder:
    """One folder a run: facts (run.json), journal (measurements.jsonl), artifacts by stage, checkpoint, locks.

    Only the process that holds `lock()` writes facts and measurements; anybody may read them at any time.
    """

    def __init__(self, path: Path):
        self.path = Path(path)
        self.checkpoint = self.path / "checkpoint.pt"
        self.run_file = self.path / "run.json"
        self.lock_file = self.path / "lock"
        self._journal = Journal(self.path / "measurements.jsonl")

    def __repr__(self) -> str:
        return f"WorkFolder({str(self.path)!r})"

    @property
    def fingerprint(self) -> str:
        """The name of the folder."""
        return self.path.name

    @classmethod
    def create(cls, root: Path, fingerprint: str) -> "WorkFolder":
        """The work folder `root/fingerprint`, made if it is not there. Raises Mistake where nothing can be written."""
        folder = cls(Path(root).absolute() / fingerprint)
        with writing(folder.path):
            folder.path.mkdir(parents=True, exist_ok=True)
            folder.lock_file.touch()
        return folder

    @classmethod
    def all(cls, root: Path) -> list["WorkFolder"]:
        """Every work folder with facts: `root` itself, or those in it, in its work/ and in its mlruns/work/."""
        found = {}
        for pattern in ("run.json", "*/run.json", "work/*/run.json", "mlruns/work/*/run.json"):
            for path in sorted(Path(root).absolute().glob(pattern)):
                found[path.parent] = cls(path.parent)
        return list(found.values())

    @contextmanager
    def lock(self) -> Iterator["WorkFolder"]:
        """Holds the folder for the life of a run. Raises Mistake, naming the holder, while another process has it."""
        # The wait bridges the instant in which somebody only asks `locked()`.
        with locked_file(self.lock_file, wait_seconds=1) as file:
            if file is None:
                raise Mistake(self._in_use())
            holder = {"pid": os.getpid(), "host": socket.gethostname(), "start": process_start(os.getpid())}
            with writing(self.lock_file):
                os.truncate(file, 0)
                os.pwrite(file, json.dumps(holder).encode(), 0)
            self._journal = Journal(self._journal.path)  # another process may have written since
            yield self

    def locked(self) -> bool:
        """Whether some process, this one included, holds the folder now."""
        if not self.lock_file.exists():
            return False
        with self.lock_file.open("rb") as file:
            return not _flock(file.fileno(), fcntl.LOCK_SH, wait_seconds=0)

    @property
    def holder(self) -> dict[str, Any]:
        """Process (`pid`, `host`, `start`) that holds the folder or held it last; {} when nobody did."""
        try:
            return json.loads(self.lock_file.read_text() or "{}")
        except (FileNotFoundError, ValueError):  # ValueError: it is being written just now
            return {}

    @property
    def facts(self) -> dict[str, Any]:
        """What run.json says: name, dataset, labels, settings, params, tags, status, stages, result and so on."""
        try:
            return json.loads(self.run_file.read_text())
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise Mistake(f"{self.run_file} is not valid JSON: {error}.\nRemove {self.path} and start the run anew.") from None

    def update(self, **facts: Any) -> None:
        """Puts facts into run.json, atomically, after the measurements; the first sets `created`, each status `ended`."""
        self.flush()
        merged = self.facts | facts
        merged.setdefault("created", time.time())
        if "status" in facts and "ended" not in facts:
            merged["ended"] = time.time() if facts["status"] in ENDED else None
        write_atomically(self.run_file, json.dumps(merged, indent=1))

    def mark_dead(self) -> bool:
        """Turns a run that is RUNNING, yet held by nobody, into KILLED; says whether it was one."""
        if self.facts.get("status") != "RUNNING" or self.locked():
            return False
        with locked_file(self.lock_file) as file:
            if file is None or self.facts.get("status") != "RUNNING":
                return False
            # It was alive when it last measured or noted something, and nobody knows more.
            seen = max(path.stat().st_mtime for path in (self._journal.path, self.run_file) if path.exists())
            self.update(status="KILLED", error="the process ended without a word", ended=seen)
            return True

    def measure(self, step: int, values: dict[str, float], at: float | None = None) -> None:
        """Adds values of a step to the journal (`at` in epoch seconds, now if None).

        Steps of one name must rise: what is there already, up to that step, is skipped, so a resumed run may measure again.
        """
        self._journal.add(step, values, time.time() if at is None else at)

    def flush(self) -> None:
        """Brings every measurement to the disk; call it before saving a checkpoint."""
        self._journal.flush()

    def measurements(self, after_line: int = 0) -> Iterator[tuple[int, int, float, dict[str, float]]]:
        """(line number from 1, step, epoch seconds, values) of each complete line of the journal after that line."""
        return self._journal.read(after_line)

    def lines(self) -> int:
        """Number of complete lines in the journal."""
        return self._journal.lines()

    def stage_folder(self, stage: str) -> Path:
        """The folder for a stage's artifacts, or a sweep's report, made if it is not there."""
        assert stage in ARTIFACTS, stage
        with writing(self.path / stage):
            (self.path / stage).mkdir(exist_ok=True)
        return self.path / stage

    def finish_stage(self, stage: str, seconds: float) -> None:
        """Notes that a stage is done, and how long it took."""
        assert stage in STAGES, stage
        done = {"seconds": seconds, "finished": True, "at": time.time()}
        self.update(stages=self.facts.get("stages", {}) | {stage: done})

    def stage_finished(self, stage: str) -> bool:
        """Whether a stage is done."""
        assert stage in STAGES, stage
        return bool(self.facts.get("stages", {}).get(stage, {}).get("finished"))

    def _in_use(self) -> str:
        holder = self.holder
        who = f"process {holder['pid']} on {holder['host']}" if holder else "another process"
        return f"{self.path} is in use by {who}: the same run is going on there.\nWait until it ends, or change a setting or a seed."


class Journal:
    """A file of JSON lines {"step", "time", "values"}; numbers that JSON lacks are written as "nan", "inf" and "-inf"."""

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
        """Writes what is pending to the disk. Raises Mistake where it cannot; nothing is lost then, and nothing half-written."""
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
            return int(entry["step"]), float(entry["time"]), {name: float(value) for name, value in entry["values"].items()}
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


def write_atomically(path: Path, text: str) -> None:
    """Replaces a file so that a reader, or a crash, finds the old text or the new, never half. Raises Mistake."""
    temporary = path.with_name(f".{path.name}.tmp")
    with writing(path):
        with temporary.open("w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns an OSError about `path` or a file under it into a Mistake that says what to do."""
    try:
        yield
    except OSError as error:
        raise Mistake(
            f"cannot write {path}: {error.strerror or error}.\n"
            "Make room there or give yourself write permission, or change to a folder of your own, and type the same command again."
        ) from error


@contextmanager
def locked_file(path: Path, wait_seconds: float = 0) -> Iterator[int | None]:
    """Holds an exclusive lock on a file, made if need be: its descriptor, or None if another holds it all that time."""
    with writing(path):
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        with writing(path):
            held = _flock(file, fcntl.LOCK_EX, wait_seconds)
        yield file if held else None
    finally:
        os.close(file)


def process_start(pid: int) -> str | None:
    """A text that tells a process from a later one with the same number; None if no such process is alive."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        fields = stat.rpartition(")")[2].split()  # state is field 3, the start in ticks since boot field 22
        return f"{fields[19]}@{Path('/proc/sys/kernel/random/boot_id').read_text()[:8]}" if fields[0] != "Z" else None
    except (FileNotFoundError, ProcessLookupError):
        if Path("/proc/self/stat").exists():
            return None
    listing = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True)  # macOS has no /proc
    return listing.stdout.strip() or None


def _flock(file: int, kind: int, wait_seconds: float) -> bool:
    until = time.monotonic() + wait_seconds
    while True:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(0.05)


def _plain(value: float) -> float | str:
    value = float(value)
    return value if value - value == 0 else repr(value)
