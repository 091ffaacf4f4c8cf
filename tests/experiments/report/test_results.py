"""Results of runs as a work folder and a store tell them."""


import pytest

from ssgan.evaluation.baselines import SUPERVISED
from ssgan.experiments.report import compare, of_folder
from ssgan.experiments.report.results import of_stored
from ssgan.tracking import StoredRun
from ssgan.tracking.workfolder import WorkFolder

FACTS = {
    "name": "digits · 20 labels · seed 3", "dataset": "digits", "labels": 20, "seed": 3, "split_seed": 4,
    "recipe_name": "digits", "status": "FINISHED", "ended": 7.0,
    "params": {"dataset": "digits", "labels": 20, "seed": 3, "split_seed": 4, "recipe": "digits", "train.epochs": 5.0,
               "model.widths": [8, 4], "evaluate.classical": False},
               "inputs": {"train": 1437, "name": "digits", "sha256": "ab"},
               "stages": {"train": {"seconds": 2.0, "finished": True}, "score": {"seconds": 1.5, "finished": True}},
    "result": {"evaluation": {"error": 0.1, "wrong": 36, "total": 360},
               "baselines": [{"name": SUPERVISED, "error": 0.2}, {"name": "SVM", "error": 0.3}],
               "score": {"inception_score": 3.5, "inception_score_real": 8.0, "frechet_distance": 44.0,
                         "frechet_distance_real": 4.5, "generated_only_error": 0.25,
                         "generated_only_error_real": 0.04}}}


def test_a_work_folder_and_the_store_tell_the_same(tmp_path):
    folder = WorkFolder.create(tmp_path, "abc")
    folder.update(**FACTS)
    params = {"dataset": "digits", "labels": "20", "seed": "3", "split_seed": "4", "recipe": "digits",
              "train.epochs": "5.0", "model.widths": "[8, 4]", "evaluate.classical": "true"}
    metrics = {"test/error": 0.1, "test/wrong": 36.0, "test/supervised_only_error": 0.2, "test/svm_error": 0.3,
               "score/inception_score": 3.5, "score/inception_score_real": 8.0, "score/frechet_distance": 44.0,
               "score/frechet_distance_real": 4.5, "score/generated_only_error": 0.25,
               "score/generated_only_error_real": 0.04, "score/generator/frechet_distance": 7.0,
               "stage/train/seconds": 2.0,
               "stage/score/seconds": 1.5, "train/labelled_loss": 9.0}
    stored = of_stored(StoredRun("abc", FACTS["name"], "FINISHED", 7.0, params, metrics, {}, 1437,
                                 lambda pattern: None))
    local = of_folder(folder)
    for field in ("run_id", "name", "dataset", "recipe", "labels", "seed", "split_seed", "status", "error", "total",
                  "baselines", "score", "score_real", "seconds", "ended", "settings", "images",
                  "fid", "fid_real", "generated_only_error", "generated_only_error_real"):
        assert getattr(local, field) == getattr(stored, field), field
    assert (local.settings["model.widths"] == "[8, 4]" and local.settings["gan.weight"] == "1.0"
            and "evaluate.classical" not in local.settings)


def test_a_run_that_efficientnet_has_scored_since_has_no_inception_score_in_the_store_either():
    params = {"dataset": "digits", "labels": "20", "seed": "3", "split_seed": "4"}
    metrics = {"test/error": 0.1, "score/inception_score": 3.5, "score/inception_score_real": 8.0, "score/fid": 77.0,
               "score/efficientnet_score": 1.1}

    def scored_by(network):
        return of_stored(StoredRun("abc", "x", "FINISHED", 7.0, params, metrics, {"ssgan.score.network": network}, None,
                                   lambda pattern: None))

    found = scored_by("efficientnet")
    assert (found.network, found.score, found.score_real, found.fid) == ("efficientnet", None, None, 77.0)
    assert found.efficientnet_score == 1.1
    assert scored_by("inception").score == 3.5 and scored_by("inception").efficientnet_score is None


def test_old_and_new_runs_of_the_same_settings_are_one_series(tmp_path):
    """Under the old names of keys, and without those that came later; from a folder and from a store alike."""
    folders = [WorkFolder.create(tmp_path, name) for name in ("old", "new", "other")]
    keys = ({"consistency.balance": 0.5, "gan.pull_away": 0.0}, {"class_balance.weight": 0.5, "entropy.weight": 0.0},
            {"class_balance.weight": 0.25})
    for seed, (folder, params) in enumerate(zip(folders, keys)):
        folder.update(**FACTS | {"seed": seed, "params": FACTS["params"] | params})
    found = compare([of_folder(folder) for folder in folders])
    sizes = {series.title: [row.stat.n for row in series.rows] for series in found.series}
    assert sizes == {"digits, class_balance.weight=0.25": [1], "digits, class_balance.weight=0.5": [2]}
    texts = {"dataset": "digits", "labels": "20", "seed": "3", "split_seed": "4", "train.epochs": "5.0",
             "model.widths": "[8, 4]", "consistency.balance": "0.5"}
    metrics = {"test/error": 0.1}
    stored = of_stored(StoredRun("abc", "x", "FINISHED", 7.0, texts, metrics, {}, None, lambda pattern: None))
    assert stored.settings == of_folder(folders[1]).settings


@pytest.mark.parametrize("change", [{"labels": "many"}, {"seed": ""}, {"dataset": None}], ids=str)
def test_a_stored_run_that_is_no_run_of_a_budget_is_passed_over(change):
    params = {"dataset": "digits", "labels": "20", "seed": "3", "split_seed": "4"} | change
    params = {key: value for key, value in params.items() if value is not None}
    assert of_stored(StoredRun("abc", "x", "FINISHED", 7.0, params, {"test/error": 0.1}, {}, None,
                               lambda pattern: None)) is None
    assert of_stored(StoredRun("abc", "x", "FINISHED", 7.0, {
        "dataset": "d", "labels": "1", "seed": "1", "split_seed": "1"}, {}, {}, None, lambda pattern: None)) is None


def test_a_folder_without_a_result_says_why(tmp_path):
    folder = WorkFolder.create(tmp_path, "abc")
    folder.update(name="x", status="FAILED", error="not finite")
    found = of_folder(folder)
    assert (found.error, found.status, found.reason) == (None, "FAILED", "not finite")
    assert of_folder(WorkFolder.create(tmp_path, "new")).status == "not begun"
