"""A project that may only be read: what reads, reads; what writes says so in a line or three, before anything is done."""

import json
import re
import shutil

import handed
import pytest
import unprivileged

from ssgan.tracking import Store, deliver_waiting

NO_SERVER = """
import os
os.execve = lambda path, words, environment: print("started:", *words)
"""


@pytest.fixture(scope="module")
def project():
    """A folder of somebody else's, with a run in its work folder and in its store, and a sweep's summary in the store;
    and a folder of one's own.
    """
    with unprivileged.open_folder() as folder:
        shutil.copytree(handed.place() / "mlruns", folder / "theirs" / "mlruns")
        (folder / "theirs" / "pictures").mkdir()
        handed.write_pictures(folder / "theirs" / "pictures", handed.images_of_test()[:2])
        store = Store(f"sqlite:///{folder}/theirs/mlruns/mlflow.db")
        (_, run_id, _), = deliver_waiting(folder / "theirs" / "mlruns" / "work", store, any_store=True)
        store.client().create_run(store.experiment_id, run_name="digits · sweep",
                                  tags={"ssgan.kind": "summary", "ssgan.sweep": "0123456789abcdef"})
        (folder / "mine").mkdir()
        (folder / "mine").chmod(0o777)
        paths = [folder / "theirs", *(folder / "theirs").rglob("*")]
        for path in paths:
            path.chmod(0o555 if path.is_dir() else 0o444)
        yield folder, run_id
        for path in paths:
            path.chmod(0o755)


READING = {"compare": "compare --json", "predict": "predict RUN pictures --json",
           "sample": "sample RUN -n 4 -o ../mine/PLACE.png --json", "export": "export RUN -o ../mine/PLACE.onnx --json"}


@pytest.mark.parametrize(("command", "place"), [
    ("sample", "work folder"),
    *(pytest.param(command, place, marks=pytest.mark.slow) for command, place in (
        ("compare", "work folder"), ("predict", "work folder"), ("export", "work folder"),
        ("compare", "store"), ("sample", "store"), ("predict", "store"), ("export", "store")))])
def test_what_reads_reads(project, command, place):
    folder, run_id = project
    words = READING[command].replace("RUN", run_id).replace("PLACE", place.replace(" ", "-")).split()
    cwd = folder / "theirs"
    if place == "store":  # without a work folder here, a run is fetched from the store into the user's cache
        cwd = folder / "mine"
        words = [*(word.replace("../mine/", "") for word in words if word != "pictures"), "--tracking-uri",
                 f"sqlite:///{folder}/theirs/mlruns/mlflow.db"]
        words += [str(folder / "theirs" / "pictures")] if words[0] == "predict" else []
    done = unprivileged.ssgan(*words, cwd=cwd)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert len(found.get("predictions", [0, 0])) == 2 and not found.get("failed")


@pytest.mark.slow
@pytest.mark.parametrize("words", [[], ["--compare"]], ids=" ".join)
def test_the_ui_shows_it(project, words):
    done = unprivileged.ssgan("ui", "--port", "5971", *words, cwd=project[0] / "theirs", before=NO_SERVER)
    assert done.returncode == 0 and "\nstarted: " in done.stdout and "127.0.0.1:5971/#/experiments/" in done.stdout
    assert ("the view is not saved" in done.stderr) == bool(words)


@pytest.mark.parametrize("words", [
    "run --dataset digits --labels 100", "run --dataset digits --labels 100 --tracking-uri none", "deliver",
    "run --dataset digits --tracking-uri sqlite:////proc/nope/x.db", "sample latest", "export latest --register mine",
    "recipes digits --copy mine.toml",
    *(pytest.param(words, marks=pytest.mark.slow) for words in (
        "sweep --dataset digits --labels 20", "tune --dataset digits --labels 20 --grid train.epochs=1,2",
        "score latest", "evaluate latest", "export latest", "compare --html a.html", "recipes digits --picture a.png"))])
def test_what_writes_says_so(project, words):
    before = {path: path.stat().st_mtime_ns for path in (project[0] / "theirs").rglob("*")}
    done = unprivileged.ssgan(*words.split(), cwd=project[0] / "theirs")
    assert done.returncode == 2 and 1 <= len(done.stderr.splitlines()) <= 3, done.stderr
    assert re.search("cannot be|cannot write|may not write|Permission denied", done.stderr)
    assert {path: path.stat().st_mtime_ns for path in (project[0] / "theirs").rglob("*")} == before
