"""The command line of `ssgan run` and its stages, from outside."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from ssgan.cli import main

TINY = ["--set", "train.epochs=2", "--set", "score.samples=60", "--set", "score.splits=3", "--set",
        "evaluate.classical=false", "--set", "model.widths=[32,16]", "--set", "model.generator_widths=[16]", "--set",
        "pictures.steps=3", "--set", "score.train_images=20"]


def ssgan(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
    """The command in a process of its own."""
    environment = os.environ | {"XDG_CACHE_HOME": str(folder / "cache"), "OMP_NUM_THREADS": "1"} | variables
    environment.pop("MLFLOW_TRACKING_URI", None)
    return subprocess.run([sys.executable, "-W", "ignore", "-m", "ssgan", *arguments], cwd=folder, env=environment,
                          capture_output=True, text=True)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run in a folder of its own: (folder, what --json printed)."""
    folder = tmp_path_factory.mktemp("finished")
    done = ssgan(folder, "run", "--dataset", "digits", "--labels", "100", *TINY, "--json")
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout.splitlines()[-1])


def test_a_run_gives_one_json_object_with_everything(finished):
    folder, found = finished
    assert (found["status"] == "FINISHED"
            and (found["dataset"], found["labels"], found["seed"], found["split_seed"]) == ("digits", 100, 0, 0))
    assert found["test_total"] == 360 and found["test_error"] == found["test_wrong"] / 360
    assert found["test_error_interval"][0] < found["test_error"] < found["test_error_interval"][1]
    assert found["error_from"] == "test" and not found["uneven_classes"] and not found["not_estimated"]
    assert found["balanced_error"] == pytest.approx(1 - sum(
        scores["recall"] for scores in found["per_class"].values()) / 10)
    assert sum(scores["n"] for scores in found["per_class"].values()) == 360 and list(found["per_class"]["3"]) == [
        "recall", "precision", "f1", "n"]
    assert found["inception_score"] >= 1 and found["inception_score_real"] > 1 and found["samples_per_split"] == 20
    assert "1,437 training labels" in found["score_network"] and "supervised only" in found["baselines"]
    assert set(found["seconds"]) == {"split", "train", "evaluate", "score"}
    for name in ("split/split.npz", "train/model.pt", "evaluate/test.npz", "evaluate/confusion.png",
                 "score/score.json", "score/classes.png"):
        assert (Path(found["folder"]) / name).exists()
    assert found["fid"] == found["frechet_distance"] > found["fid_real"] > 0 and found["test_images"] == 360
    assert list(found["generators"]) == ["pictures", "generator"]
    headline = found["generators"]["pictures"]
    assert headline["inception_score"] == found["inception_score"] and len(headline["generated_only_errors"]) == 3
    assert found["generators"]["generator"]["class_agreement"] is None
    assert (Path(found["folder"]) / "score/by_class.png").exists()
    assert not list(Path(found["folder"]).glob("checkpoint*"))


def test_the_store_holds_the_run(finished):
    folder, found = finished
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder}/mlruns/mlflow.db")
    run = client.get_run(found["run_id"])
    assert (run.info.status == "FINISHED" and run.data.params["labels"] == "100"
            and run.data.params["train.epochs"] == "2.0")
    assert run.data.metrics["test/error"] == pytest.approx(found["test_error"])
    assert run.data.metrics["test/balanced_error"] == pytest.approx(found["balanced_error"])
    assert run.data.metrics["test/recall/3"] == pytest.approx(found["per_class"]["3"]["recall"])
    assert run.data.metrics["score/inception_score"] == pytest.approx(found["inception_score"])
    assert {"stage/train/seconds", "train/labelled_loss"} <= set(run.data.metrics)
    assert {item.path for item in client.list_artifacts(found["run_id"])} >= {
        "split", "train", "evaluate", "score", "run.json"}


def test_the_same_command_again_prints_the_result_and_trains_nothing(finished):
    folder, found = finished
    model = Path(found["folder"]) / "train" / "model.pt"
    before = model.stat().st_mtime_ns
    again = ssgan(folder, "run", "--dataset", "digits", "--labels", "100", *TINY, "--json")
    assert json.loads(again.stdout.splitlines()[-1]) == found and model.stat().st_mtime_ns == before


