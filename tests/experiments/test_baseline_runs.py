"""The baselines of a run: trained and fitted on its split, each once, and reported."""


from dataclasses import replace

import pytest
import small
from sklearn.dummy import DummyClassifier
from test_sweep import RECIPE, light, setting  # noqa: F401

from ssgan.config import override
from ssgan.evaluation.baselines import BASELINES, NO_GENERATOR, SUPERVISED, Fitted, TrainedWithout
from ssgan.experiments import baseline_runs, report, stages
from ssgan.experiments.eta import share
from ssgan.experiments.group_training import train_group
from ssgan.experiments.member import Group, Member
from ssgan.experiments.report.curve import picture
from ssgan.experiments.run import run_group
from ssgan.techniques import contrastive
from ssgan.techniques.contrastive_network import contrastive_network
from ssgan.tracking import views
from ssgan.tracking.workfolder import WorkFolder


def baselines(tmp_path, monkeypatch, *changes):
    """The errors of a run's baselines by name, and how many networks were trained, the run's own too."""
    trained = []
    for module in (stages, baseline_runs):
        monkeypatch.setattr(module, "train_group", lambda group, recipe, *rest, train=train_group, **options: (
            trained.append(recipe), train(group, recipe, *rest, **options))[1])
    recipe = override(RECIPE, ["labels=50", "evaluate.supervised=true", "evaluate.gan_off=true", *changes])
    folder, = run_group([Member(recipe, 0, 0)], small.digits(), setting(tmp_path))
    assert not list(folder.path.glob("checkpoint*"))
    measured = {name: value for _, _, _, values in folder.measurements() for name, value in values.items()}
    return {row["name"]: row["error"] for row in folder.facts["result"]["baselines"]}, trained, measured


def test_the_gan_off_baseline_keeps_consistency(tmp_path, monkeypatch):
    found, trained, measured = baselines(tmp_path, monkeypatch, "consistency.weight=5", "consistency.threshold=0.1",
                                         "consistency.start=0")
    assert [(recipe.gan.weight, recipe.consistency.weight) for recipe in trained] == [
        (1.0, 5.0), (0.0, 0.0), (0.0, 5.0)]
    assert set(found) == {SUPERVISED, NO_GENERATOR}
    assert measured["test/no_generator_error"] == found[NO_GENERATOR]
    assert measured["test/generator_gain"] == pytest.approx(found[NO_GENERATOR] - measured["test/error"])
    assert measured["by_labels/error_percent"] == pytest.approx(100 * measured["test/error"])
    assert {views.LABELS, views.PERCENT, views.ALONE, views.NO_GENERATOR, views.GAIN, views.GENERATOR} == {
        name for name in measured if "by_labels" in name}
    alone, _, other = baselines(tmp_path / "alone", monkeypatch, "gan.weight=0", "consistency.weight=5",
                                "consistency.threshold=0.1", "consistency.start=0")
    assert other["test/error"] == found[NO_GENERATOR] and set(alone) == {SUPERVISED}


def test_the_contrastive_start_is_found_once_for_the_recipe_and_its_gan_off_baseline(tmp_path, monkeypatch):
    made = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(contrastive, "contrastive_network", lambda *given: (made.append(given),
                                                                            contrastive_network(*given))[1])
    _, trained, _ = baselines(tmp_path, monkeypatch, "contrastive.weight=1", "contrastive.steps=2",
                              "contrastive.grouping_steps=1", "augment.shift=1")
    assert [recipe.contrastive.weight for recipe in trained] == [1.0, 0.0, 1.0] and len(made) == 1


def test_without_consistency_it_is_the_supervised_one_and_is_not_trained_twice(tmp_path, monkeypatch):
    found, trained, _ = baselines(tmp_path, monkeypatch)
    assert len(trained) == 2 and found[NO_GENERATOR] == found[SUPERVISED]


