"""`ssgan export` from outside: files, JSON, mistakes, the registry, and MLflow's own server on what was exported."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import handed
import numpy as np
import pytest
from click.testing import CliRunner

from ssgan.cli import main
from ssgan.errors import Mistake
from ssgan.export.load import open_model
from ssgan.models import mlp
from ssgan.tracking.workfolder import WorkFolder


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """A folder of one's own with the small run in it, to type commands in."""
    shutil.copytree(handed.place(), tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "none")
    return tmp_path / "here"


def run(*words: object, code: int = 0):
    """What a command of ssgan prints, its exit code checked."""
    result = CliRunner().invoke(main, list(map(str, words)))
    assert result.exit_code == code, result.output
    return result


def mistake(*words: object) -> str:
    """The message of a command that ends with exit code 2; nothing may have been written."""
    before = sorted(Path.cwd().rglob("*"))
    result = run(*words, code=2)
    assert result.stderr.startswith("ssgan: ") and len(result.stderr.splitlines()) <= 3 and result.stdout == ""
    assert sorted(Path.cwd().rglob("*")) == before
    return result.stderr


def test_one_word_makes_an_onnx_file_that_is_checked(here):
    result = run("export", "latest")
    path = Path(f"digits-100-{handed.folder().fingerprint[:8]}.onnx")
    assert (result.stdout.startswith(f"{path}  0.0")
            and "every answer on 360 test images is that of the original, largest difference" in result.stdout)
    _, probabilities = open_model(path).answer(handed.images_of_test())
    assert (probabilities.argmax(1) == handed.evaluated()).all()


def test_several_formats_go_into_one_folder_and_are_told_as_json(here):
    found = json.loads(run("export", "latest", "--format", "onnx,pt2", "--format", "mlflow", "-o", "out",
                           "--json").stdout.splitlines()[-1])
    assert (found["run_id"], found["checked_on"], found["registered"]) == (
        handed.folder().fingerprint, "test images", None)
    assert [row["format"] for row in found["exports"]] == ["onnx", "pt2", "mlflow"]
    for row in found["exports"]:
        assert (row["images"] == row["equal"] == 360 and 0 < row["largest_difference_logits"] < 1e-4
                and row["bytes"] > 10_000)
        assert (open_model(Path(row["path"])).answer(handed.images_of_test())[1].argmax(1) == handed.evaluated()).all()
    assert sorted(os.listdir("out")) == ["classifier-mlflow", "classifier.onnx", "classifier.pt2"]


def test_what_is_there_is_kept_without_force(here):
    Path("mine.pt2").write_text("mine")
    assert "mine.pt2 exists already; type --force" in mistake("export", "latest", "--format", "pt2", "-o", "mine.pt2")
    assert Path("mine.pt2").read_text() == "mine"
    Path("out").mkdir()
    Path("out/classifier.pt2").write_text("mine")
    assert "out/classifier.pt2 exists already" in mistake("export", "latest", "--format", "onnx,pt2", "-o", "out")
    run("export", "latest", "--format", "pt2", "-o", "mine.pt2", "--force")
    assert open_model(Path("mine.pt2")).card.dataset == "digits"


@pytest.mark.parametrize(("words", "said"), [
    (("latest", "--format", "onxn"), "no format is called 'onxn'. did you mean onnx?"),
    (("latest", "-o", "x.pt2"), "--format onnx makes a file that ends in .onnx"),
    (("latest", "-o", "nowhere/x.onnx"), "there is no folder nowhere"),
    (("latest", "--format", "onnx,pt2", "-o", "nowhere/x"), "cannot write nowhere/x"),
    (("latest", "--format", "pt2", "-o", "/proc/x.pt2"), "/proc"),
    (("latest", "--register", "digits"), "--tracking-uri none is no store to register in"),
    (("latest", "--register", "digits", "--format", "pt2"), "add --format mlflow"),
    (("0123456789",), "no run is called '0123456789'")])
def test_a_wrong_word_is_a_mistake(words, said, here):
    assert said in mistake("export", *words)


def test_a_run_without_a_classifier_is_a_mistake(here):
    folder, = WorkFolder.all(here)
    (folder.path / "train" / "model.pt").unlink()
    folder.update(status="KILLED")
    assert "has no trained classifier (its state: KILLED)" in mistake("export", "latest")


