"""The MLflow store: where it is, whether it can be used, and how it is opened and first made, under a lock."""

import contextlib
import logging
import os
import re
import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ssgan.errors import Mistake, unknown
from ssgan.files import locked, writing
from ssgan.tracking.moved_store import follow_move
from ssgan.tracking.sqlite import ALLOWED, SQLITE, check_schema, check_writable, holds_run

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "ssgan"
ANSWER_SECONDS = 8

# Defaults: a value of the user's own goes before. Without the first three a dead server blocks every call for four
# minutes.
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
    uri = (option or os.environ.get("MLFLOW_TRACKING_URI") or f"{SQLITE}mlruns/mlflow.db").strip()
    if uri.lower() == "none":
        return None
    if uri.startswith(SQLITE):
        return SQLITE + str(_sqlite_path(uri, Path(cwd).absolute()))
    parts = urlsplit(uri)
    if parts.scheme in ("http", "https") and parts.hostname:
        return uri.rstrip("/")
    if parts.scheme in ("", "file"):
        raise Mistake(f"--tracking-uri {uri}: MLflow no longer keeps runs in plain files, it needs a "
                      f"database.\n{ALLOWED}")
    raise Mistake(f"--tracking-uri {public(uri)}: no store that ssgan can use.\n{ALLOWED}")


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
        self.database = Path(uri.removeprefix(SQLITE)) if uri.startswith(SQLITE) else None
        self.artifact_root = artifact_root or (self.database.parent / "artifacts" if self.database else None)
        self.experiment_id: str | None = None
        self._client: MlflowClient | None = None
        self._opened: int | None = None

    def check(self) -> None:
        """Raises Mistake for a store that cannot be read; cheap, without MLflow, and without calling a server."""
        if self.database is not None and self.exists():
            check_schema(self.database)

    def check_writable(self) -> None:
        """Raises Mistake for a store that cannot be written or made, likewise."""
        if self.database is not None:
            check_writable(self.database, self.artifact_root)

    def options(self) -> str:
        """What a command must be given that is typed here and means this store; "" where it comes to it by itself."""
        try:
            here = resolve_uri(None, Path.cwd()) == self.uri
        except Mistake:  # of the environment's address
            here = False
        words = ([] if here else ["--tracking-uri", self.name]) + (
            [] if self.experiment == EXPERIMENT else ["--experiment", self.experiment])
        return "".join(f" {shlex.quote(word)}" for word in words)

    def exists(self) -> bool:
        """Whether there is anything to look into (a server may be down, though)."""
        return self.database is None or os.path.exists(self.database)

    def has_run(self, run_id: str) -> bool:
        """Whether an SQLite store still holds that run, deleted ones too; a server is believed to."""
        return self.database is None or holds_run(self.database, run_id)

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

    def reader(self) -> "tuple[MlflowClient, str]":
        """MLflow's client and the experiment's id, for looking: nothing is made. Raises Mistake where there is none,
        and Undelivered.
        """
        if not self.exists():
            raise Mistake(f"there is no store at {self.database}.\nMake runs first: ssgan sweep --dataset digits "
                          f"--labels 20,50,100,200 --seeds 3")
        self.check()
        self.follow_move()
        _set_environment()
        with faults(self):
            if self.database is None:
                _ask(self.uri)
            client = self._client or _connect(self.uri)
            experiment = client.get_experiment_by_name(self.experiment)
            names = [] if experiment else [found.name for found in client.search_experiments()]
        if experiment is None:
            raise unknown("experiment", self.experiment, names)
        if experiment.lifecycle_stage == "deleted":
            raise Mistake(f"{self._deleted(experiment.experiment_id)}.")
        return client, experiment.experiment_id

    def follow_move(self) -> None:
        """Where the store was moved or copied, has it name the artifacts beside it, if it can be written just now."""
        if self.database is not None and self._client is None:
            with contextlib.suppress(sqlite3.Error):
                follow_move(self.database, self.artifact_root, self.experiment)

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
        with locked(self.database.with_name(self.database.name + ".lock"), wait_seconds=120) as held:
            if not held:
                raise Undelivered(f"another process has been opening {self.name} for two minutes")
            if not self.database.exists() or self.database.stat().st_size == 0:
                self._make_database()
            follow_move(self.database, self.artifact_root, self.experiment)
            client = _connect(self.uri)
            self.experiment_id = self._open_experiment(client)
            return client

    def _make_database(self) -> None:
        # Made under another name and then put in place, so that a kill in these seconds leaves no half-made store.
        # Nothing need be safe on the disk before that, which saves MLflow's 69 migrations their 2 seconds of waiting
        # for it.
        _quiet()
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
        from sqlalchemy import Engine, event

        new = self.database.with_name(f".{self.database.name}.new")
        new.unlink(missing_ok=True)
        event.listen(Engine, "connect", _unsafe)
        try:
            SqlAlchemyStore(f"{SQLITE}{new}", str(self.artifact_root)).engine.dispose()
        finally:
            event.remove(Engine, "connect", _unsafe)
        with new.open("rb") as file:
            os.fsync(file.fileno())
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
            raise Undelivered(self._deleted(found.experiment_id))
        return found.experiment_id

    def _deleted(self, experiment_id: str) -> str:
        """Without the address, MLflow makes an empty store where the command is typed."""
        return (f"the experiment {self.experiment!r} was deleted in {self.name}; to have it back: "
                f"`MLFLOW_TRACKING_URI={shlex.quote(self.name)} mlflow experiments restore --experiment-id "
                f"{experiment_id}`")


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


def _sqlite_path(uri: str, cwd: Path) -> Path:
    text = uri.removeprefix(SQLITE)
    path = cwd / text
    if text in ("", ":memory:") or path.is_dir():
        raise Mistake(f"--tracking-uri {uri}: names no file.\n{ALLOWED}")
    if re.search(r"[%?]", str(path)):
        raise Mistake(f"--tracking-uri {SQLITE}{path}: MLflow cannot open a file with % or ? in its path.\n{ALLOWED}")
    return Path(os.path.normpath(path))


def _connect(uri: str) -> "MlflowClient":
    _quiet()
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def _ask(uri: str) -> None:
    """Raises requests' error where nobody answers, for a person who waits: MLflow itself tries again and again, for
    half a minute.
    """
    import requests

    try:
        requests.get(f"{uri}/health", timeout=ANSWER_SECONDS, stream=True).close()
    except requests.exceptions.SSLError:
        pass  # somebody is there; MLflow knows the user's wishes about certificates


def _unsafe(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA journal_mode = MEMORY")


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
    # requests' errors are OSErrors
    return OSError, ImportError, MlflowException, SQLAlchemyError, CommandError, sqlite3.Error


def _one_line(error: BaseException, store: Store) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f"the package {error.name} is not installed; pip install mlflow"
    text = (str(error) or type(error).__name__).splitlines()[0].replace(store.uri, store.name)
    if "Max retries exceeded" in text or "timed out" in text:
        text = f"{store.name} does not answer"
    if "failed with error code 404" in text:
        text = f"{store.name} answers, but not as an MLflow server does (404)"
    if "Current state is deleted" in text:
        text = f"its run was deleted in MLflow ({text.split()[2]}); restore it there, or remove the work folder"
    return text if len(text) <= 200 else text[:199] + "…"
