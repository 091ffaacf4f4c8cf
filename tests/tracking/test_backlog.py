"""What earlier runs left: delivered late, from other machines too; the dead are marked, the living left alone."""

import shutil
import subprocess
import sys

from ssgan.tracking import Store, deliver, deliver_waiting, delivered, mark_dead, run_id
from ssgan.tracking.workfolder import WorkFolder

HOLD = """
import sys, time
from ssgan.tracking.workfolder import WorkFolder
with WorkFolder(sys.argv[1]).lock():
    print("held", flush=True)
    time.sleep(60)
"""


def hold(folder):
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder.path)], stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    return process


def kill(process):
    process.kill()
    process.communicate()


def status(store, run):
    return store.client().get_run(run).info.status


def test_only_what_waits_for_this_store_is_delivered(store, make, tmp_path):
    done, waiting, never, other = (make(f"waiting-{name}") for name in ("done", "this", "none", "other"))
    live = make("waiting-live")
    deliver(done, store)
    waiting.update(tracking_uri=store.uri, experiment=store.experiment)
    never.update(tracking_uri="none")
    other.update(tracking_uri="http://me:secret@elsewhere")
    process = hold(live)
    try:
        results = deliver_waiting(tmp_path, store)
        assert {folder.path for folder, _, _ in results} == {waiting.path, never.path}
        assert all(run == run_id(folder, store) and reason is None for folder, run, reason in results)
        assert [folder.path for folder, _, _ in deliver_waiting(tmp_path, store, any_store=True)] == [other.path]
    finally:
        kill(process)
    assert not delivered(live, store)


def test_another_machines_folder(store, make, tmp_path, content):
    folder = make("elsewhere", status="FINISHED", tracking_uri="sqlite:////home/other/mlruns/mlflow.db")
    copy = tmp_path / "usb" / "mlruns" / "work"
    shutil.copytree(folder.path.parent, copy)
    [(found, run, reason)] = deliver_waiting(tmp_path / "usb", store, any_store=True)
    assert found.path == copy / "elsewhere" and reason is None
    assert content(store, run).files["train/samples.png"] == b"picture"
    # The original brings nothing a second time: it is the same run.
    assert deliver(folder, store) == run
    assert len(content(store, run).metrics["train/loss"]) == 3


def test_a_store_that_is_down_is_asked_once(make, tmp_path):
    (tmp_path / "file").write_text("")
    for name in ("down-1", "down-2"):
        make(name)
    (make("down-0").path / "measurements.jsonl").write_text("{}\n")
    asked = []

    class Down(Store):
        def client(self):
            asked.append(self)
            raise ConnectionError("nobody there")

    results = deliver_waiting(tmp_path, Down("http://127.0.0.1:9"))
    assert [reason for _, _, reason in results] == ["nobody there"] * 3 and len(asked) == 1


def test_folders_that_cannot_be_read_are_listed_and_stop_nothing(store, make, tmp_path):
    broken, sound = make("unread-1"), make("unread-2")
    broken.run_file.write_text("{")
    results = {folder.path: (run, reason) for folder, run, reason in deliver_waiting(tmp_path, store)}
    assert "run.json is not valid JSON" in results[broken.path][1]
    assert results[sound.path] == (run_id(sound, store), None)


def test_the_dead_are_marked_and_the_living_are_not(store, make, tmp_path):
    dead, live, done = make("dead"), make("live"), make("done", status="FINISHED")
    names = {folder.facts["name"] for folder in (dead, live, done)}
    processes = [hold(dead), hold(live)]
    runs = {folder: deliver(folder, store) for folder in (dead, live, done)}
    try:
        assert not names & set(mark_dead(store, tmp_path))
        kill(processes[0])
        assert names & set(mark_dead(store, tmp_path)) == {dead.facts["name"]}
        assert {folder: folder.facts["status"] for folder in runs} == {
            dead: "KILLED", live: "RUNNING", done: "FINISHED"}
        assert {folder: status(store, run) for folder, run in runs.items()} == {
            dead: "KILLED", live: "RUNNING", done: "FINISHED"}
    finally:
        kill(processes[1])


def test_dead_runs_whose_folder_is_elsewhere_or_gone(store, make, tmp_path):
    gone, elsewhere = make("gone"), make("in-another-place")
    going = make("gone-but-going")  # somebody removed the folder under a live process
    processes = [hold(folder) for folder in (gone, elsewhere, going)]
    runs = [deliver(folder, store) for folder in (gone, elsewhere, going)]
    kill(processes[0])
    kill(processes[1])
    try:
        for folder in (gone, going):
            shutil.rmtree(folder.path)
        marked = set(mark_dead(store, tmp_path / "nothing-here"))
        assert ({"digits-100 gone", "digits-100 in-another-place"} <= marked
                and "digits-100 gone-but-going" not in marked)
        assert [status(store, run) for run in runs] == ["KILLED", "KILLED", "RUNNING"]
        assert WorkFolder(elsewhere.path).facts["status"] == "KILLED"
    finally:
        kill(processes[2])


def test_a_resumed_run_is_not_taken_for_the_process_that_died(store, make, tmp_path):
    folder = make("resumed")
    first = hold(folder)
    run = deliver(folder, store)
    kill(first)
    second = hold(folder)  # goes on, and has told MLflow nothing yet
    try:
        assert folder.facts["name"] not in mark_dead(store, tmp_path) and status(store, run) == "RUNNING"
    finally:
        kill(second)


def test_without_a_store_the_folders_are_marked(make, tmp_path):
    folder = make("alone")
    assert mark_dead(None, tmp_path) == [folder.facts["name"]]
    folder.update(status="RUNNING")
    assert mark_dead(Store(f"sqlite:///{tmp_path}/mlflow.db"), tmp_path) == [folder.facts["name"]]
    assert not (tmp_path / "mlflow.db").exists()
