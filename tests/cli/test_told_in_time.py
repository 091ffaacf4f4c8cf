"""What can be known before the first step is told before it, by every command; and what is there already is helped the
cheapest way.
"""

import dataclasses
import json
import shlex
import shutil

import handed
import pytest
import small
from click.testing import CliRunner

from cli.test_run import TINY
from ssgan.cli import main
from ssgan.config import override
from ssgan.data import named
from ssgan.data.dataset import Dataset
from ssgan.errors import Failed, Mistake
from ssgan.evaluation import domain_classifier
from ssgan.experiments.run import Setting, stage_again
from ssgan.experiments.stages import check
from ssgan.tracking.workfolder import WorkFolder

FAULTS = {  # of a recipe on digits, with what is said of each
    "score.samples=10 score.splits=20": ("score.splits=1", "score"),
    "score.samples=300 score.splits=301": ("score.splits=3", "score"), "score.splits=361": ("score.splits=3", "score"),
    "score.train_images=9": ("score.train_images=0", "score"),
    "split.validation=1500": ("split.validation=", "split"), "split.validation=1430": ("too many together", "split"),
    "feature_matching.weight=0 gan.weight=1": ("no loss", "split"),
    "feature_matching.layers=[9]": ("Name layers", "split"),
    "model.minibatch_kernels=3 train.labelled_share=0.001": ("train.labelled_share higher", "split"),
    "gradient_penalty.weight=1 model.minibatch_kernels=3": ("cannot be combined", "split")}
STAGES = ("split", "train", "evaluate", "score")
COMMANDS = {"run": ("score", ["--labels", "100"]), "sweep": ("score", ["--labels", "20,100", "--workers", "1"]),
            "tune": ("train", ["--labels", "100", "--grid", "train.epochs=1,2"]),
            **{stage: (stage, ["--labels", "100"]) for stage in STAGES}}


