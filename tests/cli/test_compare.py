"""`ssgan compare`, and `ssgan ui --compare`, on stores whose runs nobody trained."""

import http.server
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from curves import curve

from ssgan.cli import main, ui
from ssgan.tracking import Store, ui_command
from ssgan.tracking import store as store_module


def ssgan(*arguments) -> SimpleNamespace:
    done = CliRunner().invoke(main, arguments)
    if done.exit_code == 2:
        assert 1 <= len(done.stderr.splitlines()) <= 3, done.stderr
    return done


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A folder whose store has the runs of a curve, as any MLflow client may log them, and an experiment without
    any.
    """
    folder = tmp_path_factory.mktemp("filled")
    store = Store(f"sqlite:///{folder}/mlruns/mlflow.db")
    client = store.client()
    from mlflow.entities import Metric, Param

    for run in curve():
        made = client.create_run(store.experiment_id, run_name=run.name, tags={"ssgan.sweep": "0123456789abcdef"})
        params = {"dataset": "digits", "labels": run.labels, "seed": run.seed, "split_seed": run.split_seed,
                  "recipe": "digits"}
        metrics = {"test/error": run.error, "test/wrong": 360 * run.error, "test/supervised_only_error": 3 * run.error,
                   "stage/train/seconds": 9.0}
        client.log_batch(made.info.run_id, params=[Param(key, str(value)) for key, value in params.items()],
                         metrics=[Metric(key, value, 1_700_000_000_000, 0) for key, value in metrics.items()])
        client.set_terminated(made.info.run_id)
    client.set_terminated(client.create_run(store.experiment_id, run_name="something else").info.run_id)
    client.create_experiment("bare")
    (folder / "other.txt").write_text("no database")
    return folder


@pytest.fixture
def inside(filled, monkeypatch):
    monkeypatch.chdir(filled)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    return filled


def test_the_report_of_a_store_answers_on_the_terminal_and_in_files(inside):
    done = ssgan("compare", "--html", "a.html", "--png", "a.png", "--markdown", "a.md", "--target", "1.5")
    assert done.exit_code == 0, done.output
    assert ("| supervised only |" in done.stdout and "to reach 1.5 % you need about" in done.stdout
            and done.stdout.count("written: ") == 3)
    assert ((inside / "a.png").read_bytes().startswith(b"\x89PNG")
            and "What would 100 more buy?" in (inside / "a.html").read_text())
    assert (inside / "a.md").read_text() in done.stdout


def test_json_has_the_same_numbers(inside):
    found = json.loads(ssgan("compare", "--dataset", "digits", "--json").stdout.splitlines()[-1])
    series, = found["series"]
    assert [row["errors"] for row in series["table"]] == [
        [pytest.approx(run.error) for run in curve() if run.labels == labels] for labels in (20, 50, 100, 200)]
    assert series["forecast"]["doubling"][-1]["labels"] == 200 and found["report"] == {}


@pytest.mark.parametrize(("arguments", "words"), [
    (["--experiment", "bare"], "nothing to compare: experiment 'bare' in .* has no finished run"),
    (["--dataset", "mnist"], "has 13 finished runs, none of them an evaluated run of a label budget on mnist"),
    (["--experiment", "ssgna"], "did you mean ssgan"),
    (["--tracking-uri", "http://127.0.0.1:9"], "cannot be read: http://127.0.0.1:9 does not answer"),
    (["--tracking-uri", "sqlite:///nowhere/mlflow.db"], "there is no store at .*nowhere/mlflow.db"),
    (["--tracking-uri", "none"], "there is no store to compare runs of"),
    (["--tracking-uri", "."], "MLflow no longer keeps runs in plain files"),
    (["--tracking-uri", "sqlite:///other.txt"], "other.txt is no MLflow store: file is not a database"),
    (["--html", "missing/a.html"], "name a .html file in a folder that exists"),
    (["--png", "a.jpg"], "name a .png file"),
    (["--target", "x"], "--target x: write a test error in %")],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_mistakes(inside, arguments, words):
    before = {path.name for path in inside.rglob("*")}
    done = ssgan("compare", *arguments)
    assert done.exit_code == 2 and re.search(words, done.stderr), done.stderr
    assert {path.name for path in inside.rglob("*")} == before


@pytest.mark.parametrize("command", [["compare"], ["ui", "--compare"]], ids=" ".join)
def test_a_server_that_takes_calls_and_never_answers_is_not_waited_for(inside, monkeypatch, command):
    monkeypatch.setattr(store_module, "ANSWER_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        done = ssgan(*command, "--tracking-uri", address)
    assert done.exit_code == 2 and f"{address} does not answer" in done.stderr and time.monotonic() - began < 5


def test_an_address_where_something_else_answers_is_told(inside):
    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_error(404)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        done = ssgan("compare", "--tracking-uri", f"http://127.0.0.1:{other.server_port}")
        other.shutdown()
    assert done.exit_code == 2 and "answers, but not as an MLflow server does" in done.stderr


def test_no_experiment_is_made_by_looking(inside):
    ssgan("compare", "--experiment", "misspelt")
    assert Store(f"sqlite:///{inside}/mlruns/mlflow.db").client().get_experiment_by_name("misspelt") is None


def test_the_ui_opens_on_the_view_of_the_latest_sweep(inside, monkeypatch):
    started = []
    monkeypatch.setattr(ui.os, "execve", lambda program, arguments, environment: started.append(arguments))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"--port {port} is in use" in ssgan("ui", "--compare", "--port", str(port)).stderr
    refused = ssgan("ui", "--compare", "--port", str(port))
    assert refused.exit_code == 2 and "has no sweep to show" in refused.stderr and not started
    store = Store(f"sqlite:///{inside}/mlruns/mlflow.db")
    client = store.client()
    summary = client.create_run(store.experiment_id, run_name="digits · sweep",
                                tags={"ssgan.kind": "summary", "ssgan.sweep": "0123456789abcdef"})
    try:
        done = ssgan("ui", "--compare", "--port", str(port))
        assert done.exit_code == 0, done.output
        saved, curve_, scores, table, plain = [line.split()[-1] for line in done.stdout.splitlines()[1:6]]
        assert (saved.startswith(f"http://127.0.0.1:{port}/#/experiments/{store.experiment_id}/runs?")
                and saved.endswith("viewStateShareKey=ssgan-0123456789abcdef"))
        assert (curve_, scores) == (f"{saved}-curve", f"{saved}-scores")
        assert table == saved.replace("compareRunsMode=CHART&", "")
        assert ("searchFilter=" in plain
                and "mlflow.sharedViewState.ssgan-0123456789abcdef" in client.get_experiment(store.experiment_id).tags)
        assert started and started[0][started[0].index("--port") + 1] == str(port)
    finally:
        client.delete_run(summary.info.run_id)


def test_a_misspelt_experiment_has_no_view_and_is_not_made(inside):
    done = ssgan("ui", "--compare", "--experiment", "ssgna")
    assert done.exit_code == 2 and "did you mean ssgan" in done.stderr


@pytest.mark.slow
def test_a_server_is_read_like_a_file_and_shows_the_view_itself(inside):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command, environment = ui_command(f"sqlite:///{inside}/mlruns/mlflow.db", port)
    server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              start_new_session=True)
    try:
        until = time.monotonic() + 60
        while ssgan("compare", "--tracking-uri", f"http://127.0.0.1:{port}", "--json").exit_code == 2:
            assert time.monotonic() < until
            time.sleep(0.3)
        over_http = json.loads(
            ssgan("compare", "--tracking-uri", f"http://127.0.0.1:{port}", "--json").stdout.splitlines()[-1])
        assert over_http == json.loads(ssgan("compare", "--json").stdout.splitlines()[-1])
        refused = ssgan("ui", "--compare", "--tracking-uri", f"http://127.0.0.1:{port}")
        assert refused.exit_code == 2 and "has no sweep to show" in refused.stderr
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(20)
