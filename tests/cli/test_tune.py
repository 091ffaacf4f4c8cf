"""The command line of `ssgan tune`."""

import json
import re
from pathlib import Path

import pytest
import small
from click.testing import CliRunner
from sealed import permuted, unreadable

from cli.in_process import commands_in
from cli.test_run import TINY
from ssgan.cli import main
from ssgan.cli.tune import _pairs
from ssgan.data import named

TUNE = ["tune", "--dataset", "digits", "--labels", "50", "--grid", "gan.weight=0,1", "--seeds", "2", "--validation",
        "100", *TINY, "--workers", "1"]


@pytest.fixture(scope="module")
def ssgan(tmp_path_factory):
    """The command in this process, in a folder of its own."""
    with commands_in(tmp_path_factory.mktemp("tuned")) as command:
        yield command


@pytest.fixture(scope="module")
def found(ssgan):
    """What --json printed of a finished tuning."""
    done = ssgan(*TUNE, "--json")
    assert done.exit_code == 0, done.output
    assert "tune: 4 of 4 runs; gan.weight=1.0, 50 labels, seed 1: " in done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def errors(found) -> list:
    return [[row["grid"], [(run["seed"], run["split_seed"], run["validation_error"]) for run in row["runs"]]]
            for budget in found["budgets"] for row in budget["rows"]]


def test_again_it_prints_the_same_and_as_text_the_table_the_verdict_and_what_comes_next(ssgan, found):
    assert json.loads(ssgan(*TUNE, "--json").stdout.splitlines()[-1]) == found
    budget, = found["budgets"]
    shown = ssgan(*TUNE)
    assert shown.exit_code == 0 and f"50 labels: {budget['verdict']}" in shown.stdout
    assert shown.stdout.count("\n| 50     | ") == 2
    best = budget["best"]["gan.weight"]
    nexts = [line for line in shown.stdout.splitlines() if line.startswith("next ")]
    assert (len(nexts) == 1 and nexts[0].endswith(f"--seeds 10 --labels 50 --set gan.weight={best}")
            and "--set 'model.widths=[32,16]'" in nexts[0])


def test_the_store_holds_the_runs_and_neither_compare_nor_latest_takes_them_for_results(ssgan, found):
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{Path.cwd()}/mlruns/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("ssgan").experiment_id],
                              f"tags.`ssgan.tune` LIKE '%{found['tune']}%'")
    kinds = {run.info.run_id: run.data.tags["ssgan.kind"] for run in runs}
    told = {run["run_id"]: run["validation_error"] for row in found["budgets"][0]["rows"] for run in row["runs"]}
    assert (kinds == {found["summary_run_id"]: "tune-summary"} | dict.fromkeys(told, "tune")
            and {run.info.status for run in runs} == {"FINISHED"})
    assert {run.info.run_id: run.data.metrics["val/error"] for run in runs if run.info.run_id in told} == told
    assert not [name for run in runs for name in run.data.metrics if name.startswith("test/")]
    refused = ssgan("compare")
    assert refused.exit_code == 2 and "5 finished runs, none of them an evaluated run" in refused.stderr
    refused = ssgan("sample", "latest")
    assert refused.exit_code == 2 and "there is none yet, but for: " in refused.stderr


@pytest.mark.parametrize("hidden", [unreadable, permuted])
def test_tune_and_train_read_no_test_image_and_no_test_label(ssgan, found, tmp_path, monkeypatch, hidden):
    data = hidden(small.digits())
    monkeypatch.setitem(named.SOURCES, "digits", lambda folder: (data.train, data.test))
    monkeypatch.chdir(tmp_path)
    tuned = ssgan(*TUNE, "--tracking-uri", "none", "--quiet", "--json")
    assert tuned.exit_code == 0 and errors(json.loads(tuned.stdout.splitlines()[-1])) == errors(found)
    settings = ["--dataset", "digits", "--labels", "20", *TINY, "--set", "split.validation=50", "--tracking-uri",
                "none", "--quiet", "--json"]
    trained = ssgan("train", *settings)
    assert trained.exit_code == 0, trained.output
    if hidden is unreadable:
        evaluated = ssgan("evaluate", *settings, "--set", "evaluate.supervised=false", "--set",
                          "evaluate.gan_off=false")
        assert (isinstance(evaluated.exception, AssertionError)
                and "the test images were asked for their" in str(evaluated.exception))


@pytest.mark.parametrize(("options", "words"), [
    ([], "no label budget is named"),
    (["--labels", "20"], "nothing to choose from: name a key"),
    (["--labels", "20", "--grid", "train.epoch=1,2"], "did you mean train.epochs"),
    (["--labels", "20", "--grid", "train.epochs"], "write it as key=value"),
    (["--labels", "20", "--grid", "split.validation=100,200"], "name their number with --validation"),
    (["--labels", "20", "--grid", "gan.weight=0,1", "--split-seeds", "3"],
     "split seed 0: tuning takes split seeds from 1000 on"),
    (["--labels", "20", "--grid", "gan.weight=0,1", "--split-seeds", "999-1001"],
     "split seed 999: tuning takes split seeds from 1000 on"),
    (["--labels", "20", "--grid", "gan.weight=0,1", "--validation", "9000"],
     "--validation 9000: beside 20 labels digits has room for"),
    (["--labels", "105", "--grid", "gan.weight=0,1"], "a balanced budget is a multiple of 10"),
    (["--labels", "20", "--grid", "gan.weight=0,1", "--workers", "0"], "--workers 0: write auto, or a number from 1 to "
                                                                       "64"),
    (["--labels", "20", "--grid", "gan.weight=0,1", "--set", "labels=50"], "budgets are named with --labels"),
    (["--labels", "20", "--grid", "gan.weight=0,1", "--set", "train.epoch=3"], "did you mean train.epochs"),
], ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_a_mistake_is_told_in_a_line_or_three_and_nothing_is_written(tmp_path, monkeypatch, options, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    done = CliRunner().invoke(main, ["tune", "--dataset", "digits", *options])
    assert done.exit_code == 2 and re.search(words, done.stderr), done.stderr
    assert len(done.stderr.splitlines()) <= 3 and not list(tmp_path.iterdir())


def test_split_seeds_are_those_of_tuning():
    assert _pairs("3", None) == ((0, 1000), (1, 1001), (2, 1002)) and _pairs("7-7", None) == ((7, 1007),)
    assert _pairs("2", "1005-1006") == ((0, 1005), (1, 1005), (0, 1006), (1, 1006))
