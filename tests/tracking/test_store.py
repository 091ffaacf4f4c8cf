"""Opening a store: where it is, what is no store, and how it is made when several want it at once."""

import errno
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ssgan.errors import Mistake
from ssgan.tracking import Store, Undelivered, check_target, deliver, public, resolve_uri
from ssgan.tracking.store import faults


def sqlite(path: Path) -> str:
    return f"sqlite:///{path}"


def test_the_address_is_the_option_then_the_environment_then_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert resolve_uri(None, tmp_path) == sqlite(tmp_path / "mlruns" / "mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://host:5000/")
    assert resolve_uri(None, tmp_path) == "http://host:5000"
    assert resolve_uri("sqlite:///other/../runs.db", tmp_path) == sqlite(tmp_path / "runs.db")
    assert resolve_uri("sqlite:////data/runs.db", tmp_path) == sqlite(Path("/data/runs.db"))
    assert resolve_uri("none", tmp_path) is None


BAD = ("mlruns file:///mlruns ftp://host http:// postgresql://host/db sqlite:// sqlite:///:memory: sqlite:///. "
       "sqlite:///1%/a sqlite:///a?b")


@pytest.mark.parametrize("uri", BAD.split())
def test_what_is_no_address_is_a_mistake(tmp_path, uri):
    with pytest.raises(Mistake, match="--tracking-uri") as caught:
        resolve_uri(uri, tmp_path)
    assert len(str(caught.value).splitlines()) <= 3


def test_passwords_are_not_shown(tmp_path):
    assert public("https://me:secret@host:1/path") == "https://host:1/path"
    assert Store("https://me:secret@host").name == "https://host"
    with pytest.raises(Undelivered, match="https://host is down"), faults(Store("https://me:secret@host")):
        raise OSError("https://me:secret@host is down")
    with pytest.raises(Mistake) as caught:
        resolve_uri("ftp://me:secret@host", tmp_path)
    assert "secret" not in str(caught.value)


def test_a_sound_store_passes_and_a_missing_one_is_not_made(template, tmp_path):
    Store(sqlite(template)).check()
    Store(sqlite(tmp_path / "new" / "mlflow.db")).check()
    Store("http://127.0.0.1:9").check()
    assert not list(tmp_path.iterdir())


def _foreign(path):
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    connection.close()


def _revision(value):
    def change(path):
        with sqlite3.connect(path) as connection:
            connection.execute("UPDATE alembic_version SET version_num = ?", (value,))
        connection.close()

    return change


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.write_text("some notes of mine, not a database\n" * 50),
         "is no MLflow store: file is not a database"),
        (lambda path: path.write_bytes(path.read_bytes()[:4096] + b"\xff" * 50_000),
         "no MLflow store: database disk image is malformed"),
        (lambda path: (path.unlink(), _foreign(path)), "no MLflow store: it holds recipes"),
        (_revision("ffffffffffff"), "made by a newer MLflow"),
        (_revision("451aebb31d03"), "made by an older MLflow"),
    ],
)
def test_a_foreign_store_is_a_mistake_before_anything_is_written(template, tmp_path, spoil, words):
    path = tmp_path / "mlflow.db"
    shutil.copy(template, path)
    spoil(path)
    before = path.read_bytes()
    with pytest.raises(Mistake, match=words) as caught:
        Store(sqlite(path)).check()
    assert len(str(caught.value).splitlines()) <= 3
    assert path.read_bytes() == before


def test_a_place_that_cannot_be_written_is_a_mistake(tmp_path, monkeypatch, template):
    (tmp_path / "file").write_text("")
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    for path in (tmp_path / "file" / "mlflow.db", tmp_path / "file" / "mlruns" / "mlflow.db"):
        with pytest.raises(Mistake, match="file is a file, not a folder"):
            Store(sqlite(path)).check_writable()
    with pytest.raises(Mistake, match="file is a file, not a folder"):
        Store(sqlite(tmp_path / "mlflow.db"), artifact_root=tmp_path / "file").check_writable()
    for path, words in (("/proc/nope/x.db", "nothing can be made in /proc"), (f"{tmp_path}/nowhere/x.db", "nothing can"),
                        (f"{tmp_path}/{'x' * 300}/x.db", "File name too long"),
                        (f"{tmp_path}/{'x' * 300}.db", "File name too long")):
        with pytest.raises(Mistake, match=words) as caught:
            Store(sqlite(Path(path))).check_writable()
        assert len(str(caught.value).splitlines()) == 2
    before = sorted(tmp_path.iterdir())
    Store(sqlite(tmp_path / "a" / "b" / "mlflow.db")).check_writable()
    assert sorted(tmp_path.iterdir()) == before
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(Mistake, match="no write permission for .*mlflow.db"):
        Store(sqlite(template)).check_writable()
    Store(sqlite(template)).check()
    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    with pytest.raises(Mistake, match=f"no write permission for {tmp_path}"):
        Store(sqlite(tmp_path / "mlruns" / "mlflow.db")).check_writable()


