"""A project that was moved or copied: new files and old ones are beside the store, and what was chosen stays chosen."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ssgan.tracking import Store, deliver, find_run, stored_runs, ui_command
from ssgan.tracking.moved_store import follow_move

FINISHED = {"status": "FINISHED", "ended": 1_700_000_400}


@pytest.fixture
def project(template, tmp_path, make) -> Path:
    """A project whose store holds one delivered run; the store's own folder of artifacts, not the template's."""
    folder = tmp_path / "first" / "mlruns"
    folder.mkdir(parents=True)
    shutil.copy(template, folder / "mlflow.db")
    deliver(make("old", root=folder / "work", **FINISHED), of(folder.parent))
    return folder.parent


def of(project: Path) -> Store:
    return Store(f"sqlite:///{project}/mlruns/mlflow.db", experiment="moves")


def named(project: Path) -> set[str]:
    """Every path of artifacts in the store, of this experiment and its runs."""
    with closing(sqlite3.connect(project / "mlruns" / "mlflow.db")) as connection:
        return {row[0] for row in connection.execute(
            "SELECT artifact_location FROM experiments WHERE name = 'moves' UNION SELECT artifact_uri FROM runs")}


def files(folder: Path) -> dict[str, tuple[float, int]]:
    return {str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.stat().st_size)
            for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("moved", [True, False])
def test_new_runs_lie_beside_the_store_and_old_ones_are_found_there(project, tmp_path, make, content, moved):
    new = tmp_path / "second"
    if moved:
        shutil.move(project, new)
    else:
        shutil.copytree(project, new)
        before = files(project)
    store = of(new)
    run = deliver(make("new", root=new / "mlruns" / "work", **FINISHED), store)
    assert (new / "mlruns" / "artifacts" / run / "artifacts" / "train" / "samples.png").read_bytes() == b"picture"
    assert all(path.startswith(f"{new}/mlruns/artifacts") for path in named(new))
    if moved:
        assert not project.exists()
    else:
        assert files(project) == before and all(path.startswith(str(project)) for path in named(project))
    shutil.rmtree(new / "mlruns" / "work")
    runs = stored_runs(of(new), tmp_path)
    assert len(runs) == 2 and all(each.fetch("train/samples.png").read_bytes() == b"picture" for each in runs)
    assert all("split/deep/split.npz" in content(of(new), each.run_id).files for each in runs)


def test_a_reader_alone_finds_the_files_of_a_moved_project(project, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    new = shutil.move(project, tmp_path / "second")
    shutil.rmtree(tmp_path / "second" / "mlruns" / "work")
    run, = stored_runs(of(new), tmp_path)
    assert run.fetch("split/deep/*.npz").read_bytes() == b"tables"
    newer = shutil.move(new, tmp_path / "third")
    assert (find_run(run.run_id, tmp_path / "nothing", of(newer)).path / "train" / "samples.png").exists()
    newest = shutil.move(newer, tmp_path / "fourth")
    ui_command(of(newest).uri)
    assert not any(str(newer) in path for path in named(newest)) or of(newest).experiment != "ssgan"


def test_the_unfinished_run_of_a_moved_project_goes_on_beside_the_store(template, tmp_path, make):
    from mlflow.tracking._tracking_service import utils

    folder = tmp_path / "first" / "mlruns"
    folder.mkdir(parents=True)
    shutil.copy(template, folder / "mlflow.db")
    going = make("going", root=folder / "work")
    first = deliver(going, of(folder.parent))
    new = shutil.move(folder.parent, tmp_path / "second")
    utils._artifact_repos_cache.clear()  # MLflow's, by run: as in a new process
    again = type(going)(Path(new) / "mlruns" / "work" / "going")
    (again.stage_folder("train") / "more.txt").write_text("more")
    again.update(**FINISHED)
    assert deliver(again, of(new)) == first and not folder.exists()
    assert (Path(new) / "mlruns" / "artifacts" / first / "artifacts" / "train" / "more.txt").exists()


def test_a_database_that_was_copied_alone_reads_the_files_where_they_are_and_writes_its_own_beside(project, tmp_path,
                                                                                                   make):
    new = tmp_path / "second"
    (new / "mlruns").mkdir(parents=True)
    shutil.copy(project / "mlruns" / "mlflow.db", new / "mlruns")
    before = files(project / "mlruns" / "artifacts")
    run = deliver(make("new", root=new / "work", **FINISHED), of(new))
    assert (new / "mlruns" / "artifacts" / run).exists() and files(project / "mlruns" / "artifacts") == before
    shutil.rmtree(project / "mlruns" / "work")
    shutil.rmtree(new / "work")
    assert [each.fetch("train/*.png") is not None for each in stored_runs(of(new), tmp_path)] == [True, True]


def test_a_folder_that_somebody_chose_stays(template, tmp_path, make):
    folder = tmp_path / "first" / "mlruns"
    folder.mkdir(parents=True)
    shutil.copy(template, folder / "mlflow.db")
    chosen = tmp_path / "large disk" / "artifacts"
    chosen.parent.mkdir()
    Store(f"sqlite:///{folder}/mlflow.db", "moves", artifact_root=chosen).client()
    run = deliver(make("new", **FINISHED), of(folder.parent))
    assert (chosen / run / "artifacts" / "train" / "samples.png").exists()
    for address in (f"{tmp_path}/pictures", "s3://bucket/artifacts", "", "artifacts", "mlflow-artifacts:/1"):
        with closing(sqlite3.connect(folder / "mlflow.db")) as connection, connection:
            connection.execute("UPDATE experiments SET artifact_location = ? WHERE name = 'moves'", (address,))
        follow_move(folder / "mlflow.db", folder / "artifacts", "moves")
        assert address in named(folder.parent)


def test_the_same_project_by_another_path_changes_nothing(project, tmp_path):
    (tmp_path / "link").symlink_to(project)
    before = named(project)
    of(tmp_path / "link").client()
    stored_runs(of(tmp_path / "link"), tmp_path)
    assert named(project) == before


def test_a_store_that_cannot_be_written_is_read_as_it_is(project, tmp_path, monkeypatch):
    new = shutil.copytree(project, tmp_path / "second")
    with closing(sqlite3.connect(new / "mlruns" / "mlflow.db")) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        monkeypatch.setattr("ssgan.tracking.moved_store.WAITS", 0.1)
        of(new).follow_move()
        connection.rollback()
    assert all(path.startswith(str(project)) for path in named(new))
    assert len(stored_runs(of(new), tmp_path)) == 1


def test_no_store_and_an_empty_one_are_nothing_to_follow(tmp_path):
    follow_move(tmp_path / "mlflow.db", tmp_path / "artifacts", "moves")
    (tmp_path / "mlflow.db").touch()
    follow_move(tmp_path / "mlflow.db", tmp_path / "artifacts", "moves")
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db"]


def test_an_old_folder_that_was_made_anew_since_the_move_is_left_with_what_is_there_alone(project, tmp_path, make):
    new = shutil.move(project, tmp_path / "second")
    astray = project / "mlruns" / "artifacts" / "astray" / "artifacts"
    astray.mkdir(parents=True)
    with closing(sqlite3.connect(Path(new) / "mlruns" / "mlflow.db")) as connection, connection:
        connection.execute("INSERT INTO runs (run_uuid, artifact_uri, experiment_id, lifecycle_stage) SELECT 'astray', "
                           "?, experiment_id, 'active' FROM experiments WHERE name = 'moves'", (str(astray),))
    run = deliver(make("new", root=Path(new) / "mlruns" / "work", **FINISHED), of(Path(new)))
    assert (Path(new) / "mlruns" / "artifacts" / run).exists()
    assert list(astray.parent.parent.iterdir()) == [astray.parent]
    assert [path for path in named(Path(new)) if not path.startswith(str(new))] == [str(astray)]


def test_a_registered_model_moves_with_its_project(project, tmp_path):
    from mlflow import MlflowClient

    client = MlflowClient(of(project).uri)
    run, = client.search_runs([client.get_experiment_by_name("moves").experiment_id])
    client.create_registered_model("digits")
    client.create_model_version("digits", f"{run.info.artifact_uri}/train", run.info.run_id)
    new = Path(shutil.move(project, tmp_path / "second"))
    of(new).client()
    found = MlflowClient(of(new).uri).get_model_version("digits", "1")
    assert Path(found.source) == new / "mlruns" / "artifacts" / run.info.run_id / "artifacts" / "train"
    assert (Path(found.source) / "samples.png").exists()
