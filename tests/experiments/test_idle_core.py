"""The process that trains the networks of the baselines while the run trains on another core."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
import small
import torch

from ssgan.config import override
from ssgan.errors import Mistake
from ssgan.evaluation import figures as reports
from ssgan.experiments import baseline_runs, idle_core
from ssgan.experiments import run as runs
from ssgan.experiments.executors import local
from ssgan.experiments.member import Member
from ssgan.experiments.progress import Progress
from ssgan.experiments.run import Setting, run_group
from ssgan.recipes import read
from ssgan.training import execution
from ssgan.training.loop import Interrupted
from ssgan.training.trainer import Trainer

RECIPE = override(read("digits").recipe, [
    "train.epochs=1", "train.batch=100", "model.widths=[16]", "model.generator_widths=[16]",
    "train.initialise_images=50", "evaluate.classical=false", "pictures.steps=0"])
LONGER = override(RECIPE, ["train.epochs=100"])
MEMBER = Member(RECIPE, 3, 3, "digits")


@pytest.fixture(autouse=True)
def two_cores(monkeypatch):
    monkeypatch.setattr(idle_core.os, "sched_getaffinity", lambda pid: {0, 1})
    monkeypatch.setattr(idle_core, "LEAST_STEPS", 0)
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
    setting = Setting(folder / "work", None, "cpu", progress=progress or Heard(), beside=beside)
    return setting, lambda: run_group([member], small.digits(), setting, until="evaluate")[0]


def found(folder) -> list:
    return [[row["name"], row["error"]] for row in folder.facts["result"]["baselines"]] + [
        folder.facts["result"]["evaluation"]["error"]]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """What a run finds that does everything itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reports, "confusion_picture", lambda *arguments, **options: None)
        patch.setattr(reports, "mistakes_sheet", lambda *arguments, **options: None)
        return found(run(tmp_path_factory.mktemp("alone"), beside=False)[1]())


@pytest.fixture
def executors(monkeypatch):
    """Those that were made, each with the process that it begins as `began`."""
    made, original = [], idle_core.LocalExecutor

    def making(*arguments):
        made.append(original(*arguments))
        return made[-1]

    monkeypatch.setattr(idle_core, "LocalExecutor", making)
    begin = local._Place.begin

    def beginning(self, *arguments):
        begin(self, *arguments)
        made[-1].began = self.process

    monkeypatch.setattr(local._Place, "begin", beginning)
    return made


def process(executors):
    """The one that was begun."""
    executor, = executors
    return executor.began


@pytest.fixture
def steps(monkeypatch):
    """The trainers whose steps this process made, one entry a step."""
    made, original = [], Trainer.step
    monkeypatch.setattr(Trainer, "step", lambda self: (made.append(self.recipe), original(self))[1])
    return made


@pytest.mark.slow
def test_the_run_finds_the_baselines_trained_and_fitted_and_the_same(tmp_path, alone, steps, monkeypatch):
    member = replace(MEMBER, recipe=override(RECIPE, ["evaluate.classical=true"]))
    fitted = found(run(tmp_path / "alone", member, beside=False)[1]())
    assert fitted[:2] == alone[:2] and len(fitted) == 6
    steps.clear()
    monkeypatch.setattr(baseline_runs, "measure_fitted", lambda *given: pytest.fail("they are fitted here too"))
    folder = run(tmp_path, member)[1]()
    assert found(folder) == fitted and set(steps) == {member.recipe}
    assert not list(folder.path.glob("checkpoint*")) and not (folder.path / baseline_runs.FITTED).exists()


def test_no_process_begins_where_no_core_is_idle_or_nothing_is_to_be_trained(tmp_path, monkeypatch):
    monkeypatch.setattr(idle_core, "LocalExecutor", lambda *arguments: pytest.fail("a process began"))
    run(tmp_path, replace(MEMBER, recipe=override(RECIPE, ["evaluate.supervised=false", "evaluate.gan_off=false"])))[
        1]()
    monkeypatch.setattr(idle_core, "LEAST_STEPS", 500)  # of which the recipe has 14
    run(tmp_path, replace(MEMBER, seed=4))[1]()
    monkeypatch.setattr(idle_core, "LEAST_STEPS", 0)
    monkeypatch.setattr(idle_core.os, "sched_getaffinity", lambda pid: {0})
    _, start = run(tmp_path)
    start()
    start()  # a finished run has nothing before it, on as many cores as there are
    monkeypatch.setattr(idle_core.os, "sched_getaffinity", lambda pid: {0, 1})
    start()