def test_a_baseline_of_a_persons_own_is_one_line(tmp_path, monkeypatch):
    """It is trained or fitted, measured, counted in the time left, and reported."""
    monkeypatch.setitem(BASELINES, "no balance", TrainedWithout(
        "no balance", "same recipe, classes as they come", "gan_off", 1.0, off=("class_balance",),
        where="class_balance.weight", gain="balance_gain"))
    monkeypatch.setitem(BASELINES, "first class", Fitted(
        "first class", "a constant", "classical", 0.01, DummyClassifier(strategy="constant", constant=0).fit,
        unlabelled=False))
    found, trained, measured = baselines(
        tmp_path, monkeypatch, "class_balance.weight=1", "evaluate.supervised=false", "evaluate.classical=true")
    assert list(found) == [NO_GENERATOR, "no balance", "LabelSpreading", "SelfTraining", "SVM", "first class"]
    weights = [(recipe.gan.weight, recipe.class_balance.weight) for recipe in trained]
    assert weights == [(1.0, 1.0), (0.0, 1.0), (1.0, 0.0)]
    assert measured["test/no_balance_error"] == found["no balance"]
    assert measured["test/first_class_error"] == found["first class"] == pytest.approx(0.9, abs=0.01)
    assert measured["by_labels/no_balance_percent"] == pytest.approx(100 * found["no balance"])
    assert measured["test/balance_gain"] == pytest.approx(found["no balance"] - measured["test/error"])
    recipe = override(RECIPE, ["evaluate.gan_off=true", "class_balance.weight=1"])
    assert share(recipe, "no-generator", 1.0) == share(recipe, "no-balance", 0.0) < share(recipe, "no-balance", 1.0)
    folder, = WorkFolder.all(tmp_path)
    compared = report.compare([report.of_folder(folder)])
    written = report.markdown(compared, "digits")
    assert "no balance" in written and "first class" in written and picture(compared, "digits").startswith(b"\x89PNG")


class Fits:
    """Every fit of scikit-learn's methods: which ones."""

    def __init__(self, monkeypatch):
        self.names, of_fitted = [], baseline_runs.measure_fitted
        monkeypatch.setattr(baseline_runs, "measure_fitted", lambda wanted, *given: (
            self.names.append([baseline.name for baseline in wanted]), of_fitted(wanted, *given))[1])


def fitted_group(tmp_path, *changes):
    recipe = override(RECIPE, ["labels=50", "evaluate.classical=true", *changes])
    return (Group([Member(recipe, 0, 0)], [WorkFolder.create(tmp_path, "f")], small.digits(), small.FP32),
            [small.split(recipe, small.digits())])


def test_what_another_process_has_fitted_is_not_fitted_again(tmp_path, monkeypatch):
    fits = Fits(monkeypatch)
    group, (table,) = fitted_group(tmp_path)
    first = baseline_runs.fit(group, 0, table)
    assert [measured.name for measured in first] == fits.names[0] == ["LabelSpreading", "SelfTraining", "SVM"]
    baseline_runs.fit_all(group, [table])
    assert len(fits.names) == 2
    for mine, its in zip(first, baseline_runs.fit(group, 0, table), strict=True):
        assert replace(mine, seconds=0) == replace(its, seconds=0) and its.seconds > 0
    monkeypatch.setitem(BASELINES, "first class", Fitted(
        "first class", "a constant", "classical", 0.01, DummyClassifier(strategy="constant", constant=0).fit,
        unlabelled=False))
    assert [measured.name for measured in baseline_runs.fit(group, 0, table)] == [*fits.names[0], "first class"]
    assert fits.names[2:] == [["first class"]]
    baseline_runs.forget(group.folders[0])
    baseline_runs.fit(group, 0, table)
    assert len(fits.names[-1]) == 4


@pytest.mark.parametrize("content", ["", "[", "{}", '[{"name": "SVM"}]', '[{"nobody": 1}]', "[1]"])
def test_a_broken_file_of_fits_is_none(tmp_path, monkeypatch, content):
    fits = Fits(monkeypatch)
    group, (table,) = fitted_group(tmp_path)
    (group.folders[0].path / baseline_runs.FITTED).write_text(content)
    assert len(baseline_runs.fit(group, 0, table)) == len(fits.names[0]) == 3


def test_nothing_is_saved_where_nothing_is_to_be_fitted(tmp_path):
    group, tables = fitted_group(tmp_path, "evaluate.classical=false")
    baseline_runs.fit_all(group, tables)
    assert not (group.folders[0].path / baseline_runs.FITTED).exists()
