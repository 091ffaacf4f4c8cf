"""The MLflow store: where it is, whether it can be used, and how it is opened and first made, under a lock."""

import importlib.util
import logging
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ssgan.errors import Mistake
from ssgan.workfolder import locked_file, writing

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "ssgan"
_SQLITE = "sqlite:///"
_ALLOWED = "Type --tracking-uri sqlite:////folder/mlflow.db, http://host:port of an MLflow server, or none."

# Defaults: a value of the user's own goes before. Without the first three a dead server blocks every call for four minutes.
_ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


class Undelivered(Exception):
    """One line that says why something could not be brought to a store or read from it.

    `everywhere` is false where the reason concerns one work folder alone, so that others are worth a try.
    """

    def __init__(self, reason: str, everywhere: bool = True):
        super().__init__(reason)
        self.everywhere = everywhere


def resolve_uri(option: str | None, cwd: Path) -> str | None:
    """The store's address: the option, else MLFLOW_TRACKING_URI, else `<cwd>/mlruns/mlflow.db`; None for `none`.

    SQLite paths become absolute. Raises Mistake for what is no address of an SQLite file or an MLflow server.
    """
    uri = (option or os.environ.get("MLFLOW_TRACKING_URI") or f"{_SQLITE}mlruns/mlflow.db").strip()
    if uri.lower() == "none":
        return None
    if uri.startswith(_SQLITE):
        return _SQLITE + str(_sqlite_path(uri, Path(cwd).absolute()))
    parts = urlsplit(uri)
    if parts.scheme in ("http", "https") and parts.hostname:
        return uri.rstrip("/")
    if parts.scheme in ("", "file"):
        raise Mistake(f"--tracking-uri {uri}: MLflow no longer keeps runs in plain files, it needs a database.\n{_ALLOWED}")
    raise Mistake(f"--tracking-uri {public(uri)}: no store that ssgan can use.\n{_ALLOWED}")


def public(uri: str) -> str:
    """The address without a user's name and password."""
    return re.sub(r"^(\w+://)[^/@]*@", r"\1", uri)


class Store:
    """An experiment in an MLflow store, opened when it is first needed.

    `name` is the address without credentials; `database` the SQLite file, None for a server.
    """

    def __init__(self, uri: str, experiment: str = EXPERIMENT, artifact_root: Path | None = None):
        self.uri = uri
        self.name = public(uri)
        self.experiment = experiment
        self.database = Path(uri.removeprefix(_SQLITE)) if uri.startswith(_SQLITE) else None
        self.artifact_root = artifact_root or (self.database.parent / "artifacts" if self.database else None)
        self.experiment_id: str | None = None
        self._client: MlflowClient | None = None
        self._opened: int | None = None

    def check(self) -> None:
        """Raises Mistake for a store that cannot work; cheap, without MLflow, and without calling a server."""
        if self.database is None:
            return
        check_writable(self.database.parent)
        check_writable(self.artifact_root)
        if self.database.exists():
            check_writable(self.database)
            _check_schema(self.database, self.uri)

    def exists(self) -> bool:
        """Whether there is anything to look into (a server may be down, though)."""
        return self.database is None or self.database.exists()

    def has_run(self, run_id: str) -> bool:
        """Whether an SQLite store still holds that run, deleted ones too; a server is believed to."""
        if self.database is None:
            return True
        if not self.database.exists():
            return False
        try:
            with _look(self.database) as connection:
                return connection.execute("SELECT 1 FROM runs WHERE run_uuid = ?", (run_id,)).fetchone() is not None
        except sqlite3.Error as error:
            return "no such table" not in str(error)  # locked, say: then nobody knows better

    def client(self) -> "MlflowClient":
        """MLflow's client on the opened store, the experiment made. Raises Mistake and what `faults` knows."""
        if self._client is not None and self._file() != self._opened:
            self.close()
        if self._client is None:
            self.check()
            _set_environment()
            self._client = _connect(self.uri) if self.database is None else self._open_database()
            self._opened = self._file()
        if self.experiment_id is None:
            self.experiment_id = self._open_experiment(self._client)
        return self._client

    def close(self) -> None:
        """Forgets the client, so that the next call opens the store anew, whatever has become of it."""
        if self._client is not None and self.database is not None:
            from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

            # MLflow keeps the file open even where it was deleted, and would go on writing into nowhere.
            SqlAlchemyStore(self.uri, str(self.artifact_root)).engine.dispose()
        self._client = self.experiment_id = None

    def _file(self) -> int | None:
        return self.database.stat().st_ino if self.database and self.database.exists() else None

    def _open_database(self) -> "MlflowClient":
        # Two processes that make the same store at once destroy it, so one makes it and the others wait.
        with writing(self.database.parent):
            self.database.parent.mkdir(parents=True, exist_ok=True)
        with locked_file(self.database.with_name(self.database.name + ".lock"), wait_seconds=120) as held:
            if held is None:
                raise Undelivered(f"another process has been opening {self.name} for two minutes")
            if not self.database.exists() or self.database.stat().st_size == 0:
                self._make_database()
            client = _connect(self.uri)
            self.experiment_id = self._open_experiment(client)
            return client

    def _make_database(self) -> None:
        # Made under another name and then put in place, so that a kill in these seconds leaves no half-made store.
        _quiet()
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        new = self.database.with_name(f".{self.database.name}.new")
        for path in (new, new.with_name(new.name + "-journal")):
            path.unlink(missing_ok=True)
        SqlAlchemyStore(f"{_SQLITE}{new}", str(self.artifact_root)).engine.dispose()
        if self.database.exists() and self.database.stat().st_size:
            new.unlink()  # somebody who knows nothing of our lock, MLflow's server say, was faster
        else:
            os.replace(new, self.database)

    def _open_experiment(self, client: "MlflowClient") -> str:
        from mlflow.exceptions import MlflowException

        found = client.get_experiment_by_name(self.experiment)
        if found is None:
            location = str(self.artifact_root) if self.artifact_root else None
            try:
                return client.create_experiment(self.experiment, artifact_location=location)
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                found = client.get_experiment_by_name(self.experiment)
        if found.lifecycle_stage == "deleted":
            restore = f"mlflow experiments restore --experiment-id {found.experiment_id}"
            raise Undelivered(f"the experiment {self.experiment!r} was deleted in {self.name}; to have it back: {restore}")
        return found.experiment_id


