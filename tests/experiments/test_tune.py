"""Tuning: what judges a value, what is not done again, what is said of the best, and that no test image has a part in
it.
"""

import statistics
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import small
import torch
from sealed import permuted, unreadable

from ssgan.config import override
from ssgan.data.dataset import Dataset
from ssgan.data.splits import load, most_validation
from ssgan.errors import Failed, Mistake
from ssgan.experiments import scheduler as members
from ssgan.experiments import units
from ssgan.experiments.grid import Plan
from ssgan.experiments.member import Member
from ssgan.experiments.progress import Progress
from ssgan.experiments.run import TUNE_TAG, Setting, run_group
from ssgan.experiments.tune import Row, Trial, Tuning, as_plain, markdown, run_tune, verdict
from ssgan.models import build_discriminator
from ssgan.models.context import Context
from ssgan.random_streams import torch_generator
from ssgan.recipes import read
from ssgan.tracking import SWEEP_TAG
from ssgan.tracking.workfolder import WorkFolder
from ssgan.training import checkpoint as checkpoints
from ssgan.training.loop import Interrupted

RECIPE = override(read("digits").recipe, ["train.epochs=2", "train.batch=100", "train.averaging_rate=0.1",
                                          "model.widths=[16]", "model.generator_widths=[16]",
                                          "train.initialise_images=50", "pictures.steps=0"])
PLAN = Plan(RECIPE, "digits", (20, 50), ((0, 1000), (1, 1001)), ("gan.weight=0,1",))
IMAGES = 60


def setting(folder: Path) -> Setting:
    return Setting(folder / "work", None, "cpu", progress=Progress(quiet=True))


def done(folder: Path, plan: Plan = PLAN, dataset: Dataset | None = None, **options) -> Tuning:
    return run_tune(plan, dataset or small.digits(), setting(folder), **{"validation": IMAGES} | options)


def table(found: Tuning) -> dict:
    """The errors by budget and value, seed by seed."""
    return {labels: [(row.grid, [(trial.seed, trial.split_seed, trial.error) for trial in row.trials]) for row in rows]
            for labels, rows in found.budgets.items()}


def trials(found: Tuning) -> list[Trial]:
    return [trial for rows in found.budgets.values() for row in rows for trial in row.trials]


