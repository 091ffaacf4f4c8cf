"""The work folder: facts, journal, stages and locks, and what a kill or a full disk leaves of them."""

import json
import math
import os
import resource
import signal
import subprocess
import sys
import time

import pytest

from ssgan.errors import Mistake
from ssgan.tracking.workfolder import WorkFolder, process_start

HOLD = """
import sys, time
from ssgan.tracking.workfolder import WorkFolder
with WorkFolder(sys.argv[1]).lock():
    print("held", flush=True)
    time.sleep(60)
"""

MEASURE = """
import itertools, sys
from ssgan.tracking.workfolder import WorkFolder
folder = WorkFolder(sys.argv[1])
with folder.lock():
    for step in itertools.count():
        folder.measure(step, {"train/loss": float(step), "train/rate": 2.0})
        folder.flush()
        if step == 20:
            print("going", flush=True)
"""


@pytest.fixture
def folder(tmp_path):
    return WorkFolder.create(tmp_path / "work", "0123abcd")


def rows(folder, after_line=0):
    return [(step, values) for _, step, _, values in folder.measurements(after_line)]


def start(code, folder):
    process = subprocess.Popen([sys.executable, "-c", code, str(folder.path)], stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    return process


def kill(process):
    process.kill()
    process.wait()
    process.stdout.close()


def test_facts_survive_and_merge(folder):
    assert folder.facts == {}
    before = time.time()
    folder.update(name="digits 100", settings={"train": {"epochs": 3}}, status="RUNNING")
    folder.update(labels=100)
    facts = WorkFolder(folder.path).facts
    created = facts.pop("created")
    assert before <= created <= time.time()
    assert facts == {"name": "digits 100", "settings": {"train": {"epochs": 3}}, "status": "RUNNING", "labels": 100,
                     "ended": None}


def test_a_status_that_ends_the_run_says_when_and_going_on_takes_it_back(folder):
    folder.update(status="FAILED", error="loss is nan")
    assert abs(folder.facts["ended"] - time.time()) < 5
    folder.update(status="RUNNING", error=None)
    assert folder.facts["ended"] is None and folder.facts["error"] is None


def test_facts_are_replaced_not_overwritten(folder, monkeypatch):
    folder.update(labels=100)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Mistake, match="run.json: No space left"):
        folder.update(labels=200)
    monkeypatch.undo()
    assert folder.facts["labels"] == 100


def test_broken_facts_are_named(folder):
    folder.run_file.write_text('{"labels": 1')
    with pytest.raises(Mistake, match="run.json is not valid JSON"):
        _ = folder.facts


def test_all_finds_folders_from_the_checkout_down(tmp_path):
    root = tmp_path / "mlruns" / "work"
    one, two = (WorkFolder.create(root, name) for name in ("aaaa", "bbbb"))
    WorkFolder.create(root, "cccc")  # without facts
    one.update(labels=1)
    two.update(labels=2)
    for place in (tmp_path, tmp_path / "mlruns", root):
        assert [found.path for found in WorkFolder.all(place)] == [one.path, two.path]
    assert [found.path for found in WorkFolder.all(one.path)] == [one.path]
    assert WorkFolder.all(tmp_path / "nowhere") == []


def test_a_place_that_cannot_be_written_is_a_mistake(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Mistake, match=r"cannot write .*file/work/abcd: Not a directory") as caught:
        WorkFolder.create(tmp_path / "file" / "work", "abcd")
    assert len(str(caught.value).splitlines()) <= 3


def test_measurements_come_back_exactly(folder):
    folder.measure(1, {"train/loss": 0.1 + 0.2, "train/rate": 3e-5}, at=1000.25)
    folder.measure(2, {"train/loss": math.inf, "val/error": -math.inf, "x": math.nan})
    folder.flush()
    first, second = WorkFolder(folder.path).measurements()
    assert first == (1, 1, 1000.25, {"train/loss": 0.1 + 0.2, "train/rate": 3e-5})
    assert second[:2] == (2, 2) and abs(second[2] - time.time()) < 5
    assert second[3]["train/loss"] == math.inf and second[3]["val/error"] == -math.inf and math.isnan(second[3]["x"])
    assert [number for number, *_ in folder.measurements(after_line=1)] == [2]
    assert folder.lines() == 2


