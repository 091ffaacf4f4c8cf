"""What of a work folder a store should hold, and the record (delivery.json) of what it has acknowledged."""

import json
from typing import Any

from ssgan.errors import Mistake
from ssgan.files import write_text
from ssgan.tracking.store import Store
from ssgan.tracking.workfolder import ARTIFACTS, ENDED, WorkFolder

Sent = dict[str, Any]  # name, params, tags, inputs, stages, files, status: see `wanted`; lines: of the journal


class Record:
    """The state of one work folder in one store; kept in delivery.json, which holds one for each store.

    `doubt` is a line of the journal: rows up to it may be in the store although `sent["lines"]` does not say so,
    because a call was cut off before its answer came, or because the run was found there and not made by us.
    """

    def __init__(self, folder: WorkFolder, store: Store):
        self._path = folder.path / "delivery.json"
        self._key = f"{store.name} {store.experiment}"
        entry = _read(self._path).get(self._key, {})
        created = folder.facts.get("created")
        if entry.get("created") != created:
            entry = {"created": created}  # the run was begun anew: another run for MLflow, too
        self.run_id: str | None = entry.get("run_id")
        self.created: float | None = created
        self.doubt: int = entry.get("doubt", 0)
        self.sent: Sent = entry.get("sent", {})

    def save(self) -> None:
        """Writes the record beside those of other stores."""
        entry = {"created": self.created, "run_id": self.run_id, "doubt": self.doubt, "sent": self.sent}
        write_text(self._path, json.dumps(_read(self._path) | {self._key: entry}, indent=1))

    def forget(self) -> None:
        """The store has no such run: everything is to be sent again."""
        self.run_id, self.doubt, self.sent = None, 0, {}
        self.save()


def wanted(folder: WorkFolder) -> Sent:
    """What the store should hold of a work folder as it is now, in plain JSON values."""
    facts = folder.facts
    stages = {name: stage for name, stage in facts.get("stages", {}).items() if stage.get("finished")}
    return {
        "name": facts.get("name", folder.fingerprint),
        "params": {mlflow_name(name): _text(value, 6000) for name, value in facts.get("params", {}).items()},
        "tags": _tags(folder, facts),
        "inputs": facts.get("inputs"),
        "stages": {name: [stage["seconds"], stage.get("at", facts.get("created"))] for name, stage in stages.items()},
        "files": _files(folder, facts),
        "status": [facts.get("status", "RUNNING"), facts.get("ended")],
        "lines": folder.lines(),
    }


def delivered(folder: WorkFolder, store: Store) -> bool:
    """Whether the store has acknowledged everything that is in the work folder, and still has the run."""
    record = Record(folder, store)
    want = wanted(folder)
    lines = want.pop("lines")
    same = all(record.sent.get(name) == value for name, value in want.items())
    return bool(record.run_id) and same and record.sent.get("lines", 0) >= lines and store.has_run(record.run_id)


def delivered_to(folder: WorkFolder, store: Store) -> bool:
    """Whether anything of a work folder has ever come to that store, in any experiment."""
    return any(key.startswith(f"{store.name} ") and entry.get("run_id")
               for key, entry in _read(folder.path / "delivery.json").items())


def run_id(folder: WorkFolder, store: Store) -> str | None:
    """The run's id in that store; None while it has none."""
    return Record(folder, store).run_id


def run_ids(folder: WorkFolder) -> list[str]:
    """The run's ids in every store that it was delivered to."""
    return [entry["run_id"] for entry in _read(folder.path / "delivery.json").values() if entry.get("run_id")]


def mlflow_name(name: str) -> str:
    """A name as MLflow allows it, other signs replaced by _."""
    parts = "".join(sign if sign.isalnum() or sign in "_-. :/" else "_" for sign in name).split("/")
    return "/".join(part for part in parts if part.strip("."))[:250] or "_"


def _read(path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise Mistake(f"{path} is not valid JSON: {error}.\nRemove it; what is in the store already is not sent "
                      f"twice.") from None


def _tags(folder: WorkFolder, facts: dict[str, Any]) -> dict[str, str]:
    holder = folder.holder
    own = {
        "ssgan.fingerprint": folder.fingerprint,
        "ssgan.created": repr(facts.get("created")),
        "ssgan.folder": str(folder.path),
        "ssgan.host": holder.get("host"),
        "ssgan.pid": holder.get("pid"),
        "ssgan.start": holder.get("start"),
        "ssgan.error": facts.get("error"),
    }
    tags = facts.get("tags", {}) | own
    return {mlflow_name(name): _text(value, 5000) for name, value in tags.items() if value is not None}


def _files(folder: WorkFolder, facts: dict[str, Any]) -> dict[str, list[int]]:
    """Size and time of change of every artifact, by its path in the folder; run.json is one when the run has ended."""
    paths = [path for name in ARTIFACTS for path in sorted((folder.path / name).rglob("*"))]
    if facts.get("status") in ENDED:
        paths.append(folder.run_file)
    found = {}
    for path in paths:
        if path.is_file() and not path.name.startswith("."):  # a dot: being written, to be renamed
            stat = path.stat()
            found[path.relative_to(folder.path).as_posix()] = [stat.st_size, stat.st_mtime_ns]
    return found


def _text(value: Any, limit: int) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