@pytest.mark.slow
def test_a_finished_run_can_be_sampled_and_evaluated_and_scored_again(finished):
    folder, found = finished
    short = found["run_id"][:8]
    picture = ssgan(folder, "sample", short, "-n", "20", "-o", "some.png", "--json")
    assert picture.returncode == 0, picture.stderr
    assert (folder / "some.png").read_bytes().startswith(b"\x89PNG")
    for stage, options in (("score", ["--set", "score.samples=90"]),):
        again = ssgan(folder, stage, "latest", *options, "--json")
        assert again.returncode == 0, again.stderr
        told = json.loads(again.stdout.splitlines()[-1])
        assert told["test_error"] == found["test_error"]
    assert told["samples_per_split"] == 30
    refused = ssgan(folder, "score", short, "--set", "score.splits=100")
    assert refused.returncode == 2 and f"ssgan score {short} --set score.splits=1" in refused.stderr
    refused = ssgan(folder, "score", short, "--set", "train.epochs=3")
    assert refused.returncode == 2 and "only keys of score.* can change now" in refused.stderr
    refused = ssgan(folder, "evaluate", short, "--set", "train.epochs=3")
    assert refused.returncode == 2 and "train.epochs" in refused.stderr
    refused = ssgan(folder, "run", "--resume", short, "--seed", "5")
    assert refused.returncode == 2 and "seed: 0 there, 5 asked" in refused.stderr


@pytest.mark.slow
def test_a_run_whose_generator_is_told_classes_says_what_can_be_learnt_from_its_images(tmp_path):
    done = ssgan(tmp_path, "run", "--dataset", "digits", "--labels", "100", *TINY, "--set", "conditional.weight=1", "--set", "pictures.steps=0",
                 "--set", "evaluate.supervised=false", "--set", "evaluate.gan_off=false", "--set",
                 "score.train_images=300", "--set", "score.train_epochs=2", "--tracking-uri", "none")
    assert done.returncode == 0, done.stderr
    lines = [line.strip() for line in done.stdout.splitlines()]
    distance, learnt = (next(line for line in lines if line.startswith(start))
                        for start in ("Fréchet distance", "generated only"))
    assert "of 60 to 360 test images" in distance
    assert "300 of these images alone" in learnt and "in 3); on real ones" in learnt
    again = ssgan(tmp_path, "score", "latest", "--tracking-uri", "none", "--json")
    found = json.loads(again.stdout.splitlines()[-1])
    assert len(found["generated_only_errors"]) == 3 and 0 < found["generated_only_error_real"] < 1
    assert found["generators"]["generator"]["class_agreement"] == found["class_agreement"] is not None
    assert (Path(found["folder"]) / "score" / "by_class.png").read_bytes().startswith(b"\x89PNG")


LONG = ["--dataset", "digits", "--labels", "20", "--set", "train.epochs=200", "--set", "model.widths=[32,16]", "--set",
        "model.generator_widths=[16]", "--set", "evaluate.supervised=false", "--set", "evaluate.gan_off=false", "--set",
        "evaluate.classical=false", "--set", "pictures.steps=0", "--tracking-uri", "none"]


def start(folder: Path) -> subprocess.Popen:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(folder / "cache")}
    process = subprocess.Popen([sys.executable, "-m", "ssgan", "train", *LONG], cwd=folder, env=environment,
                               stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while not list(folder.glob("mlruns/work/*/measurements.jsonl")) and time.monotonic() < until:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.1)
    return process


@pytest.mark.slow
def test_a_second_copy_is_refused_and_ctrl_c_saves_a_checkpoint(tmp_path):
    process = start(tmp_path)
    second = ssgan(tmp_path, "train", *LONG)
    assert second.returncode == 2 and "in use" in second.stderr and "Traceback" not in second.stderr
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130 and "The same command goes on" in told
    folder, = tmp_path.glob("mlruns/work/*")
    assert (folder / "checkpoint.pt").exists() and json.loads((folder / "run.json").read_text())["status"] == "KILLED"