def test_every_line_is_strict_json(folder):
    folder.measure(1, {"a": math.nan, "b": -math.inf})
    folder.flush()

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    for line in (folder.path / "measurements.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=refuse)


def test_what_is_there_already_is_skipped_name_by_name(folder):
    for step in range(5):
        folder.measure(step, {"train/loss": step})
    folder.measure(4, {"val/error": 0.5})
    folder.flush()
    resumed = WorkFolder(folder.path)
    for step in range(2, 7):
        resumed.measure(step, {"train/loss": -step})
    resumed.measure(4, {"val/error": 9, "val/other": 1})
    resumed.flush()
    expected = [(step, {"train/loss": step}) for step in range(5)] + [(4, {"val/error": 0.5})]
    expected += [(5, {"train/loss": -5}), (6, {"train/loss": -6}), (4, {"val/other": 1})]
    assert rows(folder) == expected


def test_measurements_reach_the_file_without_a_flush_and_before_facts(folder):
    folder.measure(1, {"a": 1})
    assert folder.lines() == 1  # the first at once: nothing was written for over a second
    folder.measure(2, {"a": 2})
    assert folder.lines() == 1
    folder.update(status="FINISHED")
    assert folder.lines() == 2


@pytest.mark.parametrize("torn", ['{"step": 3, "ti', '{"step": 3, "time": 1, "values": {"a": 3}}', "\x00\x00"])
def test_a_torn_last_line_is_not_read_and_then_cut_off(folder, torn):
    folder.measure(1, {"a": 1})
    folder.measure(2, {"a": 2})
    folder.flush()
    with (folder.path / "measurements.jsonl").open("a") as file:
        file.write(torn)
    resumed = WorkFolder(folder.path)
    assert rows(resumed) == [(1, {"a": 1}), (2, {"a": 2})]
    resumed.measure(3, {"a": 30})
    resumed.flush()
    assert rows(resumed) == [(1, {"a": 1}), (2, {"a": 2}), (3, {"a": 30})]


def test_a_broken_line_in_the_middle_is_named(folder):
    (folder.path / "measurements.jsonl").write_text('{"step": 1, "time": 1, "values": {"a": 1}}\n{"step": 2}\n')
    with pytest.raises(Mistake, match="line 2 is no measurement"):
        rows(folder)


def test_a_full_disk_loses_nothing_and_leaves_no_half_line(folder):
    folder.measure(1, {"a": 1})
    folder.flush()
    size = (folder.path / "measurements.jsonl").stat().st_size
    for step in range(2, 100):
        folder.measure(step, {"a": step})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 500, hard))  # the write stops amid a line, as on a full disk
    try:
        with pytest.raises(Mistake, match="cannot write .*measurements.jsonl"):
            folder.flush()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (folder.path / "measurements.jsonl").stat().st_size == size
    folder.flush()
    assert rows(folder) == [(step, {"a": step}) for step in range(1, 100)]


def test_killed_while_measuring_the_journal_goes_on_without_gap_or_double(folder):
    for _ in range(3):
        process = start(MEASURE, folder)
        time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        kill(process)
        steps = [step for step, _ in rows(folder)]
        assert steps == list(range(len(steps))) and len(steps) > 20


def test_stages(folder):
    folder.update(status="RUNNING")
    assert not folder.stage_finished("train")
    folder.finish_stage("split", 0.5)
    folder.finish_stage("train", 12.5)
    assert folder.stage_finished("train") and not folder.stage_finished("score")
    assert folder.facts["stages"]["train"]["seconds"] == 12.5
    assert folder.stage_folder("score").is_dir() and folder.stage_folder("score") == folder.path / "score"


def test_one_process_at_a_time(folder):
    process = start(HOLD, folder)
    try:
        assert folder.locked()
        with pytest.raises(Mistake, match=f"0123abcd is in use by process {process.pid} on "), folder.lock():
            pass
    finally:
        kill(process)
    assert not folder.locked()
    with folder.lock():
        assert folder.locked() and folder.holder["pid"] == os.getpid()
    assert not folder.locked()


def test_asking_never_keeps_a_run_from_starting(folder):
    code = f"from ssgan.tracking.workfolder import WorkFolder\nwhile True: WorkFolder({str(folder.path)!r}).locked()"
    asker = subprocess.Popen([sys.executable, "-c", code])
    try:
        for _ in range(50):
            with folder.lock():
                time.sleep(0.001)
    finally:
        asker.kill()
        asker.wait()


def test_errors_inside_the_lock_stay_what_they_are(folder):
    with pytest.raises(FileNotFoundError), folder.lock():
        open(folder.path / "nothing")  # noqa: SIM115


def test_a_dead_run_is_marked_and_a_live_one_never(folder):
    folder.update(status="RUNNING")
    folder.measure(1, {"a": 1})
    folder.flush()
    process = start(HOLD, folder)
    assert not folder.mark_dead() and folder.facts["status"] == "RUNNING"
    kill(process)
    assert folder.mark_dead()
    facts = folder.facts
    assert facts["status"] == "KILLED" and facts["ended"] <= time.time() and facts["error"]
    assert folder.holder["pid"] == process.pid
    assert not folder.mark_dead()


def test_a_process_is_told_from_a_later_one_of_the_same_number():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    began = process_start(process.pid)
    assert began and began == process_start(process.pid) != process_start(os.getpid())
    process.communicate(b"\n")
    assert process_start(process.pid) is None


def test_importing_is_cheap():
    code = ("import sys, ssgan.tracking.workfolder, ssgan.tracking; print([m for m in ('torch', 'mlflow', 'numpy', "
            "'sklearn') if m in sys.modules])")
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          check=True).stdout.strip() == "[]"
