"""The error without a test part: folds, against trainings made one by one; resumed, skipped, and where it is not known."""

import json
from dataclasses import replace

import numpy as np
import pytest
import small
import torch
from click.testing import CliRunner
from sklearn.metrics import precision_recall_fscore_support
from test_sweep import RECIPE, light, setting  # noqa: F401

from ssgan import api
from ssgan.cli import main, run_summary
from ssgan.config import override
from ssgan.data import named
from ssgan.data.dataset import Dataset
from ssgan.data.folds import make_folds
from ssgan.data.images import Images
from ssgan.data.splits import load
from ssgan.errors import Mistake
from ssgan.evaluation.metrics import error_interval
from ssgan.experiments import cross_validation, report
from ssgan.experiments.eta import share
from ssgan.experiments.grid import Plan
from ssgan.experiments.group_training import train_group
from ssgan.experiments.member import Member
from ssgan.experiments.run import run_group, stage_again, summary
from ssgan.experiments.sweep import run_sweep
from ssgan.experiments.tune import run_tune
from ssgan.export.model_card import card_of, of_strings
from ssgan.tracking import StoredRun
from ssgan.training import in_memory
from ssgan.training.loop import Interrupted
from ssgan.training.trained_model import TrainedModel

NAMES = ("zero", "one", "two", "three")
OWN = override(RECIPE, ["labels=60", "train.epochs=3", "evaluate.classical=true"])


def own(known: tuple[int, ...] = (4, 20, 30, 60), unknown: int = 150) -> Dataset:
    """Some digits of four classes as a person's own images: so many of each class are labelled, none is for a test."""
    digits = small.digits().train
    of_class = [(digits.labels == label).nonzero()[:, 0] for label in range(4)]
    chosen = torch.cat([*(images[:count] for images, count in zip(of_class, known)),
                        torch.cat([images[count:] for images, count in zip(of_class, known)])[:unknown]])
    labels = digits.labels[chosen].where(torch.arange(len(chosen)) < sum(known), -1)
    return Dataset("folder:made", Images.of(digits.pixels[chosen], labels, NAMES), None)


DATA = own()