def refuse(*_, **__):
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def test_a_store_that_never_was_is_a_mistake_and_one_that_is_away_costs_nothing(template, make, tmp_path):
    path = tmp_path / "disk" / "mlflow.db"
    path.parent.mkdir()
    shutil.copy(template, path)
    with pytest.raises(Mistake, match="cannot be made"):
        check_target(Store("sqlite:////proc/nope/x.db"), tmp_path / "work")
    deliver(make("told"), Store(sqlite(path)))
    shutil.move(path.parent, tmp_path / "away")
    (tmp_path / "disk").write_text("where the disk is mounted")
    check_target(Store(sqlite(path)), tmp_path / "work")
    check_target(Store(sqlite(path), experiment="another"), tmp_path / "work")
    with pytest.raises(Mistake, match="disk is a file, not a folder"):
        check_target(Store(sqlite(path)), tmp_path / "other work")
    with pytest.raises(Mistake, match="cannot be made"):
        check_target(Store("sqlite:////proc/nope/x.db"), tmp_path / "work")
    check_target(Store("http://127.0.0.1:9"), tmp_path / "work")


def test_two_processes_make_the_same_store_at_once(making):
    assert making.outputs == [(f"1 {making.path.parent}/artifacts\n", "")] * 2
    assert making.files == ["mlflow.db", "mlflow.db.lock"]
    Store(sqlite(making.path)).check()


@pytest.mark.slow
def test_killed_amid_the_making_the_next_one_makes_it(tmp_path, opening):
    path = tmp_path / "mlflow.db"
    for patience in (0.1, 1.0):
        killed = opening(path)
        while not (tmp_path / ".mlflow.db.new").exists():
            time.sleep(0.01)
        time.sleep(patience)
        killed.kill()
        killed.communicate()
        assert not path.exists()
    assert opening(path).communicate() == (f"1 {tmp_path}/artifacts\n", "")
    assert sorted(found.name for found in tmp_path.iterdir()) == ["mlflow.db", "mlflow.db.lock"]


def test_a_locked_store_fails_in_one_line_and_then_goes_on(store, make, impatient, capfd):
    folder = make("locked")
    other = sqlite3.connect(store.database, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    store.check()
    with pytest.raises(Undelivered, match="database is locked") as caught:
        deliver(folder, store)
    other.execute("COMMIT")
    other.close()
    assert caught.value.everywhere and "\n" not in str(caught.value)
    deliver(folder, store)
    assert capfd.readouterr().err == ""


@pytest.fixture
def impatient():
    """Makes MLflow wait 0.1 seconds for SQLite's lock instead of its fixed 20."""
    from sqlalchemy import Engine, event

    def shorten(connection, cursor, statement, parameters, context, many):
        return statement.replace("busy_timeout = 20000", "busy_timeout = 100"), parameters

    event.listen(Engine, "before_cursor_execute", shorten, retval=True)
    yield
    event.remove(Engine, "before_cursor_execute", shorten)


def test_without_mlflow_the_folder_waits(make, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(Undelivered, match="the package mlflow is not installed; pip install mlflow"):
        deliver(make("absent"), Store(sqlite(tmp_path / "mlflow.db")))


def test_a_full_disk_is_told(store, make, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    folder = make("full")
    monkeypatch.setattr(store.client(), "log_artifact", full)
    with pytest.raises(Undelivered, match="No space left on device"):
        deliver(folder, store)


def test_a_deleted_experiment_is_told(template, tmp_path, make):
    shutil.copy(template, tmp_path / "mlflow.db")
    client = Store(sqlite(tmp_path / "mlflow.db")).client()
    client.delete_experiment(client.get_experiment_by_name("ssgan").experiment_id)
    with pytest.raises(Undelivered, match="mlflow experiments restore --experiment-id 1"):
        deliver(make("orphan"), Store(sqlite(tmp_path / "mlflow.db")))


def test_a_deleted_experiment_comes_back_by_the_command_that_is_told_and_nothing_else_is_made(template, tmp_path):
    (tmp_path / "a place").mkdir()
    (tmp_path / "here").mkdir()
    store = Store(sqlite(tmp_path / "a place" / "mlflow.db"))
    shutil.copy(template, store.database)
    client = store.client()
    client.delete_experiment(store.experiment_id)
    with pytest.raises(Mistake, match="was deleted") as told:
        Store(store.uri).reader()
    command = str(told.value).split("`")[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW")}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    done = subprocess.run(command, shell=True, cwd=tmp_path / "here", env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert Store(store.uri).reader()[1] == store.experiment_id and not list((tmp_path / "here").iterdir())
