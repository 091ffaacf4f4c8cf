"""Real MLflow servers on 127.0.0.1: one that is killed in mid-run, and the UI's."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from ssgan.errors import Mistake
from ssgan.tracking import Delivery, Store, deliver, delivered, run_id, ui_command
from ssgan.tracking.receipt import Record


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.fixture
def serve(tmp_path, port):
    """Starts a server in a session of its own, waits until it answers, and ends what is left in the end."""
    processes = []

    def _serve(arguments, environment):
        log = (tmp_path / "server.log").open("ab")
        processes.append(
            subprocess.Popen(arguments, env=environment, cwd=tmp_path, stdout=log, stderr=log, start_new_session=True))
        log.close()
        until = time.monotonic() + 90
        while time.monotonic() < until:
            try:
                assert get(port, "/health") == b"OK"
                return processes[-1]
            except OSError:
                time.sleep(0.1)
        raise AssertionError((tmp_path / "server.log").read_text())

    yield _serve
    for process in processes:
        end(process)


def end(process):
    try:
        os.killpg(process.pid, 9)  # the server and its worker
    except ProcessLookupError:
        pass
    process.wait()


def get(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return answer.read()


@pytest.mark.slow
def test_a_server_killed_in_mid_run_costs_nothing(template, tmp_path, make, content, serve, port):
    shutil.copy(template, tmp_path / "mlflow.db")
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{tmp_path}/mlflow.db"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1", "--artifacts-destination",
                str(tmp_path / "served")]
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    server = serve(command, environment)
    store = Store(f"http://127.0.0.1:{port}", experiment="over-http")
    folder = make("served", lines=100)
    delivery = Delivery([folder], store, every_seconds=0.2)
    delivery.start()
    until = time.monotonic() + 30
    while not delivered(folder, store):
        assert time.monotonic() < until, delivery.reason
        time.sleep(0.05)

    end(server)
    began = time.monotonic()
    for step in range(100, 200):
        folder.measure(step * 100, {"train/loss": 1 / (step + 1), "train/rate": float("nan")}, at=1_700_000_001 + step)
    folder.update(status="FINISHED")
    assert time.monotonic() - began < 1
    [(waiting, reason)] = delivery.finish(timeout_seconds=20)
    assert time.monotonic() - began < 15
    assert waiting is folder and reason == f"{store.name} does not answer"
    assert Record(folder, store).sent["lines"] == 100

    serve(command, environment)
    assert Delivery([folder], store).finish() == []
    run = content(store, run_id(folder, store))
    assert run.status == "FINISHED" and run.files["run.json"] == folder.run_file.read_bytes()
    assert run.files["train/samples.png"] == b"picture"
    assert [(step, value) for step, _, value in run.metrics["train/loss"]] == [
        (step * 100, 1 / (step + 1)) for step in range(200)]
    assert len(run.metrics["train/rate"]) == 200


@pytest.mark.slow
def test_the_ui_starts_and_shows_a_run_with_its_files(template, tmp_path, make, serve, port):
    shutil.copy(template, tmp_path / "mlflow.db")
    store = Store(f"sqlite:///{tmp_path}/mlflow.db", experiment="shown")
    run = deliver(make("shown"), store)
    serve(*ui_command(store.uri, port))
    assert b"<html" in get(port, "/")
    assert b"digits-100 shown" in get(port, f"/api/2.0/mlflow/runs/get?run_id={run}")
    assert get(port, f"/get-artifact?path=train%2Fsamples.png&run_uuid={run}") == b"picture"


def test_there_is_a_ui_only_for_a_store_of_ones_own(tmp_path):
    with pytest.raises(Mistake, match="is an MLflow server already"):
        ui_command("http://me:secret@host:5000")
    with pytest.raises(Mistake, match="no store at .*mlflow.db yet"):
        ui_command(f"sqlite:///{tmp_path}/mlflow.db")
    with pytest.raises(Mistake, match="none: there is no store"):
        ui_command(None)