def test_a_process_that_dies_is_told_of_and_the_run_does_the_rest(tmp_path, alone, steps, executors):
    heard = Heard(lambda stage: process(executors).kill() if stage == "train" else None)
    assert found(run(tmp_path, progress=heard)[1]()) == alone
    assert len(set(steps)) == 3 and any("exit code -9" in text for text in heard.said)


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["train", "no-generator"])
def test_a_run_that_is_stopped_leaves_no_process_and_goes_on_to_the_same(tmp_path, alone, executors, stage):
    longer = replace(MEMBER, recipe=LONGER) if stage == "no-generator" else MEMBER

    def stop(name):
        setting.stop.requested = name == stage

    setting, start = run(tmp_path, longer, Heard(stop))
    if stage == "no-generator":  # the run is trained before, so that it waits for its baselines from the beginning
        run_group([longer], small.digits(), run(tmp_path, longer)[0], until="train")
        assert not executors
    with pytest.raises(Interrupted):
        start()
    assert process(executors).exitcode == 0
    undisturbed = alone if stage == "train" else found(run(tmp_path / "undisturbed", longer, beside=False)[1]())
    assert found(run(tmp_path, longer)[1]()) == undisturbed


@pytest.mark.slow
def test_what_scores_images_is_trained_while_it_is_found_whether_the_step_compiles(tmp_path, alone, executors,
                                                                                    monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    decide, seen = runs.compiled_for, []

    def deciding(*arguments):
        task, = executors[0]._busy
        until = time.monotonic() + 120
        while task.stage != "network" and time.monotonic() < until:
            executors[0].wait(0.1)
        seen.append((task.stage, task.end))
        return decide(*arguments)

    monkeypatch.setattr(runs, "compiled_for", deciding)
    setting, _ = run(tmp_path)
    folder, = run_group([MEMBER], small.digits(), setting)
    assert seen == [("network", None)] and found(folder) == alone and folder.stage_finished("score")


def test_a_step_that_cannot_be_compiled_ends_the_process_before_anything_is_noted(tmp_path, executors, monkeypatch):
    def deciding(*arguments):
        raise Mistake("torch's compiler fails here")

    monkeypatch.setattr(runs, "compiled_for", deciding)
    with pytest.raises(Mistake, match="compiler"):
        run(tmp_path)[1]()
    folder, = (tmp_path / "work").iterdir()
    assert process(executors).exitcode is not None and not (folder / "run.json").exists()


@pytest.mark.slow
def test_a_process_that_is_stopped_saves_what_it_has(tmp_path, executors):
    longest = replace(MEMBER, recipe=override(RECIPE, ["train.epochs=2000"]))
    setting, start = run(tmp_path, longest)

    def stop(stage):
        if stage == "compiling the step":  # at the same time
            return
        task, = executors[0]._busy
        while task.step == 0:
            executors[0].wait(0.1)
        setting.stop.requested = True

    setting.progress = Heard(stop)
    with pytest.raises(Interrupted):
        start()
    folder, = (tmp_path / "work").iterdir()
    assert (folder / "checkpoint-supervised-only.pt").exists() and process(executors).exitcode == 0


@pytest.mark.slow
def test_pictures_have_all_cores_when_the_process_has_ended(tmp_path, executors, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "")
    monkeypatch.setattr(execution, "SMALL", 0)
    seen, step = [], Trainer.step

    def watched(trainer):
        step(trainer)
        further = trainer.done > trainer.gan.steps
        seen.append((further, torch.get_num_threads(), bool(executors) and bool(executors[0]._busy)))

    monkeypatch.setattr(Trainer, "step", watched)
    member = replace(MEMBER, recipe=override(RECIPE, ["pictures.steps=2"]))
    before = torch.get_num_threads()
    folder = run(tmp_path, member)[1]()
    assert seen[-2:] == [(True, 2, False)] * 2 and {each[:2] for each in seen[:-2]} == {(False, 1)}
    assert torch.get_num_threads() == before and folder.facts["resolved"]["further_threads"] == 2
    seen.clear()
    alone = run(tmp_path / "alone", member, beside=False)[1]()
    assert {each[1] for each in seen} == {2} and not alone.facts["resolved"]["further_threads"]


@pytest.mark.parametrize("until, beside, changes, at_once", [
    ("evaluate", True, [], 2), ("train", True, [], 1), ("evaluate", False, [], 1),
    ("evaluate", True, ["evaluate.supervised=false", "evaluate.gan_off=false"], 1)])
def test_the_cores_are_shared_only_where_baselines_are_trained_beside(tmp_path, monkeypatch, until, beside, changes,
                                                                      at_once):
    asked = []

    def resolving(recipe, images, device, number):
        asked.append(number)
        raise Mistake("as much as is to be known")

    monkeypatch.setattr(runs, "uncompiled_for", resolving)
    setting, _ = run(tmp_path, beside=beside)
    with pytest.raises(Mistake):
        run_group([replace(MEMBER, recipe=override(RECIPE, changes))], small.digits(), setting, until=until)
    assert asked == [at_once]