@pytest.mark.parametrize(("arguments", "told"), [
    (["--dataset", "digit"], "did you mean digits?"),
    ([], "digits is bundled"),
    (["--dataset", "kmnst"], "did you mean kmnist?"),
    (["--dataset", "kmnist"], "--dataset kmnist --recipe mnist"),
    (["--recipe", "mnst"], "did you mean mnist?"),
    (["--recipe", "missing.toml"], "cannot be read"),
    (["--dataset", "digits", "--labels", "105"], "--labels 100 or --labels 110"),
    (["--dataset", "digits", "--labels", "0"], "--labels 0"),
    (["--dataset", "digits", "--labels", "-10"], "--labels -10"),
    (["--dataset", "digits", "--labels", "5000"], "5000"),
    (["--dataset", "digits", "--set", "score.splits=361"], "score.splits=3"),
    (["--dataset", "digits", "--set", "score.train_images=9"], "score.train_images=0"),
    (["--dataset", "digits", "--set", "train.epoch=3"], "did you mean train.epochs?"),
    (["--dataset", "digits", "--set", "train.epochs=many"], "train.epochs"),
    (["--dataset", "digits", "--set", "train.epochs=1e99"], "train.epochs"),
    (["--dataset", "digits", "--device", "cuda:77"], "--device cuda:77"),
    (["--dataset", "digits", "--device", "tpu"], "--device tpu"),
    (["--dataset", "digits", "--tracking-uri", "file:///x"], "--tracking-uri"),
    (["--dataset", "digits", "--tracking-uri", "sqlite:////etc/hostname/mlflow.db"], "/etc/hostname"),
    (["--dataset", "digits", "--tracking-uri", "sqlite:////proc/nope/x.db"], "nothing can be made in /proc"),
    (["--dataset", "digits", "--set", "gan.weight=1", "--set", "feature_matching.weight=0"], "no loss"),
    (["--dataset", "digits", "--set", "feature_matching.layers=[7]"], "Name layers from 1 to 3"),
    (["--dataset", "digits", "--set", "gradient_penalty.weight=1", "--set", "model.minibatch_kernels=5"],
     "cannot be combined"),
    (["--resume", "abcdef01"], "ssgan run"),
])
def test_bad_input_is_one_mistake_and_leaves_nothing(tmp_path, monkeypatch, arguments, told):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr("ssgan.training.loop.run_to_end", lambda *_, **__: pytest.fail(
        "bad input came as far as training"))
    done = CliRunner().invoke(main, ["run", *arguments])
    message = done.stderr.strip()
    assert done.exit_code == 2, message
    assert (told in message and message.startswith("ssgan: ") and len(message.splitlines()) <= 3
            and "Traceback" not in message)
    assert not list(tmp_path.glob("mlruns/work/*"))


@pytest.mark.parametrize("command", [
    ["run", "--dataset", "digits", "--set", "gan.pull_away=0.1", "--set", "pull_away.weight=0.2"],
    ["sweep", "--dataset", "digits", "--labels", "20,50", "--grid", "gan.pull_away=0,0.1"],
    ["tune", "--dataset", "digits", "--labels", "20", "--set", "gan.pull_away=0.3", "--grid", "gan.pull_away=0,0.1"]])
def test_an_old_name_is_told_once(tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, [*command, "--tracking-uri", "none", "--device", "cuda:77"])
    assert "ssgan: gan.pull_away is now called pull_away.weight\n" in done.stderr
    assert done.stderr.count("is now called") == 1
    assert done.exit_code == 2 and "cuda:77" in done.stderr


def test_both_names_of_a_key_in_a_recipe_are_a_mistake(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text("gan.pull_away = 0.1\npull_away.weight = 0.1\n")
    done = CliRunner().invoke(main, ["run", "--recipe", "mine.toml"])
    assert done.exit_code == 2
    assert "gan.pull_away is the old name of pull_away.weight, and both are there" in done.stderr


@pytest.mark.slow
def test_a_misspelt_recipe_file_and_a_foreign_store_are_mistakes(tmp_path):
    (tmp_path / "mine.toml").write_text('dataset = "digits"\n[train]\nepoch = 3\n')
    done = ssgan(tmp_path, "run", "--recipe", "mine.toml")
    assert done.returncode == 2 and "train.epochs" in done.stderr
    (tmp_path / "other.db").write_text("no database")
    done = ssgan(tmp_path, "run", "--dataset", "digits", "--tracking-uri", f"sqlite:///{tmp_path}/other.db")
    assert done.returncode == 2 and "other.db" in done.stderr
    assert not list(tmp_path.glob("mlruns/work/*"))


def test_help_is_quick_and_light():
    probe = ("import sys, ssgan.cli; print([name for name in ('torch', 'mlflow', 'sklearn', 'matplotlib') if name in "
             "sys.modules])")
    assert subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True).stdout.strip() == "[]"
    times = []
    for _ in range(3):
        began = os.times()
        done = subprocess.run([sys.executable, "-m", "ssgan", "--help"], capture_output=True, text=True)
        ended = os.times()  # the processor's time: other tests run beside this one
        times.append(ended.children_user + ended.children_system - began.children_user - began.children_system)
        assert done.returncode == 0 and "run" in done.stdout
    assert 0 < min(times) < 0.4
