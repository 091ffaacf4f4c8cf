"""Sweeps: the plan, what is done and what is not done again, and lane groups."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
import small

import ssgan.experiments.grid as plan_module
from ssgan.config import override
from ssgan.errors import Failed, Mistake
from ssgan.evaluation import domain_classifier
from ssgan.evaluation import figures as reports
from ssgan.experiments import scheduler, units
from ssgan.experiments.executors.executor import End
from ssgan.experiments.executors.local import LocalExecutor
from ssgan.experiments.grid import Plan, worker_count
from ssgan.experiments.identity import folder_of, summary_folder_of
from ssgan.experiments.member import Member
from ssgan.experiments.progress import Progress
from ssgan.experiments.run import Setting, run_group
from ssgan.experiments.sweep import run_sweep
from ssgan.recipes import read
from ssgan.tracking import SWEEP_TAG
from ssgan.training.loop import Interrupted

RECIPE = override(read("digits").recipe, [
    "train.epochs=0.5", "train.batch=100", "model.widths=[16]", "model.generator_widths=[16]",
    "train.initialise_images=50", "consistency.weight=0", "evaluate.supervised=false", "evaluate.gan_off=false",
    "evaluate.classical=false", "score.samples=30", "score.splits=2", "pictures.steps=0"])
PLAN = Plan(RECIPE, "digits", (20, 50), ((0, 0), (1, 1)))


@pytest.fixture(scope="module", autouse=True)
def light(tmp_path_factory):
    """The domain classifier is trained once for this module, and little; the runs' pictures, which take longer than the
    rest, are not drawn.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setitem(domain_classifier.SETTINGS, "most_steps", 20)
        for name in ("confusion_picture", "mistakes_sheet", "class_histogram_picture"):
            patch.setattr(reports, name, lambda *arguments, **options: None)
        yield


def setting(folder: Path) -> Setting:
    return Setting(folder / "work", None, "cpu", progress=Progress(quiet=True))


def done(folder: Path, plan: Plan = PLAN, **options):
    return run_sweep(plan, small.digits(), setting(folder), **options)


def errors(outcome) -> list[float]:
    return [folder.facts["result"]["evaluation"]["error"] for folder in outcome.members]


