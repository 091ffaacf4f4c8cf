"""A folder of a person's own images from outside: run, go on, sweep, tune, export and predict."""

import json
import os
import subprocess
import sys
from pathlib import Path

import handed
import pytest
from click.testing import CliRunner
from own_images import messy, pack, simple, write_classes

from ssgan.cli import main

TINY = ["--set", "train.least_steps=0", "--set", "train.epochs=2", "--set", "score.samples=60", "--set",
        "evaluate.classical=false", "--set", "model.widths=[8,8]", "--set", "model.generator_widths=[8]", "--set",
        "pictures.steps=0", "--set", "score.train_images=0", "--tracking-uri", "none"]


def ssgan(folder: Path, *arguments: str, code: int = 0) -> subprocess.CompletedProcess:
    """The command in a process of its own."""
    environment = os.environ | {"XDG_CACHE_HOME": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-W", "error", "-m", "ssgan", *arguments], cwd=folder, env=environment,
                          capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def found(done: subprocess.CompletedProcess) -> dict:
    """What --json printed."""
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run of a messy folder: (folder, the process, what --json printed)."""
    folder = tmp_path_factory.mktemp("own")
    messy(folder / "photos")
    done = ssgan(folder, "run", "--dataset", "folder:photos", "--skip-broken", *TINY, "--json")
    return folder, done, found(done)


def test_a_messy_folder_runs_from_end_to_end_and_all_of_it_is_told(finished):
    folder, done, result = finished
    assert result["status"] == "FINISHED" and result["labels"] == 36 and result["test_total"] == 12
    assert result["dataset"] == f"folder:{folder}/photos" and result["name"].startswith("photos · 36 labels")
    for told in ("3 classes: often 33, rare 1, some größe 3; 72 unlabelled; 12 test images",
                 "cannot be decoded: 3 images", "by their names they are no images", "in the training and in the test part", "score.splits = 10"):
        assert told in done.stderr
    assert done.stderr.count("cannot be decoded") == 1, "no other process tells it again"


def test_the_same_command_finds_the_finished_run_and_decodes_nothing(finished):
    folder, _, result = finished
    again = ssgan(folder, "run", "--dataset", f"folder:{folder}/photos", "--skip-broken", *TINY, "--json")
    assert found(again)["run_id"] == result["run_id"]


def test_broken_labelled_images_stop_a_run_before_anything_is_written(tmp_path):
    messy(tmp_path / "photos")
    done = ssgan(tmp_path, "run", "--dataset", "folder:photos", *TINY, code=2)
    assert "labelled/often/broken.png" in done.stderr and "--skip-broken" in done.stderr
    assert not (tmp_path / "mlruns").exists() and "Traceback" not in done.stderr


@pytest.mark.slow
def test_its_classifier_is_exported_and_predicts_from_the_same_files(finished):
    pytest.importorskip("onnxscript")
    folder, _, result = finished
    done = ssgan(folder, "export", result["run_id"], "--format", "onnx,pt2", "--tracking-uri", "none", "--json")
    exports = found(done)
    assert exports["checked_on"] == "test images"
    assert Path(exports["exports"][0]["path"]).name.startswith("photos-36-")
    answers = [found(ssgan(folder, "predict", model, "photos/test/often/200.png", "--json"))["predictions"]
               for model in (str(folder / exports["exports"][0]["path"]), result["run_id"])]
    assert answers[0][0]["label"] == answers[1][0]["label"]
    assert answers[0][0]["label"] in ("often", "rare", "some größe")


@pytest.mark.slow
def test_a_sweep_and_a_tuning_of_a_folder(tmp_path):
    write_classes(tmp_path / "photos" / "train", {"a": 14, "b": 14})
    write_classes(tmp_path / "photos" / "test", {"a": 6, "b": 6}, first=100)
    pack(tmp_path / "photos", tmp_path / "photos.zip")
    swept = found(ssgan(tmp_path, "sweep", "--dataset", "folder:photos.zip", "--labels", "4,8", "--seeds", "1",
                        "--workers", "2", "--set", "evaluate.supervised=false", "--set", "evaluate.gan_off=false",
                        *TINY, "--json"))
    assert [(member["labels"], member["test_total"]) for member in swept["members"]] == [(4, 12), (8, 12)]
    whole = found(ssgan(tmp_path, "sweep", "--dataset", "folder:photos", "--seeds", "1", "--set",
                        "evaluate.supervised=false", "--set", "evaluate.gan_off=false", *TINY, "--json"))
    assert [member["labels"] for member in whole["members"]] == [28], "all labels"
    tuned = found(ssgan(tmp_path, "tune", "--dataset", "folder:photos", "--labels", "8", "--seeds", "1", "--grid",
                        "gan.weight=0.1,1", "--image-size", "8", *TINY, "--json"))
    assert len(tuned["budgets"][0]["rows"]) == 2 and tuned["lost"] == 0
    refused = ssgan(tmp_path, "tune", "--dataset", "folder:photos", "--labels", "8", "--grid", "image_size=8,12", *TINY,
                    code=2)
    assert "--grid image_size: it changes the data" in refused.stderr


@pytest.mark.slow
def test_a_run_goes_on_and_is_evaluated_again_with_its_own_settings(tmp_path):
    simple(tmp_path / "photos")
    train = found(ssgan(tmp_path, "train", "--dataset", "folder:photos", "--image-size", "8", *TINY, "--json"))
    done = ssgan(tmp_path, "evaluate", train["run_id"], "--no-estimate", "--tracking-uri", "none", "--json")
    assert found(done)["error_from"] == "none" and found(done)["labels"] == 12
    resumed = ssgan(tmp_path, "run", "--resume", train["run_id"], "--no-estimate", "--tracking-uri", "none", "--json")
    assert found(resumed)["run_id"] == train["run_id"] and found(resumed)["status"] == "FINISHED"


@pytest.mark.mnist
@pytest.mark.slow
@pytest.mark.parametrize(("name", "labels", "error_from"), [
    ("one-level-off", 60, "test"), ("with-litter", 30, "cross-validation"), ("csv-good", 24, "cross-validation"),
    ("one-label-a-class", 10, "none")])
def test_every_case_that_is_to_run_runs(cases, name, labels, error_from, tmp_path):
    result = found(ssgan(tmp_path, "run", "--dataset", f"folder:{cases / name}.zip", *TINY, "--set",
                         "evaluate.supervised=false", "--set", "evaluate.gan_off=false", "--json"))
    assert (result["status"], result["labels"], result["error_from"]) == ("FINISHED", labels, error_from)
    assert (result["test_error"] is None) == (error_from == "none")


@pytest.mark.mnist
@pytest.mark.parametrize("name", ["one-class", "csv-no-header", "climbs-out", "new-class-in-test"])
def test_every_case_that_is_to_be_refused_is_one_mistake(cases, name, tmp_path):
    done = ssgan(tmp_path, "run", "--dataset", f"folder:{cases / name}.zip", *TINY, code=2)
    assert 1 <= len(done.stderr.splitlines()) <= 3 and done.stderr.startswith("ssgan: ")
    assert not (tmp_path / "mlruns").exists() and not (tmp_path / "cache").exists()


@pytest.mark.mnist
def test_predict_answers_the_same_pictures_alike_whatever_their_encoding(cases):
    result = CliRunner().invoke(main, ["predict", str(handed.exported("onnx")), str(cases / "same-pictures.zip"),
                                       "--json"])
    assert result.exit_code == 0, result.output
    answers = {}
    for answer in json.loads(result.stdout.splitlines()[-1])["predictions"]:
        kind, name = Path(answer["path"]).parts[-2:]
        answers.setdefault(kind, {})[Path(name).stem] = (answer["label"], round(answer["top"][0]["probability"], 5))
    assert len(answers) == 9 and len(answers["plain"]) == 12
    for kind, found in answers.items():
        assert found == answers["plain"], kind
