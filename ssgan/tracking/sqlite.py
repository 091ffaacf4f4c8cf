"""A look at a store's SQLite file without MLflow: whether it can be written, is a store, and holds a run."""

import importlib.util
import os
import re
import shlex
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from ssgan.errors import Mistake

SQLITE = "sqlite:///"
ALLOWED = "Type --tracking-uri sqlite:////folder/mlflow.db, http://host:port of an MLflow server, or none."


def check_writable(database: Path, artifacts: Path) -> None:
    """Raises Mistake unless the file and the folder can be written, or made, which is tried."""
    for path in (database, artifacts):
        try:
            path.stat()
        except (FileNotFoundError, NotADirectoryError):
            _try_to_make(path)
        except OSError as error:
            raise Mistake(f"the MLflow store cannot be used: {path}: {error.strerror}.\n{ALLOWED}") from None
    for path in (database, database.parent, artifacts):
        if os.path.exists(path) and not os.access(path, os.W_OK | (os.X_OK if path.is_dir() else 0)):
            raise Mistake(f"the MLflow store cannot be written: no write permission for {path}.\n{ALLOWED}")
    if artifacts.is_file():
        raise Mistake(f"the MLflow store cannot be made: {artifacts} is a file, not a folder.\n{ALLOWED}")


def check_schema(path: Path) -> None:
    """Raises Mistake for a file that is no store of the MLflow installed here; a locked or empty file passes."""
    try:
        with _look(path) as connection:
            tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if not tables:
                return
            if not {"alembic_version", "experiments", "runs"} <= tables:
                raise Mistake(f"{path} is a database, but no MLflow store: it holds "
                              f"{', '.join(sorted(tables)[:5])}.\n{ALLOWED}")
            found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError:
        return  # locked just now: the delivery will wait, or say so
    except sqlite3.DatabaseError as error:
        raise Mistake(f"{path} is no MLflow store: {error}.\nMove it away, or choose another. {ALLOWED}") from None
    known, newest = _revisions()
    if newest and found and found[0] not in known:
        raise Mistake(f"{path} was made by a newer MLflow than the one installed here.\nType: pip install -U mlflow")
    if newest and found and found[0] != newest:
        raise Mistake(f"{path} was made by an older MLflow than this one.\nCopy it, then type: mlflow db upgrade "
                      f"{shlex.quote(f'{SQLITE}{path}')}")


def holds_run(path: Path, run_id: str) -> bool:
    """Whether the store has that run, be it a deleted one."""
    if not path.exists():
        return False
    try:
        with _look(path) as connection:
            return connection.execute("SELECT 1 FROM runs WHERE run_uuid = ?", (run_id,)).fetchone() is not None
    except sqlite3.Error as error:
        return "no such table" not in str(error)  # locked, say: then nobody knows better


def _try_to_make(path: Path) -> None:
    """Raises Mistake where the folders above a path that is not there cannot be made; leaves nothing behind."""
    there = next(parent for parent in path.parents if os.path.lexists(parent))
    try:
        os.rmdir(tempfile.mkdtemp(prefix=".ssgan-", dir=there))
    except NotADirectoryError:
        raise Mistake(f"the MLflow store cannot be made: {there} is a file, not a folder.\n{ALLOWED}") from None
    except PermissionError:
        raise Mistake(f"the MLflow store cannot be made: no write permission for {there}.\n{ALLOWED}") from None
    except OSError as error:
        raise Mistake(f"the MLflow store cannot be made: nothing can be made in {there} ({error.strerror}).\n"
                      f"{ALLOWED}") from None


def _look(path: Path):
    """A context in which an SQLite file is read, without waiting long for a lock and without changing it."""
    return closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=0.2))


def _revisions() -> tuple[set[str], str | None]:
    """The schema revisions that the installed MLflow knows, and its own; (empty, None) where that cannot be told."""
    spec = importlib.util.find_spec("mlflow")
    folder = Path(spec.submodule_search_locations[0]) / "store/db_migrations/versions" if spec else Path("-")
    texts = [path.read_text() for path in folder.glob("*.py")] if folder.is_dir() else []
    known = {name for text in texts for name in re.findall(r"^revision = [\"'](\w+)", text, re.M)}
    heads = known - {name for text in texts for name in re.findall(r"^down_revision = [\"'](\w+)", text, re.M)}
    return known, heads.pop() if len(heads) == 1 else None