def stamps(outcome) -> list[int]:
    return [(folder.path / "train" / "model.pt").stat().st_mtime_ns for folder in outcome.members]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A sweep that nothing disturbed."""
    return done(tmp_path_factory.mktemp("whole"))


def test_a_sweep_has_every_member_and_a_summary_with_the_report(whole):
    settings = [(folder.facts["labels"], folder.facts["seed"], folder.facts["split_seed"], folder.facts["status"])
                for folder in whole.members]
    assert settings == [(20, 0, 0, "FINISHED"), (50, 0, 0, "FINISHED"), (20, 1, 1, "FINISHED"), (50, 1, 1, "FINISHED")]
    facts = whole.folder.facts
    assert (facts["kind"], facts["status"], facts["name"]) == (
        "summary", "FINISHED", "digits · sweep: 20, 50 labels × 2 seeds")
    assert (facts["params"]["budgets"] == "20, 50" and facts["params"]["seeds"] == "0,1"
            and facts["tags"]["ssgan.kind"] == "summary")
    assert "test error, %" in facts["tags"]["mlflow.note.content"]
    assert {path.name for path in (whole.folder.path / "report").iterdir()} == {
        "report.html", "report.md", "efficiency.png", "scores.png"}
    assert all(folder.facts["tags"][SWEEP_TAG] == whole.folder.fingerprint == facts["tags"][SWEEP_TAG]
               for folder in whole.members)
    assert [(step, values["sweep/error_mean"]) for _, step, _, values in whole.folder.measurements()] == \
        [(row.labels, pytest.approx(row.stat.mean)) for row in whole.comparison.series[0].rows]
    assert [row.errors for row in whole.comparison.series[0].rows] == [errors(whole)[::2], errors(whole)[1::2]]


def test_the_same_sweep_again_does_nothing_again(whole):
    before, report = stamps(whole), (whole.folder.path / "report" / "report.html").stat().st_mtime_ns
    again = run_sweep(PLAN, small.digits(), Setting(whole.folder.path.parent, None, "cpu",
                                                    progress=Progress(quiet=True)))
    assert (again.folder.path == whole.folder.path and stamps(again) == before
            and again.folder.facts["status"] == "FINISHED")
    assert (whole.folder.path / "report" / "report.html").stat().st_mtime_ns == report


def test_members_are_the_runs_that_ssgan_run_makes(whole, tmp_path):
    member = Member(replace(RECIPE, labels=50), 1, 1, "digits")
    folder, = run_group([member], small.digits(), setting(tmp_path))
    assert folder.fingerprint == whole.members[3].fingerprint
    assert folder.facts["result"]["evaluation"] == whole.members[3].facts["result"]["evaluation"]
    before = (folder.path / "train" / "model.pt").stat().st_mtime_ns
    outcome = done(tmp_path)
    assert stamps(outcome)[3] == before and errors(outcome) == errors(whole)
    larger = done(tmp_path, replace(PLAN, budgets=(20, 50, 100), seeds=((1, 1),)))
    assert stamps(larger)[1] == before
    assert larger.members[1].facts["tags"][SWEEP_TAG].split() == [outcome.folder.fingerprint, larger.folder.fingerprint]


def stopping(progress, at: int, place: Setting):
    """Asks the sweep to stop when this many of its stages have begun."""
    begin, begun = progress.begin, []

    def counted(*arguments):
        begun.append(arguments)
        place.stop.requested = place.stop.requested or len(begun) == at
        begin(*arguments)

    progress.begin = counted


@pytest.mark.parametrize("lanes", [None, 2])
@pytest.mark.parametrize("at", [1, 2])
def test_an_interrupted_sweep_goes_on_where_it_stopped(whole, tmp_path, lanes, at):
    plan = replace(PLAN, lanes=lanes)
    place = setting(tmp_path)
    stopping(place.progress, at, place)
    with pytest.raises(Interrupted):
        run_sweep(plan, small.digits(), place)
    summary = summary_folder_of("sweep", plan.members(), lanes, small.digits().sha256, place.work)
    assert summary.facts["status"] == "KILLED"
    outcome = done(tmp_path, plan)
    assert outcome.folder.path == summary.path and outcome.folder.facts["status"] == "FINISHED"
    assert not outcome.comparison.failed
    if lanes is None:
        assert errors(outcome) == errors(whole)


def test_a_lane_group_is_fixed_and_a_lone_run_goes_on_with_all_of_it(tmp_path):
    plan = replace(PLAN, lanes=2)
    place = setting(tmp_path)
    stopping(place.progress, 1, place)
    with pytest.raises(Interrupted):
        run_sweep(plan, small.digits(), place)
    first, second = (Member(replace(RECIPE, labels=labels), 0, 0, "digits") for labels in (20, 50))
    folder, = run_group([second], small.digits(), setting(tmp_path))
    other = folder_of(first, small.digits().sha256, place.work)
    assert folder.facts["labels"] == 50 and folder.facts["status"] == other.facts["status"] == "FINISHED"
    assert folder.facts["group"] == other.facts["group"] == [[20, 0, 0], [50, 0, 0]]
    assert folder.facts["tags"][SWEEP_TAG] and not other.checkpoint.exists()
    before = [(found.path / "train" / "model.pt").stat().st_mtime_ns for found in (other, folder)]
    assert stamps(done(tmp_path, plan))[:2] == before


def test_members_that_were_begun_alone_leave_their_group(tmp_path):
    run_group([Member(replace(RECIPE, labels=50), 0, 0, "digits")], small.digits(), setting(tmp_path), until="split")
    outcome = done(tmp_path, replace(PLAN, lanes=4))
    assert [len(folder.facts["group"]) for folder in outcome.members] == [3, 1, 3, 3] and not outcome.comparison.failed


def test_a_grid_has_a_series_for_each_value(tmp_path):
    outcome = done(tmp_path, replace(PLAN, seeds=((0, 0),), grid=("model.widths=[16],[8, 8]",)))
    assert [series.title for series in outcome.comparison.series] == [
        "digits, model.widths=[16]", "digits, model.widths=[8, 8]"] or \
        [series.title for series in outcome.comparison.series] == ["digits, model.widths=[8, "
                                                                   "8]", "digits, model.widths=[16]"]
    assert [outcome.grid[folder.fingerprint]["model.widths"] for folder in outcome.members] == [
        [16], [16], [8, 8], [8, 8]]


@pytest.mark.parametrize(("change", "words"), [
    ({"budgets": (20, 105)}, "--labels 105: digits has 10 classes"),
    ({"budgets": (20, 5000)}, "the largest budget is"),
    ({"grid": ("train.epoch=1,2",)}, "did you mean train.epochs"),
    ({"grid": ("train.epochs=1,many",)}, "--grid train.epochs=many: train.epochs must be a number"),
    ({"grid": ("train.epochs=1,1.0",)}, "comes twice"),
    ({"grid": ("train.epochs=1", "train.epochs=2")}, "is there twice"),
    ({"grid": ("train.epochs",)}, "write it as key=value,value"),
    ({"grid": ("train.epochs=1,,2",)}, "write it as key=value,value"),
    ({"grid": ("labels=20,50",)}, "--labels 20,50,100"),
    ({"grid": ("evaluate.classical=true,false",)}, "it changes no training"),
    ({"seeds": tuple((seed, seed) for seed in range(10_000))}, "a sweep of 20,000 runs"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_what_cannot_be_done_is_a_mistake_before_anything_is_written(tmp_path, change, words):
    with pytest.raises(Mistake, match=words) as caught:
        done(tmp_path, replace(PLAN, **change))
    assert len(str(caught.value).splitlines()) <= 3 and not list(tmp_path.iterdir())


@pytest.mark.slow
def test_workers_do_what_one_process_does(tmp_path, monkeypatch):
    monkeypatch.setattr(progress := Progress(quiet=True), "tell",
                        lambda done, under_way, note, running: shown.append((done + under_way, running)))
    shown = []
    plan = replace(PLAN, recipe=override(RECIPE, ["gan.weight=0"]), seeds=((0, 0),))
    alone = done(tmp_path / "alone", plan)
    first = run_sweep(plan, small.digits(), replace(setting(tmp_path / "two"), progress=progress), workers=2)
    assert (errors(first) == errors(alone)
            and all(folder.facts["tags"][SWEEP_TAG] == first.folder.fingerprint for folder in first.members))
    assert len({folder.holder["pid"] for folder in first.members} | {os.getpid()}) == 3
    assert {name for _, running in shown for name, *_ in running} == {"20 labels, seed 0", "50 labels, seed 0"}
    assert ([count for count, _ in shown] == sorted(count for count, _ in shown)
            and 0 <= shown[0][0] < 1 < shown[-1][0] <= 2)
    before = stamps(first)
    again = run_sweep(plan, small.digits(), setting(tmp_path / "two"), workers=2)
    assert stamps(again) == before and errors(again) == errors(alone)


class Deadly(units.UnitJob):
    """A unit whose process dies where no file says that one has died already."""

    def run(self, progress, stop):
        once = self.setting.work.parent / "once"
        if once.exists():
            return super().run(progress, stop)
        once.touch()
        os._exit(3)


@pytest.mark.slow
def test_a_worker_that_dies_has_a_successor_who_does_the_rest(tmp_path, monkeypatch):
    monkeypatch.setattr(units, "UnitJob", Deadly)
    plan = replace(PLAN, recipe=override(RECIPE, ["gan.weight=0"]), seeds=((0, 0),))
    given = [[member] for member in plan.members()]
    with LocalExecutor(1, None, print) as executor:
        ends = list(units.side_by_side(given, executor, "digits", setting(tmp_path), lambda running: None))
    assert [unit for unit, _ in ends] == given
    assert [reason for _, reason in ends] == ["its process died with exit code 3", *[""] * (len(given) - 1)]


def test_the_same_sweep_twice_at_once_is_a_mistake(whole):
    with whole.folder.lock(), pytest.raises(Mistake, match="in use by process"):
        run_sweep(PLAN, small.digits(), Setting(whole.folder.path.parent, None, "cpu", progress=Progress(quiet=True)))


def test_groups_are_of_about_the_same_size_and_share_their_settings():
    plan = replace(PLAN, seeds=tuple((seed, seed) for seed in range(5)), lanes=4, grid=("gan.weight=0,1",))
    groups = plan.groups(small.digits(), "cpu")
    assert ([len(group) for group in groups] == [3, 3, 4] * 2
            and [member for group in groups for member in group] == plan.members())
    assert all(len({replace(member.recipe, labels=1) for member in group}) == 1 for group in groups)
    assert [len(group) for group in replace(plan, lanes=None).groups(small.digits(), "cpu")] == [1] * 20


def test_the_size_of_groups_is_chosen_once_and_stored(tmp_path, monkeypatch):
    chosen = []
    monkeypatch.setattr(plan_module, "default_lanes", lambda *arguments: (chosen.append(arguments), 2)[1])
    first = done(tmp_path)
    assert first.folder.facts["sweep"]["groups"] == [[0, 1], [2, 3]] and len(chosen) == 1
    again = done(tmp_path)
    assert len(chosen) == 1 and stamps(again) == stamps(first)


def test_processes_are_as_many_as_there_are_cores_and_groups(monkeypatch):
    monkeypatch.setattr(plan_module.os, "sched_getaffinity", lambda process: set(range(4)))
    groups = PLAN.groups(small.digits(), "cpu")
    assert [worker_count(asked, groups * 10, "cpu") for asked in (None, 1, 7)] == [4, 1, 7]
    assert worker_count(None, groups[:2], "cpu") == 2 and worker_count(None, groups * 10, "cuda:0") == 1


class Refusing:
    """An executor that does nothing, and remembers how it was made."""

    def __init__(self, places, threads, say):
        self.places, self.made = places, (places, threads)
        self.tasks = []

    def submit(self, job):
        task = units.Task(job)
        task.end = End(f"{self.made}")
        self.tasks.append(task)
        return task

    def wait(self, seconds):
        ended, self.tasks = self.tasks, []
        return ended

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass


def test_processes_share_the_cores(tmp_path, monkeypatch):
    monkeypatch.setattr(scheduler.os, "sched_getaffinity", lambda process: set(range(7)))
    monkeypatch.setattr(scheduler, "LocalExecutor", Refusing)
    place = setting(tmp_path)
    said = []
    place.progress = Progress()
    monkeypatch.setattr(place.progress, "say", said.append)
    with pytest.raises(Failed, match="none of the 4 runs came through"):
        run_sweep(replace(PLAN, recipe=override(RECIPE, ["gan.weight=0"])), small.digits(), place, workers=2)
    assert [text.rpartition("; ")[2] for text in said[1:]] == ["(2, 3)"] * 4
