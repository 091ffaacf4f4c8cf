"""`ssgan score` of runs, folders and arrays; scores over the steps of a run; the best and the worst of its images."""

import json
from pathlib import Path

import numpy as np
import pytest
import small
from PIL import Image

from cli.in_process import commands_in
from cli.test_run import TINY
from ssgan.cli import run_summary
from ssgan.evaluation import domain_classifier

SCORED = ["--set", "score.samples=120", "--set", "score.splits=3", "--set", "score.feature_images=40"]
RUN = ["run", "--dataset", "digits", "--labels", "50", *TINY, "--set", "train.epochs=1", *SCORED, "--json",
       "--set", "evaluate.supervised=false", "--set", "evaluate.gan_off=false", "--set", "evaluate.classical=false",
       "--set", "score.every_steps=5", "--set", "score.step_samples=30"]


@pytest.fixture(scope="module")
def ssgan(tmp_path_factory):
    """The command in this process, in a folder with a scored run, and images of digits sorted by class as files."""
    folder = tmp_path_factory.mktemp("scored")
    with commands_in(folder, light=True) as command, pytest.MonkeyPatch.context() as patch:
        patch.setitem(domain_classifier.SETTINGS, "most_steps", 100)
        done = command(*RUN)
        assert done.exit_code == 0, done.output
        command.__dict__["run"] = json.loads(done.stdout.splitlines()[-1])
        (folder / "latest").mkdir()
        train = small.digits().train
        for place, number in enumerate(train.labels[:60].argsort(stable=True).tolist()):
            Image.fromarray(train.pixels[number, 0].numpy()).save(folder / "latest" / f"{place:03d}.png")
        np.savez(folder / "made.npz", x=train.pixels[:60, 0].numpy())
        yield command


def told(done):
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout.splitlines()[-1])


def test_a_run_has_all_scores_with_what_they_mean_nothing_without(ssgan):
    found = ssgan.run
    assert found["network"] == "domain" and found["inception_score"] >= 1 and found["fid"] > 0
    assert 0 <= found["precision"] <= 1 and 0 <= found["recall"] <= 1 and found["recall_real"] > 0.3
    assert abs(found["kid_real"]) < abs(found["kid"])
    about = found["score_settings"]
    assert {name: about[name] for name in ("samples", "splits", "order", "feature_images", "resizing")} == {
        "samples": 120, "splits": 3, "order": "shuffled", "feature_images": 40, "resizing": "none"}
    from mlflow import MlflowClient

    run = MlflowClient(f"sqlite:///{Path.cwd()}/mlruns/mlflow.db").get_run(found["run_id"])
    assert run.data.tags["ssgan.score.weights_sha256"] == about["weights_sha256"]
    assert run.data.tags["ssgan.score.network"] == "domain" and run.data.tags["ssgan.score.splits"] == "3"
    assert run.data.metrics["score/kid"] == pytest.approx(found["kid"])
    assert run.data.metrics["score/precision_real"] == pytest.approx(found["precision_real"])


def test_scores_over_the_steps_are_measured_as_often_as_the_recipe_says(ssgan):
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{Path.cwd()}/mlruns/mlflow.db")
    for name in ("while_training/inception_score", "while_training/fid"):
        history = client.get_metric_history(ssgan.run["run_id"], name)
        steps = [value.step for value in history]
        assert steps == list(range(5, 5 * len(steps) + 1, 5)) and len(steps) >= 2
        assert all(np.isfinite(value.value) for value in history)


def test_the_best_and_the_worst_images_are_there_and_can_be_sampled(ssgan, tmp_path):
    folder = Path(ssgan.run["folder"])
    assert {"best.png", "worst.png", "by_image.npz"} <= {path.name for path in (folder / "score").iterdir()}
    run = ssgan.run["run_id"]
    for end in ("--top", "--bottom"):
        found = told(ssgan("sample", run, end, "5%", "-o", str(tmp_path / f"{end}.png"), "--json"))
        assert found["images"] == 6 and found["ranked_by"] == "domain" and (tmp_path / f"{end}.png").exists()
    assert (tmp_path / "--top.png").read_bytes() != (tmp_path / "--bottom.png").read_bytes()
    for options, reason in ((["--top", "1%", "--bottom", "1%"], "take one of them"),
                            (["--top", "5%", "-n", "7"], "has 6"),
                            (["--top", "1%", "--seed", "3"], "--seed: --top and --bottom take the images"),
                            (["--top", "1%", "--last"], "score.generator=last"), (["--top", "x"], "write a share")):
        done = ssgan("sample", run, *options)
        assert done.exit_code == 2 and reason in done.output


