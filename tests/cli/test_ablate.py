"""The command line of `ssgan ablate`."""

import json
import re
import socket
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.in_process import commands_in
from cli.test_run import TINY
from ssgan.cli import main, ui
from ssgan.errors import Failed
from ssgan.experiments import units
from ssgan.experiments.report.ablation_evidence import KEYS
from ssgan.tracking import find_run

ABLATE = ["ablate", "digits", "--off", "gan", "--only", "consistency", "--seeds", "2", "--labels", "50", *TINY, "--set",
          "train.epochs=1", "--set", "pictures.steps=0", "--set", "score.train_images=0", "--workers", "1"]


@pytest.fixture(scope="module")
def ssgan(tmp_path_factory):
    """The command in this process, in a folder and with a cache of its own; the runs' pictures are not drawn."""
    with commands_in(tmp_path_factory.mktemp("ablated"), light=True) as command:
        yield command


@pytest.fixture(scope="module")
def found(ssgan):
    """What --json printed of a finished ablation."""
    done = ssgan(*ABLATE, "--json")
    assert done.exit_code == 0, done.output
    assert "ablate: 8 of 8 runs; consistency alone, 50 labels, seed 1: " in done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_json_has_the_rows_with_what_was_switched_and_what_it_changed(found):
    assert [row["name"] for row in found["rows"]] == ["as it is", "without gan", "labelled loss alone",
                                                      "consistency alone"]
    assert [row["off"] for row in found["rows"]] == [[], ["gan"], [], []]
    assert [row["only"] for row in found["rows"]] == [[], [], [], ["consistency"]]
    for row in found["rows"]:
        assert (len(row["error"]["each"]) == 2 and row["error"]["std"] is not None and row["ms_a_step"]["mean"] > 0
                and len(row["runs"]) == 2)
        assert (row["difference"] is None) == (row["against"] is None)
    gan, without = found["rows"][:2]
    assert gan["inception_score"]["n"] == 2 and gan["generators"]["generator"]["fid"] > 0
    assert without["inception_score"]["mean"] is None and without["generators"] == {}
    assert found["real"]["inception_score"] > 1 and found["lost"] == 0
    assert {name: Path(path).name for name, path in found["report"].items()} == {
        "markdown": "ablation.md", "png": "ablation.png", "toml": "ablation.toml"}
    assert all(Path(path).stat().st_size > 300 for path in found["report"].values())


def test_again_it_prints_the_same_and_as_text_the_table(ssgan, found):
    assert json.loads(ssgan(*ABLATE, "--json").stdout.splitlines()[-1]) == found
    shown = ssgan(*ABLATE)
    assert shown.exit_code == 0 and shown.stdout.count("\n| ") == 5
    assert "real images have Inception Score" in shown.stdout
    assert f"{100 * found['rows'][1]['error']['mean']:.2f} ± " in shown.stdout and "ssgan ui --compare" in shown.stdout


def test_what_to_type_for_the_same_again_has_all_that_changes_the_data():
    from ssgan.cli.ablate import _command

    assert _command("digits", "gan", None, "2", 50, "folder:my own", 8, ["train.epochs=1"]) == (
        "ssgan ablate digits --off gan --seeds 2 --labels 50 --dataset 'folder:my own' --image-size 8 --set "
        "train.epochs=1")


def test_the_evidence_is_ready_for_a_recipes_file(found):
    rows = tomllib.loads(Path(found["report"]["toml"]).read_text())["evidence"]["ablation"]
    assert [row["what"] for row in rows] == ["without gan", "labelled loss alone", "consistency alone"]
    for row, told in zip(rows, found["rows"][1:]):
        assert set(row) <= set(KEYS) and row["split_seeds"] == [0, 1] and row["labels"] == 50
        assert sum(row["error"]) / 2 == pytest.approx(100 * told["difference"]["mean"], abs=0.01)
        assert row["command"].startswith("ssgan ablate digits --off gan --only consistency --seeds 2 --labels 50 --set")


