"""`follow_move`: a store that was moved or copied with its project uses the artifact folder that lies beside it now.

MLflow keeps the absolute path of an experiment's artifacts from the day it was made, and those of its runs, and would
go on writing there. It has no call that changes them.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

WAITS = 20  # seconds for another process that writes

# Where MLflow keeps paths of artifacts.
_COLUMNS = (("experiments", "artifact_location"), ("runs", "artifact_uri"), ("logged_models", "artifact_location"),
            ("model_versions", "source"), ("model_versions", "storage_location"))


def follow_move(database: Path, artifacts: Path, experiment: str) -> None:
    """Names the folder `artifacts` in an SQLite store in place of the one that lay beside it where it was.

    Runs whose files are at the old place alone, as where the database was copied without them, go on naming that.
    Raises sqlite3.Error where the store cannot be read or written.
    """
    if not database.exists() or not database.stat().st_size:
        return
    with closing(sqlite3.connect(database, timeout=WAITS)) as connection:
        found = connection.execute("SELECT artifact_location FROM experiments WHERE name = ?", (experiment,)).fetchone()
        old = Path((found[0] or "").removeprefix("file://")) if found else Path()
        if not _lay_beside(old, database, artifacts):
            return
        with connection:
            for table, column in _columns(connection):
                for row, place in _places(connection, table, column, str(old)):
                    new = artifacts / place.relative_to(old)
                    if new.exists() or table == "experiments" or not place.exists():
                        connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (str(new), row))


def _lay_beside(old: Path, database: Path, artifacts: Path) -> bool:
    """Whether the store's folder of artifacts lay beside it and is not the one that does now; a folder that somebody
    chose elsewhere stays.
    """
    if not old.is_absolute() or old.name != artifacts.name or old == artifacts:
        return False
    if old.exists() and artifacts.exists() and os.path.samefile(old, artifacts):
        return False  # by another path, through a link say
    return artifacts.exists() or not old.parent.exists() or (old.parent / database.name).exists()


def _columns(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """Those that this MLflow's tables have."""
    return [(table, column) for table, column in _COLUMNS
            if column in {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}]


def _places(connection: sqlite3.Connection, table: str, column: str, old: str) -> list[tuple[int, Path]]:
    """The rows that name the old folder or something in it, with what they name."""
    rows = connection.execute(f"SELECT rowid, {column} FROM {table} WHERE {column} IS NOT NULL").fetchall()
    plain = [(row, value.removeprefix("file://")) for row, value in rows]
    return [(row, Path(value)) for row, value in plain if value == old or value.startswith(f"{old}/")]