def test_a_folder_of_images_is_scored_without_a_run_though_it_is_called_as_one(ssgan, tmp_path):
    command = "score", "latest", "--against", "digits", *SCORED[2:], "--json"
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.png").touch()
    found = told(ssgan(*command, "--sheets", str(tmp_path / "out")))
    assert found["sheets"] == [str(tmp_path / "out" / f"{end}.png") for end in ("best", "worst")]
    assert (found["images"], found["against"], found["samples"]) == ("latest", "digits", 60)
    assert found["score_settings"]["network"] == "domain" and found["class_agreement"] is None
    assert found["inception_score"] == pytest.approx(found["inception_score_real"], rel=0.5)
    assert found["fid"] < ssgan.run["fid"] and found["precision"] > 0.5
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"best.png", "worst.png", "mine.png"}
    arrays = told(ssgan("score", "npz:made.npz", "--against", "digits", *SCORED[2:], "--json"))
    assert arrays["inception_score"] == pytest.approx(found["inception_score"], rel=0.25), "the same ones, not sorted"
    assert arrays["fid"] == pytest.approx(found["fid"], rel=1e-3)
    listed = told(ssgan(*command, "--set", "score.order=listed"))
    assert listed["inception_score"] < 0.6 * found["inception_score"], "sorted by class, in chunks of that order"


def test_a_run_against_other_images_and_for_a_person(ssgan):
    before = Path(ssgan.run["folder"], "run.json").read_bytes()
    done = ssgan("score", ssgan.run["run_id"], "--against", "digits", *SCORED)
    assert done.exit_code == 0 and "precision/recall" in done.output and "Inception Score" in done.output
    assert Path(ssgan.run["folder"], "run.json").read_bytes() == before, "its own scores stay"
    done = ssgan("score", ssgan.run["run_id"], "--against", "digits", "--image-size", "64")
    assert done.exit_code == 2 and "--image-size: the images of a run and those of digits" in done.output


def test_what_real_images_alone_are_held_against_is_told():
    found = {"inception_score": 2.0, "inception_score_std": 0.1, "inception_score_real": 3.0, "score_network": "a net",
             "score_network_error": None, "samples": 12, "real_samples": 12, "splits": 2, "samples_per_split": 6,
             "fid": 9.0, "fid_real": 1.0, "frechet_samples_real": 8, "test_images": 16, "test_images_real": 8,
             "network": "domain", "kid": 0.5, "kid_real": 0.1, "precision": 0.5, "precision_real": 0.9, "recall": 0.5,
             "recall_real": 0.9, "train_images": 0, "generators": {"x": {}},
             "score_settings": {"feature_images": 12, "feature_images_real": 8}}
    lines = dict(run_summary.score_lines(found, "real images"))
    assert lines["Fréchet distance"] == ("9  real images 1; of 12 to 16, and of 8 real ones to the other 8, in the "
                                         "features of that network")
    assert lines["kernel distance"].endswith("of 12 of each, the real ones' of 8")
    whole = found | {"test_images_real": 16, "score_settings": {"feature_images": 12}}  # of an older version
    lines = dict(run_summary.score_lines(whole, "real images"))
    assert "real training images 1; " in lines["Fréchet distance"] and lines["kernel distance"].endswith("12 of each")
    assert "mode collapse" not in lines
    lines = dict(run_summary.score_lines(found | {"inception_score": 1.03}, "real images"))
    assert "nearly all alike" in lines["mode collapse"] and "`ssgan explain minibatch`" in lines["mode collapse"]


@pytest.mark.parametrize(("options", "reason"), [
    (["latest"], "name the real ones that they are held against"),
    (["latest", "--against", "nowhere"], "no data set or folder is called 'nowhere'"),
    (["latest", "--against", "latest"], "no full labels with a test part"),
    (["latest", "--against", "digits", "--set", "score.splits=61"], "latest has 60 images, and score.splits = 61"),
    (["latest", "--against", "digits", "--set", "score.samples=61"], "more than the 60 images in latest"),
    (["latest", "--against", "digits", "--image-size", "16"], "1 x 16 x 16, those of digits 1 x 8 x 8"),
    (["latest", "--against", "digits", "--labels", "50"], "--labels: it means nothing"),
    (["latest", "--against", "digits", "--tracking-uri", "none"], "images without a run are in no store"),
    (["latest", "--against", "digits", "--set", "train.epochs=7"], "--set train.epochs=7: it means nothing"),
    (["latest", "--against", "digits", "--set", "score.trainings=2"], "--set score.trainings=2: it means nothing"),
    (["latest", "--against", "digits", "--set", "score.generator=last"], "score.generator=last: it means nothing"),
    (["latest", "--against", "digits", "--inception-weights", "made.npz"],
     "other weights than the Inception network's"),
    (["empty", "--against", "digits"], "holds no images"), (["--against", "digits"], "name what is scored")])
def test_what_cannot_be_scored_is_a_mistake(ssgan, options, reason):
    Path("empty").mkdir(exist_ok=True)
    done = ssgan("score", *options)
    assert done.exit_code == 2 and reason in done.output, done.output
    assert done.output.count("\n") <= 4