def test_a_damaged_run_is_a_mistake(here):
    folder, = WorkFolder.all(here)
    content = bytearray((folder.path / "train" / "model.pt").read_bytes())
    content[len(content) // 2] ^= 255
    (folder.path / "train" / "model.pt").write_bytes(content)
    assert "model.pt cannot be read as a checkpoint" in mistake("export", "latest")


def test_a_classifier_that_couples_a_batch_is_a_mistake(here, monkeypatch):
    monkeypatch.setattr(mlp.Discriminator, "couples_batch", True)
    assert "couples the images of a batch" in mistake("export", "latest", "--format", "pt2")


@pytest.mark.parametrize("case", ["no data", "other data"])
def test_without_its_data_the_check_is_on_random_images_and_says_so(case, here, monkeypatch):
    def load(name, folder, reading):
        raise Mistake("there is no network.\nmore")

    if case == "no data":
        monkeypatch.setattr("ssgan.data.named.load", load)
    else:
        folder, = WorkFolder.all(here)
        folder.update(settings=folder.facts["settings"] | {"data": "0" * 64})
    result = run("export", "latest", "--format", "pt2", "-o", "x.pt2")
    why = {"no data": "its data set is not here: there is no network.",
           "other data": "the digits here is not the data of the run"}[case]
    assert result.stderr == f"ssgan: checked on random images instead of the run's test images; {why}\n"
    assert "every answer on 1,000 random images" in result.stdout


@pytest.mark.slow
def test_a_classifier_is_registered_and_comes_back_from_the_registry(here, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{here}/mlruns/mlflow.db")
    assert "the run is not in sqlite" in run("export", "latest", "--register", "digits", code=2).stderr
    run("deliver")
    found = json.loads(run("export", "latest", "--register", "digits", "-o", "first", "--json").stdout.splitlines()[-1])
    assert found["registered"] == {"name": "digits", "version": "1"}
    assert "registered as digits, version 2: models:/digits/2" in run(
        "export", "latest", "--register", "digits", "-o", "second").stdout
    from mlflow import MlflowClient

    client = MlflowClient(os.environ["MLFLOW_TRACKING_URI"])
    version = client.get_model_version("digits", "1")
    assert version.run_id == found["run_id"] and version.tags["ssgan.labels"] == "100"
    assert client.get_run(found["run_id"]).info.status == "FINISHED"
    np.save("images.npy", handed.images_of_test())
    handed.without_ssgan("""
import mlflow, numpy
mlflow.set_tracking_uri(sys.argv[1])
numpy.save(sys.argv[3], mlflow.pyfunc.load_model("models:/digits/1").predict(numpy.load(sys.argv[2])))
""", os.environ["MLFLOW_TRACKING_URI"], here / "images.npy", here / "answers.npy")
    assert (np.load("answers.npy")[:, 1].argmax(1) == handed.evaluated()).all()
    assert "has no / and no :" in run("export", "latest", "--register", "a/b", "-o", "third", code=2).stderr
    assert not (here / "third").exists(), "refused before anything is written"
    assert "registered as O'Neil x, version 1" in run(
        "export", "latest", "--register", "O'Neil x", "-o", "fourth").stdout
    client.delete_run(found["run_id"])
    said = run("export", "latest", "--register", "digits", "-o", "fifth", code=2).stderr
    assert "the run was deleted in MLflow" in said and not (here / "fifth").exists()
    environment = os.environ | {"PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))}
    subprocess.run(said.splitlines()[-1], shell=True, check=True, env=environment, capture_output=True)
    run("export", "latest", "--register", "digits", "-o", "fifth")
    store = Path(os.environ["MLFLOW_TRACKING_URI"].removeprefix("sqlite:///"))
    store.rename(here / "moved.db")
    assert "registered as digits, version 4" in run("export", "latest", "--register", "digits", "-o", "sixth",
                                                    "--tracking-uri", f"sqlite:///{here}/moved.db").stdout


@pytest.mark.slow
def test_mlflows_own_server_serves_the_exported_model(here):
    run("export", "latest", "--format", "mlflow", "-o", "model")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
                                "MLFLOW_DISABLE_TELEMETRY": "true"}
    server = subprocess.Popen(["mlflow", "models", "serve", "-m", "model", "--env-manager", "local", "--host",
                               "127.0.0.1", "--port", str(port)],
                              env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              start_new_session=True)
    try:
        wait_for(f"http://127.0.0.1:{port}/ping", server)
        images = handed.images_of_test()[:50]
        answers = np.array(post(f"http://127.0.0.1:{port}/invocations", {"inputs": images.tolist()})["predictions"])
        assert (answers[:, 1].argmax(1) == handed.evaluated()[:50]).all()
        np.testing.assert_allclose(answers[:, 1].sum(1), 1, atol=1e-5)
        example = json.loads(Path("model/serving_input_example.json").read_text())
        assert np.array(post(f"http://127.0.0.1:{port}/invocations", example)["predictions"]).shape == (2, 2, 10)
        with pytest.raises(urllib.error.HTTPError, match="400"):
            post(f"http://127.0.0.1:{port}/invocations", {"inputs": [[[[1, 2], [3, 4]]]]})
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=30)


def wait_for(url: str, server: subprocess.Popen) -> None:
    for _ in range(120):
        assert server.poll() is None, "the server ended"
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.5)
    pytest.fail("the server does not answer")


def post(url: str, content: dict) -> dict:
    request = urllib.request.Request(url, json.dumps(content).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)
