"""The process that trains the networks of the baselines while the run trains."""

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import small
from ssgan.evaluation import figures as reports
from ssgan.experiments import ahead
from ssgan.config import override
from ssgan.experiments.progress import Progress
from ssgan.recipes import read
from ssgan.experiments.run import Setting, _group, run_group
from ssgan.experiments.member import Member
from ssgan.training.trainer import Trainer
from ssgan.training.loop import Interrupted
from ssgan.tracking.workfolder import WorkFolder

RECIPE = override(read("digits").recipe, [
    "train.epochs=1", "train.batch=100", "model.widths=[16]", "model.generator_widths=[16]", "train.initialise_images=50", "evaluate.classical=false"])
MEMBER = Member(RECIPE, 3, 3, "digits")


@pytest.fixture(autouse=True)
def two_cores(monkeypatch):
    monkeypatch.setattr(ahead.os, "sched_getaffinity", lambda pid: {0, 1})
    monkeypatch.setattr(ahead, "LEAST_STEPS", 0)
    for name in ("confusion_picture", "mistakes_sheet"):
        monkeypatch.setattr(reports, name, lambda *arguments, **options: None)


class Heard(Progress):
    """Remembers what is said, and calls back when a stage has begun."""

    def __init__(self, begun=lambda stage: None):
        super().__init__(quiet=True)
        self.said, self.begun = [], begun

    def say(self, text):
        self.said.append(text)

    def begin(self, stage, total, done=0):
        self.begun(stage)


def run(folder: Path, member: Member = MEMBER, progress: Progress | None = None, beside: bool = True):
    setting = Setting(folder / "work", None, "cpu", progress=progress or Heard(), ahead=beside)
    return setting, lambda: run_group([member], small.digits(), setting, until="evaluate")[0]


def found(folder) -> list:
    return [[row["name"], row["error"]] for row in folder.facts["result"]["baselines"]] + [folder.facts["result"]["evaluation"]["error"]]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """What a run finds that does everything itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reports, "confusion_picture", lambda *arguments, **options: None)
        patch.setattr(reports, "mistakes_sheet", lambda *arguments, **options: None)
        return found(run(tmp_path_factory.mktemp("alone"), beside=False)[1]())


@pytest.fixture
def steps(monkeypatch):
    """The trainers whose steps this process made, one entry a step."""
    made, original = [], Trainer.step
    monkeypatch.setattr(Trainer, "step", lambda self: (made.append(self.recipe), original(self))[1])
    return made


def test_the_run_finds_the_baselines_trained_and_the_same(tmp_path, alone, steps):
    folder = run(tmp_path)[1]()
    assert found(folder) == alone and len(alone) == 3
    assert set(steps) == {RECIPE}
    assert not list(folder.path.glob("checkpoint*"))


def test_no_process_begins_where_no_core_is_idle_or_nothing_is_to_be_trained(tmp_path, monkeypatch):
    monkeypatch.setattr(ahead, "Ahead", lambda *arguments: pytest.fail("a process began"))
    run(tmp_path, replace(MEMBER, recipe=override(RECIPE, ["evaluate.supervised=false", "evaluate.gan_off=false"])))[1]()
    monkeypatch.setattr(ahead, "LEAST_STEPS", 500)  # of which the recipe has 14
    run(tmp_path, replace(MEMBER, seed=4))[1]()
    monkeypatch.setattr(ahead, "LEAST_STEPS", 0)
    monkeypatch.setattr(ahead.os, "sched_getaffinity", lambda pid: {0})
    _, start = run(tmp_path)
    start()
    start()  # a finished run has nothing before it, on as many cores as there are
    monkeypatch.setattr(ahead.os, "sched_getaffinity", lambda pid: {0, 1})
    start()


def test_a_process_that_dies_is_told_of_and_the_run_does_the_rest(tmp_path, alone, steps, monkeypatch):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexit 3\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    heard = Heard()
    assert found(run(tmp_path, progress=heard)[1]()) == alone
    assert len(set(steps)) == 3 and any("exit code 3" in text for text in heard.said)


@pytest.mark.parametrize("stage", ["train", pytest.param("no-generator", marks=pytest.mark.slow)])
def test_a_run_that_is_stopped_leaves_no_process_and_goes_on_to_the_same(tmp_path, alone, monkeypatch, stage):
    begun, original = [], ahead.Ahead
    monkeypatch.setattr(ahead, "Ahead", lambda *arguments: (begun.append(original(*arguments)), begun[-1])[1])
    longer = replace(MEMBER, recipe=override(RECIPE, ["train.epochs=10"])) if stage == "no-generator" else MEMBER

    def stop(name):
        setting.stop.requested = name == stage

    setting, start = run(tmp_path, longer, Heard(stop))
    with pytest.raises(Interrupted):
        start()
    assert [one.process.poll() for one in begun] == [0]
    undisturbed = alone if stage == "train" else found(run(tmp_path / "undisturbed", longer, beside=False)[1]())
    assert found(run(tmp_path, longer)[1]()) == undisturbed


@pytest.mark.slow
def test_the_process_ends_with_the_run(tmp_path):
    """Whose end, however it comes, closes its stdin."""
    longer = replace(MEMBER, recipe=override(RECIPE, ["train.epochs=2000"]))
    setting, start = run(tmp_path, longer, beside=False)
    setting.progress = Heard(lambda stage: setattr(setting.stop, "requested", True))
    with pytest.raises(Interrupted):
        start()
    member_folder, = (tmp_path / "work").iterdir()
    group = _group([longer], [WorkFolder(member_folder)], small.digits(), setting)
    process = ahead.Ahead(group, "").process
    process.stdin.close()
    assert process.wait(60) == 0
    process.stdout.close()
    assert os.path.exists(member_folder / "checkpoint-supervised-only.pt")
