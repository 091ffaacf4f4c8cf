"""The work folder of a run: everything it measures and makes is written here first."""

import contextlib
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
from ssgan.files import is_locked, locked, write_text, writing
from ssgan.tracking.journal import Journal

STAGES = ("split", "train", "evaluate", "score")
ARTIFACTS = (*STAGES, "turing", "report")  # the folders whose files are delivered; the last is a sweep's
ENDED = ("FINISHED", "FAILED", "KILLED")


class WorkFolder:
    """One folder a run: facts (run.json), journal (measurements.jsonl), artifacts by stage, checkpoint, lock and its
    holder.

    Only the process that holds `lock()` writes facts and measurements; anybody may read them at any time.
    """

    def __init__(self, path: Path):
        self.path = Path(path)
        self.checkpoint = self.path / "checkpoint.pt"
        self.run_file = self.path / "run.json"
        self.lock_file, self.holder_file = self.path / "lock", self.path / "holder.json"
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
        with locked(self.lock_file, wait_seconds=1) as held:
            if not held:
                raise Mistake(self._in_use())
            holder = {"pid": os.getpid(), "host": socket.gethostname(), "start": process_start(os.getpid())}
            write_text(self.holder_file, json.dumps(holder))
            self._journal = Journal(self._journal.path)  # another process may have written since
            yield self

    def locked(self) -> bool:
        """Whether some process, this one included, holds the folder now."""
        return is_locked(self.lock_file)

    @property
    def holder(self) -> dict[str, Any]:
        """Process (`pid`, `host`, `start`) that holds the folder or held it last; {} when nobody did."""
        for path in (self.holder_file, self.lock_file):  # older versions wrote it into the lock itself
            with contextlib.suppress(FileNotFoundError, ValueError):
                return json.loads(path.read_text())
        return {}

    @property
    def facts(self) -> dict[str, Any]:
        """What run.json says: name, dataset, labels, settings, params, tags, status, stages, result and so on."""
        try:
            return json.loads(self.run_file.read_text())
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise Mistake(f"{self.run_file} is not valid JSON: {error}.\nRemove {self.path} and start the run "
                          f"anew.") from None

    def update(self, **facts: Any) -> None:
        """Puts facts into run.json, atomically, after the measurements; the first sets `created`, each status
        `ended`.
        """
        self.flush()
        merged = self.facts | facts
        merged.setdefault("created", time.time())
        if "status" in facts and "ended" not in facts:
            merged["ended"] = time.time() if facts["status"] in ENDED else None
        write_text(self.run_file, json.dumps(merged, indent=1))

    def mark_dead(self) -> bool:
        """Turns a run that is RUNNING, yet held by nobody, into KILLED; says whether it was one."""
        if self.facts.get("status") != "RUNNING" or self.locked():
            return False
        with locked(self.lock_file) as held:
            if not held or self.facts.get("status") != "RUNNING":
                return False
            # It was alive when it last measured or noted something, and nobody knows more.
            seen = max(path.stat().st_mtime for path in (self._journal.path, self.run_file) if path.exists())
            self.update(status="KILLED", error="the process ended without a word", ended=seen)
            return True

    def measure(self, step: int, values: dict[str, float], at: float | None = None) -> None:
        """Adds values of a step to the journal (`at` in epoch seconds, now if None).

        Steps of one name must rise: what is there already, up to that step, is skipped, so a resumed run may measure
        again.
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
        return (f"{self.path} is in use by {who}: the same run, or a command on it, is going on there.\nWait until it "
                f"ends; a run with another setting or seed has another folder.")


def process_start(pid: int) -> str | None:
    """A text that tells a process from a later one with the same number; None if no such process is alive."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        fields = stat.rpartition(")")[2].split()  # state is field 3, the start in ticks since boot field 22
        return f"{fields[19]}@{Path('/proc/sys/kernel/random/boot_id').read_text()[:8]}" if fields[0] != "Z" else None
    except (FileNotFoundError, ProcessLookupError):
        if Path("/proc/self/stat").exists():
            return None
    # macOS has no /proc
    listing = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True)
    return listing.stdout.strip() or None