@contextmanager
def faults(store: Store) -> Iterator[None]:
    """Turns what MLflow, its database, the network and the disk may raise into Undelivered, with one line."""
    try:
        yield
    except Mistake as mistake:
        raise Undelivered(str(mistake).splitlines()[0], everywhere=False) from mistake
    except _faults() as error:
        code = getattr(error, "error_code", "INTERNAL_ERROR")
        alone = code.startswith(("INVALID", "RESOURCE", "BAD_REQUEST"))
        raise Undelivered(_one_line(error, store), everywhere=not alone) from error


def check_writable(path: Path) -> None:
    """Raises Mistake unless the file or folder can be written, or made."""
    there = next(parent for parent in (path, *path.parents) if parent.exists())
    if there != path and not there.is_dir():
        raise Mistake(f"the MLflow store cannot be made: {there} is a file, not a folder.\n{_ALLOWED}")
    if not os.access(there, os.W_OK | (os.X_OK if there.is_dir() else 0)):
        raise Mistake(f"the MLflow store cannot be written: no write permission for {there}.\n{_ALLOWED}")


def _sqlite_path(uri: str, cwd: Path) -> Path:
    text = uri.removeprefix(_SQLITE)
    path = cwd / text
    if text in ("", ":memory:") or path.is_dir():
        raise Mistake(f"--tracking-uri {uri}: names no file.\n{_ALLOWED}")
    if re.search(r"[%?]", str(path)):
        raise Mistake(f"--tracking-uri {_SQLITE}{path}: MLflow cannot open a file with % or ? in its path.\n{_ALLOWED}")
    return Path(os.path.normpath(path))


def _check_schema(path: Path, uri: str) -> None:
    try:
        with _look(path) as connection:
            tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if not tables:
                return
            if not {"alembic_version", "experiments", "runs"} <= tables:
                raise Mistake(f"{path} is an SQLite database, but no MLflow store: it holds {', '.join(sorted(tables)[:5])}.\n{_ALLOWED}")
            found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError:
        return  # locked just now: the delivery will wait, or say so
    except sqlite3.DatabaseError as error:
        raise Mistake(f"{path} is no MLflow store: {error}.\nMove it away, or choose another. {_ALLOWED}") from None
    known, newest = _revisions()
    if newest and found and found[0] not in known:
        raise Mistake(f"{path} was made by a newer MLflow than the one installed here.\nType: pip install -U mlflow")
    if newest and found and found[0] != newest:
        raise Mistake(f"{path} was made by an older MLflow than the one installed here.\nCopy it, then type: mlflow db upgrade {uri}")


def _look(path: Path):
    """A context in which an SQLite file is read, without waiting long for a lock and without changing it."""
    from contextlib import closing

    return closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=0.2))


def _revisions() -> tuple[set[str], str | None]:
    """The schema revisions that the installed MLflow knows, and its own; (empty, None) where that cannot be told."""
    spec = importlib.util.find_spec("mlflow")
    folder = Path(spec.submodule_search_locations[0]) / "store/db_migrations/versions" if spec else Path("-")
    texts = [path.read_text() for path in folder.glob("*.py")] if folder.is_dir() else []
    known = {name for text in texts for name in re.findall(r"^revision = [\"'](\w+)", text, re.M)}
    heads = known - {name for text in texts for name in re.findall(r"^down_revision = [\"'](\w+)", text, re.M)}
    return known, heads.pop() if len(heads) == 1 else None


def _connect(uri: str) -> "MlflowClient":
    _quiet()
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def _set_environment() -> None:
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if os.environ.get("DO_NOT_TRACK", "0").lower() not in ("", "0", "false"):
        os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # MLflow does not know the general word for it


def _quiet() -> None:
    import mlflow  # noqa: F401  (importing it sets its loggers' levels)

    logging.getLogger("mlflow").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    # Faults are told in one line by whoever catches them, not in a traceback or a line for each retry.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)


def _faults() -> tuple[type[BaseException], ...]:
    try:
        from alembic.util import CommandError
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError
    except ImportError:
        return OSError, ImportError
    return OSError, ImportError, MlflowException, SQLAlchemyError, CommandError, sqlite3.Error  # requests' errors are OSErrors


def _one_line(error: BaseException, store: Store) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f"the package {error.name} is not installed; pip install mlflow"
    text = (str(error) or type(error).__name__).splitlines()[0].replace(store.uri, store.name)
    if "Max retries exceeded" in text or "timed out" in text:
        text = f"{store.name} does not answer"
    if "Current state is deleted" in text:
        text = f"its run was deleted in MLflow ({text.split()[2]}); restore it there, or remove the work folder"
    return text if len(text) <= 200 else text[:199] + "…"
