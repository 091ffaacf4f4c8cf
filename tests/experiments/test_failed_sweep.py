"""Sweeps of which some runs, or all, do not come through."""

from dataclasses import replace

import pytest
import small
from matplotlib.figure import Figure
from test_sweep import PLAN, RECIPE, done, errors, light, setting, whole  # noqa: F401  (fixtures)

import ssgan.experiments.run as run_module
from ssgan.errors import Failed, Mistake, NothingFinished
from ssgan.experiments import units
from ssgan.experiments.member import Member
from ssgan.experiments.report import as_plain
from ssgan.experiments.run import run_group
from ssgan.tracking.workfolder import WorkFolder
from ssgan.training.trainer import Failure, Trainer


def test_a_failed_group_is_reported_and_the_rest_go_on(whole, tmp_path, monkeypatch):
    def failing(members, *arguments, **options):
        if members[0].recipe.labels == 50 and members[0].seed == 0:
            raise RuntimeError("the device is on fire\nbacktrace")
        return run_group(members, *arguments, **options)

    monkeypatch.setattr(units, "run_group", failing)
    outcome = done(tmp_path)
    assert [folder.facts.get("status") for folder in outcome.members] == ["FINISHED", None, "FINISHED", "FINISHED"]
    assert len(outcome.comparison.failed) == 1 and [row.stat.n for row in outcome.comparison.series[0].rows] == [2, 1]
    monkeypatch.undo()
    assert errors(done(tmp_path)) == errors(whole)


def test_where_nothing_comes_through_there_is_no_report(tmp_path, monkeypatch):
    def failing(*arguments, **options):
        raise Failed("labelled_loss was not finite at step 3")

    monkeypatch.setattr(units, "run_group", failing)
    with pytest.raises(Failed, match="none of the 4 runs came through"):
        done(tmp_path)
    folder, = (WorkFolder(path.parent) for path in (tmp_path / "work").glob("*/run.json"))
    assert folder.facts["status"] == "FAILED" and not (folder.path / "report").exists()


def failing_score(group) -> None:
    """Fails as a diverged generator does, where the budget is 50."""
    if group.recipe.labels in failing_score.budgets:
        raise Mistake("generated images cannot be scored: some are not finite")
    for folder in group.folders:
        folder.finish_stage("score", 0.0)


@pytest.mark.parametrize("budgets", [(50,), (20, 50)])
def test_runs_that_fail_after_they_were_evaluated_have_failed_everywhere(tmp_path, monkeypatch, budgets):
    monkeypatch.setattr(run_module, "score", failing_score)
    monkeypatch.setattr(failing_score, "budgets", budgets, raising=False)
    pictures = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: pictures.append(figure.axes[0].get_title("left")))
    if len(budgets) == 2:
        with pytest.raises(NothingFinished, match="none of the 4 runs came through. The first: generated images cannot"
                           ) as failed:
            done(tmp_path)
        outcome = failed.value.found
    else:
        outcome = done(tmp_path)
    lost = [folder.fingerprint for folder in outcome.members if folder.facts["labels"] in budgets]
    assert [folder.facts["status"] == "FAILED" for folder in outcome.members] == [
        folder.fingerprint in lost for folder in outcome.members]
    found = as_plain(outcome.comparison)
    assert [(each["run_id"], each["status"]) for each in found["failed"]] == [(name, "FAILED") for name in lost]
    assert [row["n"] for row in found["series"][0]["table"]] == [2, 2]
    text = (outcome.folder.path / "report" / "report.md").read_text()
    assert text.count(" (failed)") == len(lost) == text.count("- evaluated, but not finished: ")
    assert pictures == [f"{len(lost)} of the runs failed"]
    assert outcome.folder.facts["status"] == ("FAILED" if len(budgets) == 2 else "FINISHED")


def test_a_lost_lane_stays_lost_and_its_group_comes_through(tmp_path, monkeypatch):
    trained = []
    found = Trainer.failures

    def failures(self):
        trained.append(self)
        return [Failure(1, 2, "labelled_loss")] if len(self.seeds) > 1 else found(self)

    monkeypatch.setattr(Trainer, "failures", failures)
    plan = replace(PLAN, lanes=2, seeds=((0, 0),))
    outcome = done(tmp_path, plan)
    good, lost = outcome.members
    assert (good.facts["status"] == "FINISHED" and lost.facts["status"] == "FAILED"
            and "not finite at step 2" in lost.facts["error"])
    assert [result.labels for result in outcome.comparison.failed] == [50]
    trained.clear()
    again = done(tmp_path, plan)
    assert (not trained and again.members[1].facts["status"] == "FAILED"
            and again.members[0].facts["status"] == "FINISHED")
    with pytest.raises(Failed, match="not finite at step 2"):
        run_group([Member(replace(RECIPE, labels=50), 0, 0, "digits")], small.digits(), setting(tmp_path))
    assert not trained