def stamps(found: Tuning) -> dict[str, int]:
    return {trial.folder.fingerprint: (trial.folder.path / "train" / "model.pt").stat().st_mtime_ns
            for trial in trials(found)}


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Tuning:
    """A tuning that nothing disturbed."""
    return done(tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize("lanes", [1, 4])
def test_each_error_is_the_saved_classifiers_on_the_splits_validation_images(whole, tmp_path, lanes):
    found, images = whole if lanes == 1 else done(tmp_path, replace(PLAN, lanes=lanes)), small.digits().train
    for trial in trials(found):
        assert len(trial.folder.facts["group"]) == lanes
        split = load(trial.folder.path / "split" / "split.npz")
        assert len(split.validation) == IMAGES and split.split_seed == trial.split_seed == 1000 + trial.seed
        assert not np.isin(split.validation, np.concatenate([split.labelled, split.unlabelled])).any()
        network = build_discriminator(RECIPE.model, images.shape, 10, torch_generator(0))
        network.load_state_dict(checkpoints.load(trial.folder.path / "train" / "model.pt")["discriminator"])
        with torch.no_grad():
            answers = network(images.pixels[split.validation].float() / 255, Context())[0].argmax(1)
        assert trial.error == (answers != images.labels[split.validation]).sum().item() / IMAGES


def test_the_table_is_sorted_and_its_numbers_are_those_of_its_seeds(whole):
    plain = as_plain(whole)
    assert ((plain["validation"], plain["training_images"], plain["lost"]) == (IMAGES, 1437, 0)
            and [budget["labels"] for budget in plain["budgets"]] == [20, 50])
    for budget in plain["budgets"]:
        assert (sorted(row["grid"]["gan.weight"] for row in budget["rows"]) == [0.0, 1.0]
                and budget["best"] == budget["rows"][0]["grid"])
        errors = [[run["validation_error"] for run in row["runs"]] for row in budget["rows"]]
        assert [row["mean"] for row in budget["rows"]] == sorted(map(statistics.mean, errors))
        assert [(row["n"], row["std"], row["median"]) for row in budget["rows"]] == \
            [(2, pytest.approx(np.std(found, ddof=1)), pytest.approx(np.median(found))) for found in errors]
        assert (budget["difference"]["mean"] == pytest.approx(np.mean(errors[1]) - np.mean(errors[0]))
                and all(row["seconds"] > 0 for row in budget["rows"]))
    text = markdown(whole)
    assert "on 60 validation images of each of 2 splits, held out of the 1,437 training images" in text
    assert "(4 %; one image is 1.67 points)" in text
    assert len([line for line in text.splitlines() if line.startswith(("| 20 ", "| 50 "))]) == 4


def test_members_stop_after_training_and_are_marked(whole):
    assert (whole.folder.facts["name"] == "digits · tune: 20, 50 labels × 2 seeds × gan.weight=0,1"
            and whole.folder.facts["status"] == "FINISHED")
    assert (whole.folder.facts["tags"]["ssgan.kind"] == "tune-summary"
            and "| labels |" in whole.folder.facts["tags"]["mlflow.note.content"])
    for trial in trials(whole):
        facts = trial.folder.facts
        assert facts["status"] == "FINISHED" and set(facts["stages"]) == {"split", "train"} and "result" not in facts
        assert (facts["tags"][TUNE_TAG] == whole.folder.fingerprint and facts["tags"]["ssgan.kind"] == "tune"
                and SWEEP_TAG not in facts["tags"])


def test_what_is_trained_is_not_trained_again(whole, tmp_path):
    place = Setting(whole.folder.path.parent, None, "cpu", progress=Progress(quiet=True))
    before = stamps(whole)
    again = run_tune(PLAN, small.digits(), place, IMAGES)
    assert stamps(again) == before and table(again) == table(whole) and again.folder.path == whole.folder.path
    more = run_tune(replace(PLAN, grid=("gan.weight=1,0,2",), budgets=(50,)), small.digits(), place, IMAGES)
    assert len(set(stamps(more).items()) & set(before.items())) == 4 and len(trials(more)) == 6
    assert all(len(trial.folder.facts["tags"][TUNE_TAG].split()) == (2 if trial.folder.fingerprint in before else 1)
               for trial in trials(more))


def test_a_run_of_ssgan_train_with_the_same_settings_is_used_and_stays_a_run(whole, tmp_path):
    member = Member(override(RECIPE, ["labels=50", f"split.validation={IMAGES}", "gan.weight=0"]), 1, 1001, "digits")
    folder, = run_group([member], small.digits(), setting(tmp_path), until="train")
    before = (folder.path / "train" / "model.pt").stat().st_mtime_ns
    found = done(tmp_path)
    assert stamps(found)[folder.fingerprint] == before and table(found) == table(whole)
    assert folder.facts["tags"][TUNE_TAG] == found.folder.fingerprint and "ssgan.kind" not in folder.facts["tags"]


def test_an_interrupted_tuning_goes_on_where_it_stopped(whole, tmp_path):
    place, begun = setting(tmp_path), []
    begin = place.progress.begin

    def stopping(*arguments):
        begun.append(arguments)
        place.stop.requested = len(begun) == 3
        begin(*arguments)

    place.progress.begin = stopping
    with pytest.raises(Interrupted):
        run_tune(PLAN, small.digits(), place, IMAGES)
    summary, = (folder for folder in WorkFolder.all(tmp_path) if folder.facts.get("kind") == "tune-summary")
    assert summary.facts["status"] == "KILLED" and list(tmp_path.glob("work/*/checkpoint.pt"))
    first = {path.parent.parent.name: path.stat().st_mtime_ns for path in tmp_path.glob("work/*/train/model.pt")}
    found = done(tmp_path)
    assert table(found) == table(whole) and first.items() <= stamps(found).items() and len(first) == 3
    assert summary.facts["status"] == "FINISHED" and not list(tmp_path.glob("work/*/checkpoint.pt"))


@pytest.mark.slow
def test_workers_do_what_one_process_does_and_stop_after_training_too(whole, tmp_path):
    plan = replace(PLAN, budgets=(50,))
    found = done(tmp_path, plan, workers=2)
    assert (table(found)[50] == table(whole)[50]
            and {name for trial in trials(found) for name in trial.folder.facts["stages"]} == {"split", "train"})
    assert stamps(done(tmp_path, plan, workers=2)) == stamps(found)


def test_no_test_image_and_no_test_label_is_read(whole, tmp_path):
    sealed = unreadable(small.digits())
    assert table(done(tmp_path, dataset=sealed)) == table(whole)
    member = Member(override(RECIPE, ["labels=50"]), 0, 1000)
    folder, = run_group([member], sealed, setting(tmp_path), until="train")
    assert folder.stage_finished("train")
    with pytest.raises(AssertionError, match="the test images were asked for their"):
        run_group([member], sealed, setting(tmp_path), until="evaluate")  # the seal holds


def test_other_test_labels_change_nothing(whole, tmp_path):
    other = permuted(small.digits())
    assert (other.test.labels != small.digits().test.labels).sum() > 100
    found = done(tmp_path, dataset=other)
    assert table(found) == table(whole) and not set(stamps(found)) & set(stamps(whole))


def test_by_default_a_sixth_is_held_out_or_what_the_recipe_says_or_what_the_budget_leaves(tmp_path, monkeypatch):
    monkeypatch.setattr(members, "run_unit", lambda *arguments: "not now")

    def held_out(**changes) -> int:
        with pytest.raises(Failed, match="none of the 1 runs came through"):
            done(tmp_path, replace(PLAN, seeds=((0, 1000),), grid=("gan.weight=0",), **{"budgets": (20,)} | changes),
                 validation=None)
        newest = max(WorkFolder.all(tmp_path), key=lambda folder: folder.facts["created"])
        return newest.facts["params"]["validation"]

    assert held_out() == 1437 // 6 and held_out(recipe=override(RECIPE, ["split.validation=33"])) == 33
    assert held_out(budgets=(1350,)) == most_validation(small.digits(), 1350) < 1437 // 6


@pytest.mark.parametrize("fault", [RuntimeError("the device is on fire"), ArithmeticError("no solution")])
def test_a_value_whose_runs_are_lost_is_told_and_stands_last(tmp_path, monkeypatch, fault):
    def failing(unit, *arguments, **options):
        if unit[0].recipe.gan.weight == 1 and unit[0].seed == 0:
            raise fault
        return run_group(unit, *arguments, **options)

    monkeypatch.setattr(units, "run_group", failing)
    found = done(tmp_path, replace(PLAN, budgets=(50,)))
    first, second = found.budgets[50]
    assert ((first.grid["gan.weight"], second.grid["gan.weight"]) == (0.0, 1.0)
            and (len(first.errors), len(second.errors)) == (2, 1))
    assert [(trial.seed, trial.error) for trial in found.lost] == [(0, None)] and as_plain(found)["lost"] == 1
    assert (verdict([first, second]) == "gan.weight=0.0 is best: with gan.weight=1.0 1 of 2 runs were lost."
            and "| lost, " in markdown(found))
    monkeypatch.undo()
    assert not done(tmp_path, replace(PLAN, budgets=(50,))).lost


def test_where_nothing_comes_through_it_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(members, "run_unit", lambda *arguments: "the device is on fire")
    with pytest.raises(Failed, match="none of the 8 runs came through"):
        done(tmp_path)


def row(value: float, *errors: float | None) -> Row:
    return Row({"train.learning_rate": value},
               tuple(Trial(seed, 1000 + seed, error, WorkFolder(Path("unused"))) for seed, error in enumerate(errors)))


@pytest.mark.parametrize(("rows", "said"), [
    ([row(0.1, 0.02, 0.03, 0.05), row(0.2, 0.04, 0.05, 0.071)],
     "train.learning_rate=0.1 is best, 2.03 points better than train.learning_rate=0.2 in the mean of 3 seeds (paired "
     "by seed, 95 % interval 1.89 to 2.18): "
     "more than the seeds' spread."),
    ([row(0.1, 0.02, 0.03, 0.05), row(0.2, 0.02, 0.02, 0.08)],
     "train.learning_rate=0.1 is best, 0.67 points better than train.learning_rate=0.2 in the mean of 3 seeds (paired "
     "by seed, 95 % interval -4.50 to 5.84): "
     "no more than the seeds' spread, so either may be the better one."),
    ([row(0.1, 0.02), row(0.2, 0.05)],
     "train.learning_rate=0.1 is best, train.learning_rate=0.2 is second; with fewer than two seeds in common nothing "
     "can be said of whether they differ."),
    ([row(0.1, 0.02, None), row(0.2, None, 0.05)],
     "train.learning_rate=0.1 is best, train.learning_rate=0.2 is second; with fewer than two seeds in common nothing "
     "can be said of whether they differ."),
    ([row(0.1, 0.02, 0.04), row(0.2, 0.03, 0.05)],
     "train.learning_rate=0.1 is best, train.learning_rate=0.2 is second: it is 1.00 points better with every seed "
     "alike, so the 2 seeds tell nothing of the spread."),
    ([row(0.1, 0.02, 0.04), row(0.2, 0.02, 0.04)],
     "train.learning_rate=0.1 is best, train.learning_rate=0.2 is second: they are equal with every seed, so the 2 "
     "seeds tell nothing of the spread."),
    ([row(0.1, 0.02, 0.04)], "train.learning_rate=0.1 is the only value."),
    ([row(0.1, None, None), row(0.2, None, None)], "no run came through."),
], ids=lambda value: value if isinstance(value, str) else "")
def test_the_verdict_says_no_more_than_the_seeds_tell(rows, said):
    assert verdict(rows) == said


@pytest.mark.parametrize(("change", "words"), [
    ({"grid": ()}, "nothing to choose from"),
    ({"seeds": ((0, 1000), (1, 999))}, "split seed 999: tuning takes split seeds from 1000 on. Those below are for "
                                       "results"),
    ({"seeds": ((0, 0),)}, "split seed 0"),
    ({"grid": ("train.epoch=1,2",)}, "did you mean train.epochs"),
    ({"grid": ("split.validation=60,120",)}, "name their number with --validation"),
    ({"grid": ("score.samples=60,120",)}, "does not change the classifier"),
    ({"grid": ("evaluate.classical=true,false",)}, "it changes no training"),
    ({"budgets": (20, 105)}, "--labels 105: digits has 10 classes"),
    ({"budgets": (20, 5000)}, "the largest budget is"),
    ({"budgets": (1400,)}, "the largest budget is|would be left to judge by"),
    ({"validation": 1500}, "--validation 1500: beside 50 labels digits has room for 1[0-9]{3}; try --validation "
                           "1[0-9]{3}"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_what_is_no_honest_tuning_is_a_mistake_before_anything_is_written(tmp_path, change, words):
    asked = {"validation": change["validation"]} if "validation" in change else {}
    with pytest.raises(Mistake, match=words) as caught:
        done(tmp_path, replace(PLAN, **{key: value for key, value in change.items() if key != "validation"}), **asked)
    assert len(str(caught.value).splitlines()) <= 3 and not list(tmp_path.iterdir())


def test_a_budget_that_labels_a_whole_class_leaves_nothing_to_judge_by(tmp_path):
    smallest = int(torch.bincount(small.digits().train.labels).min())
    with pytest.raises(Mistake, match="would be left to judge by; take fewer labels"):
        done(tmp_path, replace(PLAN, budgets=(10 * smallest,)))