def test_the_store_holds_the_runs_named_by_row_a_summary_and_the_view(found):
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{Path.cwd()}/mlruns/mlflow.db")
    experiment = client.get_experiment_by_name("ssgan")
    runs = client.search_runs([experiment.experiment_id], f"tags.`ssgan.ablate` LIKE '%{found['ablation']}%'")
    summary, = [run for run in runs if run.data.tags.get("ssgan.kind") == "ablation-summary"]
    assert summary.info.run_id == found["summary_run_id"] and len(runs) == 9
    assert {item.path for item in client.list_artifacts(summary.info.run_id, "report")} == {
        "report/ablation.md", "report/ablation.png", "report/ablation.toml"}
    names = {run["run_id"]: row["name"] for row in found["rows"] for run in row["runs"]}
    for run in runs:
        if run is not summary:
            name = names[run.info.run_id]
            assert run.data.params["recipe"] == ("digits" if name == "as it is" else f"digits {name}")
    history = client.get_metric_history(summary.info.run_id, "ablation/error_mean")
    assert [value.value for value in history] == [pytest.approx(row["error"]["mean"]) for row in found["rows"]]
    assert f"mlflow.sharedViewState.ssgan-{found['ablation']}" in experiment.tags


def test_the_ui_opens_on_the_view_of_the_latest_ablation(ssgan, found, monkeypatch):
    started = []
    monkeypatch.setattr(ui.os, "execve", lambda program, arguments, environment: started.append(arguments))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    done = ssgan("ui", "--compare", "--port", str(port))
    assert done.exit_code == 0 and started, done.output
    name, rows, scores, table, plain, _ = done.stdout.splitlines()
    assert name == found["name"] and rows.split("  ")[1] == "row by row" and "viewStateShareKey=ssgan-" in table
    assert scores.split("  ")[1] == "error and score" and scores.endswith("-scores")
    assert rows.endswith(f"viewStateShareKey=ssgan-{found['ablation']}") and "ssgan.ablate" in plain


def test_latest_is_a_run_and_one_seed_has_no_interval(ssgan, found):
    latest = find_run("latest", Path("mlruns/work"), None)
    assert "ssgan.kind" not in latest.facts["tags"] and latest.facts["recipe_name"] == "digits consistency alone"
    refused = ssgan("sample", found["summary_run_id"], "-n", "4")
    assert refused.exit_code == 2 and len(refused.stderr.splitlines()) <= 3
    alone = ssgan(*ABLATE, "--seeds", "1")
    assert alone.exit_code == 0 and "with one seed: there is no interval" in alone.stdout


@pytest.mark.parametrize(("arguments", "words"), [
    (["digits", "--off", "vat"], "vat is not on in this recipe; put it on with --set vat.weight=VALUE"),
    (["digits", "--off", "vat"], "On, and to be switched off, are: gan, augment, consistency"),
    (["digits", "--off", "consistancy"], "did you mean consistency"),
    (["digits", "--off", "inception_score"], "--off inception_score: no technique is called"),
    (["digits", "--only", "labels"], "the loss of the labelled images is in every row"),
    (["digits", "--off", "labels", "--set", "gan.weight=0", "--set", "pictures.steps=0"], "no generator to score"),
    (["digits", "--off", "gan,,vat"], "write techniques with commas"),
    (["digits", "--off", "gan,gan"], "gan comes twice"),
    (["digit"], "did you mean digits"),
    (["digits", "--labels", "105"], "a balanced budget is a multiple of 10"),
    (["digits", "--labels", "0"], "a label budget is a positive number"),
    (["digits", "--seeds", "0"], "one seed alone is 7-7"),
    (["digits", "--set", "train.epoch=1"], "did you mean train.epochs"),
    (["digits", "--workers", "0"], "--workers 0: write auto"),
    (["digits", "--tracking-uri", "ftp://x"], "no store that ssgan can use"),
], ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_a_mistake_is_told_in_a_line_or_three_and_nothing_is_written(tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    done = CliRunner().invoke(main, ["ablate", *arguments])
    assert done.exit_code == 2 and re.search(words, done.stderr), done.stderr
    assert len(done.stderr.splitlines()) <= 3 and not list(tmp_path.iterdir())


def test_where_no_run_comes_through_what_there_is_is_shown_and_the_exit_code_is_1(ssgan, monkeypatch):
    def failing(*arguments, **options):
        raise Failed("labelled_loss was not finite at step 3")

    monkeypatch.setattr(units, "run_group", failing)
    command = [*ABLATE, "--set", "train.epochs=0.5", "--tracking-uri", "none"]
    done = ssgan(*command, "--json")
    told = json.loads(done.stdout.splitlines()[-1])
    assert done.exit_code == 1 and "none of the 8 runs came through" in done.stderr
    assert told["lost"] == 8 and [row["error"]["n"] for row in told["rows"]] == [0] * 4 and told["report"] == {}
    text = ssgan(*command)
    assert text.exit_code == 1 and "8 runs did not come through" in text.stdout and "picture" not in text.stdout
