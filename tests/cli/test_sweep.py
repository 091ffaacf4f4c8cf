"""The command line of `ssgan sweep`."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.in_process import commands_in
from cli.test_run import TINY
from ssgan.cli import main
from ssgan.cli.options import parse_budgets, parse_seeds, parse_targets
from ssgan.errors import Mistake
from ssgan.files import is_locked

SWEEP = ["sweep", "--dataset", "digits", "--labels", "50,20", "--seeds", "2", *TINY, "--set", "evaluate.gan_off=false",
         "--set", "train.epochs=1", "--workers", "1", "--json"]


@pytest.fixture(scope="module")
def ssgan(tmp_path_factory):
    """The command in this process, in a folder and with a cache of its own; the runs' pictures, which take longer than
    the rest, are not drawn.
    """
    with commands_in(tmp_path_factory.mktemp("swept"), light=True) as command:
        yield command


@pytest.fixture(scope="module")
def found(ssgan):
    """What --json printed of a finished sweep."""
    done = ssgan(*SWEEP)
    assert done.exit_code == 0, done.output
    assert "sweep: 4 of 4 runs" in done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_sweep_gives_one_json_object_with_every_member(found):
    assert [(run["labels"], run["seed"], run["split_seed"], run["status"]) for run in found["members"]] == \
        [(20, 0, 0, "FINISHED"), (50, 0, 0, "FINISHED"), (20, 1, 1, "FINISHED"), (50, 1, 1, "FINISHED")]
    for run in found["members"]:
        assert (0 < run["test_error"] < 1 and run["inception_score"] >= 1 and run["run_id"]
                and "supervised only" in run["baselines"])
    series, = found["series"]
    assert [row["labels"] for row in series["table"]] == [20, 50] and series["forecast"] is None
    assert [row["errors"] for row in series["table"]] == [
        [run["test_error"] for run in found["members"] if run["labels"] == labels] for labels in (20, 50)]
    across = series["table"][0]["ensembles"]["across_splits"]
    assert across["uses_labels"] == 40 and across["errors"]["1"]["mean"] == pytest.approx(series["table"][0]["mean"])
    assert all(Path(path).stat().st_size > 500 for path in found["report"].values()) and not found["failed"]


def test_the_store_holds_the_members_and_a_summary_run_with_the_report_and_the_view(found):
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{Path.cwd()}/mlruns/mlflow.db")
    experiment = client.get_experiment_by_name("ssgan")
    runs = client.search_runs([experiment.experiment_id], f"tags.`ssgan.sweep` LIKE '%{found['sweep']}%'")
    summaries = [run for run in runs if run.data.tags.get("ssgan.kind") == "summary"]
    assert {run.info.run_id for run in runs} == {found["summary_run_id"],
                                                 *(run["run_id"] for run in found["members"])} and len(runs) == 5
    summary, = summaries
    assert (summary.info.status == "FINISHED" and "mlflow.parentRunId" not in summary.data.tags
            and summary.data.params["budgets"] == "20, 50")
    assert {item.path for item in client.list_artifacts(summary.info.run_id, "report")} == {
        "report/report.html", "report/report.md", "report/efficiency.png", "report/scores.png"}
    history = client.get_metric_history(summary.info.run_id, "sweep/error_mean")
    assert [(value.step, value.value) for value in history] == [
        (row["labels"], pytest.approx(row["mean"])) for row in found["series"][0]["table"]]
    assert f"mlflow.sharedViewState.ssgan-{found['sweep']}" in experiment.tags


def test_again_it_prints_the_same_and_compare_finds_the_same_in_the_store(ssgan, found):
    again = ssgan(*SWEEP)
    assert json.loads(again.stdout.splitlines()[-1]) == found
    compared = ssgan("compare", "--html", "page.html", "--json")
    assert compared.exit_code == 0, compared.output
    other = json.loads(compared.stdout.splitlines()[-1])
    assert [{**row, "seconds": 0} for row in other["series"][0]["table"]] == [
        {**row, "seconds": 0} for row in found["series"][0]["table"]]
    assert "data:image/png" in Path("page.html").read_text()


def test_latest_is_a_run_and_not_the_summary(ssgan, found):
    sampled = ssgan("sample", "latest", "-n", "4", "-o", "x.png")
    assert sampled.exit_code == 0, sampled.output
    refused = ssgan("sample", found["summary_run_id"], "-n", "4")
    assert refused.exit_code == 2 and len(refused.stderr.splitlines()) <= 3


@pytest.mark.parametrize("lost", [(50,), (20, 50)])
def test_failed_runs_are_in_the_exit_code_the_json_and_the_table(ssgan, monkeypatch, lost):
    def failing(group, **_):
        if group.recipe.labels in lost:
            raise Mistake("generated images cannot be scored: some are not finite")
        for folder in group.folders:
            folder.finish_stage("score", 0.0)

    monkeypatch.setattr("ssgan.experiments.run.score", failing)
    command = [*SWEEP, "--set", "evaluate.supervised=false", "--set", f"train.epochs={len(lost)}.1", "--tracking-uri",
               "none"]
    done = ssgan(*command)
    found = json.loads(done.stdout.splitlines()[-1])
    expected = [run["run_id"] for run in found["members"] if run["labels"] in lost]
    assert done.exit_code == 1 and [run["run_id"] for run in found["failed"]] == expected
    assert len(expected) == 2 * len(lost)
    assert [run["run_id"] for run in found["members"] if run["status"] == "FAILED"] == expected
    assert ("none of the 4 runs came through" in done.stderr) == (len(lost) == 2)
    table = ssgan(*(word for word in command if word != "--json"))
    assert table.exit_code == 1 and table.stdout.count(" (failed)") == len(expected)


@pytest.mark.parametrize("command", ["sweep", "tune"])
def test_where_no_run_comes_through_it_is_told_as_json_too(ssgan, monkeypatch, command):
    def failing(*_, **__):
        raise RuntimeError("the device is on fire")

    monkeypatch.setattr("ssgan.experiments.units.run_group", failing)
    words = [command, *SWEEP[1:], "--set", "train.epochs=1.3", "--tracking-uri", "none"]
    done = ssgan(*words, *(["--grid", "train.batch=10,20"] if command == "tune" else []))
    found = json.loads(done.stdout.splitlines()[-1])
    assert done.exit_code == 1 and "came through. The first: it has not begun" in done.stderr
    assert (found["lost"] == 8) if command == "tune" else (len(found["failed"]) == 4 and found["series"] == [] == list(
        found["report"]))


@pytest.mark.parametrize(("options", "words"), [
    (["--labels", ""], "no label budget is named"),
    ([], "no label budget is named"),
    (["--labels", " , "], "no label budget is named"),
    (["--labels", "20,x"], "'x' is no label budget"),
    (["--labels", "20,-5"], "'-5' is no label budget"),
    (["--labels", "20,0"], "'0' is no label budget"),
    (["--labels", "20,50,20"], "20 comes twice"),
    (["--labels", "20,105"], "a balanced budget is a multiple of 10"),
    (["--labels", "20,90000"], "the largest budget is --labels"),
    (["--labels", "20", "--set", "labels=50"], "named with --labels"),
    (["--labels", "20", "--seeds", "3,3"], "3 comes twice"),
    (["--labels", "20", "--seeds", "1-5,4"], "4 comes twice"),
    (["--labels", "20", "--seeds", "0"], "one seed alone is 7-7"),
    (["--labels", "20", "--seeds", "9-3"], "a range such as 1000-1009"),
    (["--labels", "20", "--seeds", ""], "write a number of seeds"),
    (["--labels", "20", "--split-seeds", "a"], "--split-seeds a: write a number of seeds"),
    (["--labels", "20", "--grid", "train.epoch=1,2"], "did you mean train.epochs"),
    (["--labels", "20", "--grid", "train.epochs=1,many"], "--grid train.epochs=many: train.epochs must be a number"),
    (["--labels", "20", "--grid", "=1"], "no recipe key|write it as"),
    (["--labels", "20", "--lanes", "0"], "--lanes 0: write auto"),
    (["--labels", "20", "--workers", "0"], "--workers 0: write auto, or a number from 1 to 64"),
    (["--labels", "20", "--lanes", "some"], "--lanes some: write auto"),
    (["--labels", "20", "--target", "120"], "--target 120"),
    (["--labels", "20", "--dataset", "digit"], "did you mean digits"),
    (["--labels", "20", "--tracking-uri", "ftp://x"], "no store that ssgan can use"),
    (["--labels", "20", "--device", "cuda:99"], "--device cuda:99"),
], ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_a_mistake_is_told_in_a_line_or_three_and_nothing_is_written(tmp_path, monkeypatch, options, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    done = CliRunner().invoke(
        main, ["sweep", *(["--dataset", "digits"] if "--dataset" not in options else []), *options])
    assert done.exit_code == 2 and re.search(words, done.stderr), done.stderr
    assert len(done.stderr.splitlines()) <= 3 and not list(tmp_path.iterdir())


def test_seeds_budgets_and_targets_are_read_as_people_write_them():
    assert (parse_seeds("--seeds", "10") == tuple(range(10))
            and parse_seeds("--seeds", "1000-1003") == (1000, 1001, 1002, 1003))
    assert (parse_seeds("--seeds", "3,7") == (3, 7) and parse_seeds("--seeds", "7-7") == (7,)
            and parse_seeds("--seeds", "9, 1-3") == (9, 1, 2, 3))
    assert parse_budgets("200, 20,100") == (20, 100, 200) and parse_targets(("1", "0.5 %")) == (0.01, 0.005)
    for bad in ("1-2-3", "-3", "3-", "1,,2", "99999999999,3", "1-99999999"):
        with pytest.raises(Mistake, match="--seeds"):
            parse_seeds("--seeds", bad)


def test_training_and_label_seeds_apart_are_every_pair():
    from ssgan.cli.sweep import _pairs

    assert _pairs("2", None) == ((0, 0), (1, 1))
    assert _pairs("2", "5-6") == ((0, 5), (1, 5), (0, 6), (1, 6))


LONG = ["sweep", "--dataset", "digits", "--labels", "20,50", "--seeds", "3-3", *TINY, "--set", "train.epochs=20",
        "--set", "evaluate.supervised=false", "--set", "evaluate.gan_off=false", "--tracking-uri", "none", "--quiet",
        "--json"]


def start(folder: Path) -> subprocess.Popen:
    """The sweep as a process of its own, with two workers."""
    folder.mkdir(exist_ok=True)
    environment = os.environ | {"XDG_CACHE_HOME": str(folder.parent / "cache"), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-W", "ignore", "-m", "ssgan", *LONG, "--workers", "2"], cwd=folder,
                            env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            start_new_session=True)


def measured(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("mlruns/work/*/measurements.jsonl"))


def wait_for_more(folder: Path, process: subprocess.Popen) -> None:
    """Until the sweep has measured more than there was."""
    before, until = measured(folder), time.monotonic() + 120
    while measured(folder) == before:
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.slow
def test_interrupted_and_killed_side_by_side_it_ends_with_the_same_errors(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def alone(name: str) -> dict:
        (tmp_path / name).mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / name)
        done = CliRunner().invoke(main, [*LONG, "--workers", "1"])
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout.splitlines()[-1])

    whole, disturbed = alone("whole"), tmp_path / "disturbed"
    process = start(disturbed)
    wait_for_more(disturbed, process)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130 and "The same command goes on from there." in said and "of 2 runs" not in said
    assert len(list(disturbed.glob("mlruns/work/*/checkpoint.pt"))) >= 1
    process = start(disturbed)
    wait_for_more(disturbed, process)
    process.kill()
    process.communicate()
    process = start(disturbed)
    wait_for_more(disturbed, process)
    held = [json.loads(path.read_text())["pid"] for path in disturbed.glob("mlruns/work/*/holder.json")
            if is_locked(path.with_name("lock"))]
    worker, *_ = set(held) - {process.pid}
    os.kill(worker, signal.SIGKILL)  # it is told, and the other goes on
    found, said = process.communicate(timeout=120)
    assert process.returncode == 1, said
    found = json.loads(found.splitlines()[-1])
    assert sorted(run["status"] for run in found["members"]) == ["FINISHED", "RUNNING"] and len(found["failed"]) == 1
    found = alone("disturbed")
    assert [run["test_error"] for run in found["members"]] == [run["test_error"] for run in whole["members"]]
    assert {run["status"] for run in found["members"]} == {"FINISHED"} and found["sweep"] == whole["sweep"]