def run(folder, recipe=OWN, data=DATA, **options):
    found, = run_group([Member(recipe, 0, 0)], data, setting(folder), **options)
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing disturbed."""
    return run(tmp_path_factory.mktemp("whole"))


def trainings(monkeypatch, stop_at: int | None = None) -> list[tuple[str, object, object]]:
    """What is trained for folds from here on: stage, split, trainer. In the training `stop_at` it is stopped."""
    found = []

    def watched(group, recipe, tables, stage, *rest, **options):
        if stop_at == len(found):
            raise Interrupted(3)
        trainer = train_group(group, recipe, tables, stage, *rest, **options)
        found.append((stage, tables[0], trainer))
        return trainer

    monkeypatch.setattr(cross_validation, "train_group", watched)
    return found


def test_the_error_is_that_of_trainings_without_the_held_out_images(whole):
    split = load(whole.path / "split" / "split.npz")
    labels = DATA.train.labels.numpy()
    folds = make_folds(DATA.train, split)
    assert np.bincount(labels[split.labelled]).tolist() == [2, 10, 16, 32] and folds.kept == {0: 2}
    truths, answers = [], []
    for fold in folds.tables:
        seen = set(fold.labelled) | set(fold.unlabelled)
        assert not seen & set(fold.test) and seen | set(fold.test) == set(range(len(DATA.train)))
        logits_of = in_memory.train(OWN, DATA.train, fold, 0, device="cpu").classifier()
        for image in fold.test.tolist():
            answers.append(int(logits_of(DATA.train.gather(torch.tensor([image]))).argmax()))
            truths.append(int(labels[image]))
    found = summary(whole)
    wrong = sum(answer != truth for answer, truth in zip(answers, truths))
    assert 0 < wrong < len(truths) == 58
    assert (found["test_wrong"], found["test_total"], found["test_error"]) == (wrong, 58, wrong / 58)
    assert (found["error_from"], found["folds"], found["not_estimated"]) == ("cross-validation", 5, {"zero": 2})
    assert found["test_error_interval"] == pytest.approx(error_interval(wrong, 58))
    precision, recall, f1, n = precision_recall_fscore_support(truths, answers, labels=range(4), zero_division=np.nan)
    for label, name in enumerate(NAMES[1:], 1):
        values = {"recall": recall[label], "precision": precision[label], "f1": f1[label], "n": n[label]}
        told = {score: np.nan if value is None else value for score, value in found["per_class"][name].items()}
        assert told == pytest.approx(values, nan_ok=True)
    assert found["per_class"]["zero"] == {"recall": None, "precision": None, "f1": None, "n": 0}
    assert found["balanced_error"] == pytest.approx(1 - np.mean(recall[1:])) and found["uneven_classes"]
    json.dumps(found, allow_nan=False)


def test_the_run_itself_is_trained_on_all_labels_and_keeps_what_it_answered(whole):
    split = load(whole.path / "split" / "split.npz")
    assert len(split.labelled) == 60 and len(split.unlabelled) == len(DATA.train) and not len(split.test)
    with np.load(whole.path / "evaluate" / "cross-validation.npz") as saved:
        assert set(saved["index"]) < set(split.labelled) and len(set(saved["index"])) == 58
        np.testing.assert_array_equal(saved["labels"], DATA.train.labels.numpy()[saved["index"]])
    measured = {name: value for _, _, _, values in whole.measurements() for name, value in values.items()}
    assert measured["cross_validation/error"] == summary(whole)["test_error"] and "test/error" not in measured
    assert measured["by_labels/error_percent"] == pytest.approx(100 * measured["cross_validation/error"])
    assert {f"cross_validation/{name}" for name in ("balanced_error", "recall/two", "precision/three", "f1/one",
                                                    "n/two", "svm_error")} <= set(measured)
    assert not list(whole.path.glob("checkpoint*")) and not (whole.path / "evaluate" / "test.npz").exists()
    rows = whole.facts["result"]["baselines"]
    assert [row["name"] for row in rows] == ["LabelSpreading", "SelfTraining", "SVM"]
    assert all(row["total"] == 58 and row["error"] == row["wrong"] / 58 for row in rows)
    for row in rows:  # over all folds' images of a class, of those classes that have some
        assert row["class_total"] == [0, 10, 16, 32] and sum(row["class_wrong"]) == row["wrong"]
        balanced = np.mean([row["class_wrong"][label] / row["class_total"][label] for label in (1, 2, 3)])
        assert row["balanced_error"] == pytest.approx(balanced)
        assert summary(whole)["balanced_baselines"][row["name"]] == row["balanced_error"]
        name = row["name"].lower()
        assert measured[f"cross_validation/{name}_balanced_error"] == row["balanced_error"]


def test_a_person_is_told_what_the_error_is_of(whole, capsys):
    run_summary.show(whole, summary(whole), False)
    told = capsys.readouterr().out
    assert "wrong of 58 labelled images, each held out once; 95 % interval" in told and "of these images only" in told
    assert "5 models, each trained on 4/5 of the labels" in told
    assert "zero (2): fewer labels than the 5 folds" in told
    assert "balanced error" in told and "by class" in told and "test error" not in told and "test images" not in told
    row, = [row for row in whole.facts["result"]["baselines"] if row["name"] == "SVM"]
    line, = [line for line in told.splitlines() if line.strip().startswith("SVM")]
    assert f"{100 * row['error']:.2f} %  balanced {100 * row['balanced_error']:6.2f} %" in line


def test_killed_between_folds_it_goes_on_with_the_rest(whole, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        first = trainings(patch, stop_at=2)
        with pytest.raises(Interrupted):
            run(tmp_path)
    assert [stage for stage, _, _ in first] == ["fold 1 of 5", "fold 2 of 5"]
    again = trainings(monkeypatch)
    folder = run(tmp_path)
    assert [trainer.steps - trainer.first for _, _, trainer in again][:2] == [0, 0]
    assert all(trainer.first == 0 for _, _, trainer in again[2:]) and len(again) == 5
    assert folder.facts["result"]["evaluation"] == whole.facts["result"]["evaluation"]
    assert not list(folder.path.glob("checkpoint*"))


def test_no_held_out_image_is_in_what_is_trained_on_and_no_network_beside_the_folds(tmp_path, monkeypatch):
    found = trainings(monkeypatch)
    folder = run(tmp_path, override(OWN, ["pictures.steps=3", "evaluate.supervised=true", "evaluate.gan_off=true",
                                          "evaluate.classical=false", "split.validation=9"]))
    held = [set(table.test.tolist()) for _, table, _ in found]
    split = load(folder.path / "split" / "split.npz")
    assert len(held) == 5 and sum(map(len, held)) == len(set.union(*held))
    for _, table, trainer in found:
        assert not set(table.test) & (set(table.labelled) | set(table.unlabelled) | set(table.validation))
        assert table.validation.tolist() == split.validation.tolist() and len(split.validation) == 9
        assert trainer.recipe.pictures.steps == 0, "what is trained after the classifier does not bear on its error"
    assert folder.facts["result"]["baselines"] == []


def test_what_is_left_out_can_be_made_up_for(whole, tmp_path, monkeypatch, capsys):
    found = trainings(monkeypatch)
    place = replace(setting(tmp_path), estimate=False)
    folder, = run_group([Member(OWN, 0, 0)], DATA, place)
    told = summary(folder)
    assert found == [] and folder.facts["status"] == "FINISHED"
    assert (told["error_from"], told["test_error"], told["balanced_error"], told["per_class"]) == (
        "none", None, None, None)
    run_summary.show(folder, told, False)
    assert "not known: left out by --no-estimate" in capsys.readouterr().out
    stage_again(folder, Member(OWN, 0, 0), DATA, setting(tmp_path), "evaluate")
    assert len(found) == 5 and summary(folder)["test_error"] == summary(whole)["test_error"]


@pytest.mark.parametrize(("known", "labels"), [((20, 20, 20, 20), 4), ((1, 1, 1, 60), 40)])
def test_where_nothing_can_be_estimated_it_is_said(tmp_path, known, labels, monkeypatch, capsys):
    found, data = trainings(monkeypatch), own(known)
    folder = run(tmp_path, replace(OWN, labels=labels), data)
    told = summary(folder)
    assert found == [] and (told["error_from"], told["test_error"], told["test_error_interval"]) == ("none", None, None)
    run_summary.show(folder, told, False)
    assert "nothing can be estimated: fewer than two classes have two labels" in capsys.readouterr().out
    assert not any("error" in name.partition("/")[2] for _, _, _, values in folder.measurements()
                   for name in values if name.startswith(("test/", "cross_validation/")))


def test_a_training_that_is_lost_leaves_the_error_unknown(tmp_path, monkeypatch):
    def lost(group, recipe, tables, stage, *rest, **options):
        trainer = train_group(group, recipe, tables, stage, *rest, **options)
        if stage == "fold 3 of 5":
            small.spoil(trainer, 0)
        return trainer

    monkeypatch.setattr(cross_validation, "train_group", lost)
    folder = run(tmp_path)
    told = summary(folder)
    assert folder.facts["status"] == "FINISHED" and told["error_from"] == "none" and told["test_error"] is None
    assert "in fold 3 of 5, training failed" in told["error_reason"]


def test_members_that_train_at_once_have_folds_of_their_own(whole, tmp_path, monkeypatch):
    members = [Member(OWN, 0, 0), Member(replace(OWN, labels=20), 1, 1)]
    with monkeypatch.context() as patch:
        first = trainings(patch, stop_at=7)
        with pytest.raises(Interrupted):
            run_group(members, DATA, setting(tmp_path))
    again = trainings(monkeypatch)
    folders = run_group(members, DATA, setting(tmp_path))
    assert len(first) == 7 and [trainer.first == trainer.steps for _, _, trainer in again] == 7 * [True] + (
        len(again) - 7) * [False]
    assert folders[0].facts["result"]["evaluation"] == whole.facts["result"]["evaluation"]
    assert folders[1].facts["result"]["evaluation"]["folds"] == len(again) - 5
    assert not [path for folder in folders for path in folder.path.glob("checkpoint-*")]


def test_a_sweep_has_the_folds_of_every_member_and_says_so(whole, tmp_path):
    plan = Plan(replace(OWN, labels=1), "mine", (20, 60), ((0, 0), (1, 1)))
    outcome = run_sweep(plan, DATA, setting(tmp_path))
    first = next(folder for folder in outcome.members if (folder.facts["labels"], folder.facts["seed"]) == (60, 0))
    assert first.facts["result"]["evaluation"] == whole.facts["result"]["evaluation"]
    assert all(folder.facts["result"]["evaluation"]["error_from"] == "cross-validation" for folder in outcome.members)
    text = report.markdown(outcome.comparison, "mine")
    assert "| labels | cross-validated error, % |" in text and "balanced, %" in text and "est error" not in text
    page = report.page(outcome.comparison, "mine", report.pictures(outcome.comparison))
    assert "% cross-validated error" in page and "<summary>By class</summary>" in page and "held-out images" in page
    told = report.as_plain(outcome.comparison)["series"][0]
    assert told["error_from"] == ["cross-validation"] and told["table"][1]["balanced_error"]["n"] == 2
    stored = [report.of_stored(_stored(folder)) for folder in outcome.members]
    for result, folder in zip(stored, outcome.members):
        known = report.of_folder(folder)
        for name in ("error", "total", "error_from", "balanced_error", "baselines", "balanced_baselines", "uneven"):
            assert getattr(result, name) == getattr(known, name)
        assert {name: scores for name, scores in known.by_class.items() if scores["n"]} == {
            name: scores for name, scores in result.by_class.items() if scores["n"]}
    with pytest.raises(Mistake, match="--labels 4: folder:made has no test part"):
        run_sweep(replace(plan, budgets=(4, 20)), DATA, setting(tmp_path))


def test_tuning_needs_no_test_part(tmp_path):
    plan = Plan(OWN, "mine", (20,), ((0, 1000), (1, 1001)), ("train.learning_rate=0.001,0.003",))
    found = run_tune(plan, DATA, setting(tmp_path), 20)
    assert all(trial.error is not None for rows in found.budgets.values() for row in rows for trial in row.trials)
    assert not found.lost and found.validation == 20


def test_the_time_left_counts_folds():
    stages = cross_validation.stages(DATA, OWN)
    assert stages == tuple(f"fold {number} of 5" for number in range(1, 6))
    assert cross_validation.stages(small.digits(), OWN) == () == cross_validation.stages(own((9, 9, 9, 9)), replace(
        OWN, labels=4))
    recipe = override(OWN, ["evaluate.supervised=true", "evaluate.gan_off=true"])
    shares = [share(recipe, stage, part, folds=stages) for stage in ("train", *stages) for part in (0.5, 1.0)]
    assert shares == sorted(shares) and len(set(shares)) == 12
    assert shares[1] == pytest.approx(1 / 6, abs=0.02) and shares[-1] > 0.95


def test_no_estimate_on_the_command_line_and_in_memory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(named, "load", lambda name, place, reading=None: DATA)
    monkeypatch.setattr(cross_validation, "train_group", lambda *_, **__: pytest.fail("a fold was trained"))
    changes = ["--set", "train.epochs=1", "--set", "model.widths=[8]", "--set", "model.generator_widths=[8]", "--set",
               "pictures.steps=0", "--set", "score.samples=30", "--set", "score.splits=2", "--tracking-uri", "none"]
    done = CliRunner().invoke(main, ["run", "--dataset", "digits", "--labels", "20", *changes, "--no-estimate",
                                     "--json"])
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["error_from"] == "none" and found["test_error"] is None and found["fid"] > 0
    done = CliRunner().invoke(main, ["evaluate", "latest", "--no-estimate", "--tracking-uri", "none", "--json"])
    assert json.loads(done.stdout.splitlines()[-1])["error_from"] == "none"
    with pytest.raises(Mistake, match="no test part"):
        api.evaluate(api.load_run("latest", tracking_uri="none"), DATA)


def test_what_is_handed_on_says_what_its_error_is(whole):
    card = card_of(TrainedModel.of_run(whole))
    assert (card.test_error, card.error_from) == (summary(whole)["test_error"], "cross-validation")
    assert of_strings(card.strings(), "it") == card
    older = {key: text for key, text in card.strings().items() if key != "ssgan.error_from"}
    assert of_strings(older, "it") == replace(card, error_from="test")


def test_a_table_against_the_clock_needs_a_test_part(monkeypatch):
    monkeypatch.setattr(named, "load", lambda name, place, reading=None: DATA)
    done = CliRunner().invoke(main, ["bench", "--recipe", "digits", "--lanes", "none", "--table", "1", "--labels", "20",
                                     "--seeds", "1", "--set", "split.balance=proportional"])
    assert done.exit_code == 2 and "--table: folder:made has no test part" in done.stderr


def _stored(folder) -> StoredRun:
    """A run as a store gives it back."""
    metrics = {name: value for _, _, _, values in folder.measurements() for name, value in values.items()}
    params = {key: value if isinstance(value, str) else json.dumps(value)
              for key, value in folder.facts["params"].items()}
    return StoredRun("id", folder.facts["name"], "FINISHED", 0.0, params, metrics, {}, 264, lambda path: None)