@pytest.fixture(autouse=True)
def apart(tmp_path, monkeypatch):
    """A project folder and a cache of its own; scoring networks are trained as little as can be."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "none")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setitem(domain_classifier.SETTINGS, "most_steps", 20)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_fault_is_told_by_every_command_that_comes_to_it_before_anything_is_written(command, fault, tmp_path,
                                                                                    monkeypatch):
    def begin(*_, **__):
        raise Failed("it has begun")

    for place in ("ssgan.experiments.run.split", "ssgan.experiments.sweep.run_groups",
                  "ssgan.experiments.sweep.ready_scoring", "ssgan.experiments.tune.run_groups"):
        monkeypatch.setattr(place, begin)
    (said, first), (last, options) = FAULTS[fault], COMMANDS[command]
    changes = [word for change in fault.split() for word in ("--set", change)]
    done = CliRunner().invoke(main, [command, "--dataset", "digits", *options, *changes])
    if command == "tune" and fault.startswith("split.validation"):
        said = "--validation "
    if STAGES.index(first) > STAGES.index(last):
        assert (done.exit_code, done.stderr.splitlines()[-1]) == (1, "ssgan: it has begun")
    else:
        assert done.exit_code == 2 and said in done.stderr and len(done.stderr.splitlines()) <= 3, done.stderr
        assert not list(tmp_path.glob("mlruns/work/*"))


def test_a_batch_of_pictures_that_the_data_cannot_fill_is_said_before_the_training():
    recipe = override(small.MLP, ["pictures.steps=5", "pictures.batch=61"])
    line, = check(recipe, small.dataset())
    assert line == ("[pictures] will not be trained: pictures.batch = 61 is more than the 60 images there are to train "
                    "on; try --set pictures.batch=30")
    assert check(override(recipe, ["pictures.batch=60"]), small.dataset()) == []
    assert "the 52 images" in check(override(recipe, ["pictures.batch=60", "split.validation=8"]), small.dataset())[0]
    assert check(override(recipe, ["pictures.steps=0"]), small.dataset()) == []


def test_one_test_image_is_scored_in_one_part():
    data = Dataset("small", small.dataset().train, small.images(1, (2, 6, 8), 4, 1))
    with pytest.raises(Mistake, match="the 1 real test images: try --set score.splits=1\\."):
        check(small.MLP, data)
    check(override(small.MLP, ["score.splits=1"]), data)
    check(small.MLP, data, "evaluate")


def ssgan(*words: str, code: int = 0):
    done = CliRunner().invoke(main, words)
    assert done.exit_code == code, done.output
    return done


def test_what_is_trained_is_not_trained_again_for_a_score_that_cannot_be(tmp_path, monkeypatch):
    bad = ["--dataset", "digits", *TINY, "--set", "score.samples=10", "--set", "score.splits=20", "--set",
           "evaluate.supervised=false", "--set", "evaluate.gan_off=false"]
    found = json.loads(ssgan("train", *bad, "--json", "--quiet").stdout)
    monkeypatch.setattr("ssgan.experiments.stages.train_group", lambda *_, **__: pytest.fail("it is trained already"))
    told = ssgan("run", *bad, code=2).stderr
    command = f"ssgan score {found['run_id'][:8]} --set score.splits=1"
    assert told.endswith(f"\nIt is trained already: {command}\n")
    ssgan(*shlex.split(command)[1:], "--quiet")
    again = json.loads(ssgan("run", *bad, "--quiet", "--json").stdout)
    assert again["run_id"] == found["run_id"] and again["splits"] == 1 and again["test_error"] is not None
    assert "score.splits=1" in ssgan("run", *bad, "--again", code=2).stderr


@pytest.fixture
def trained(tmp_path) -> WorkFolder:
    """A copy of the small run, which is evaluated and not scored."""
    shutil.copytree(handed.folder().path, tmp_path / "mlruns" / "work" / handed.folder().fingerprint)
    return WorkFolder(tmp_path / "mlruns" / "work" / handed.folder().fingerprint)


def test_a_stage_that_cannot_be_done_again_leaves_the_run_as_it_is(trained):
    before = trained.run_file.read_text()
    told = ssgan("score", "latest", "--set", "score.splits=361", code=2).stderr
    command = told.splitlines()[-1].removeprefix("It is trained already: ")
    assert command == f"ssgan score {trained.fingerprint[:8]} --set score.splits=3"
    assert trained.run_file.read_text() == before
    ssgan(*shlex.split(command)[1:], "--set", "score.samples=30", "--set", "score.train_images=0", "--quiet")
    assert trained.facts["result"]["score"]["splits"] == 3


@pytest.mark.parametrize("stage", ["evaluate", "score"])
def test_a_stage_on_other_data_leaves_the_run_as_it_is(trained, stage, tmp_path):
    before, member = trained.run_file.read_text(), handed.Member(handed.RECIPE, 0, 0, "digits")
    digits = named.load("digits", tmp_path)
    other = dataclasses.replace(digits, train=dataclasses.replace(digits.train, sha256="0" * 64))
    with pytest.raises(Mistake, match="this run was made from digits with SHA-256"):
        stage_again(trained, member, other, Setting(tmp_path / "mlruns" / "work", None, "cpu"), stage)
    assert trained.run_file.read_text() == before


def test_where_the_epochs_do_not_count_it_is_said():
    data = small.dataset()
    recipe = override(small.MLP, ["train.epochs=3", "train.batch=10", "labels=8"])
    steps = 3 * (len(data.train) // 10)
    assert check(recipe, data) == []
    for key, value in (("least_steps", steps + 7), ("most_steps", 2)):
        line, = check(override(recipe, [f"train.{key}={value}"]), data)
        assert line == (f"train.epochs = 3 are {steps:,} steps of 10 images here, and train.{key} makes them {value:,}")
    assert check(override(recipe, [f"train.least_steps={steps}", f"train.most_steps={steps}"]), data) == []
