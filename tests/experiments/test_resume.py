"""What a run that is there began with, and what may be asked otherwise of it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ssgan.config import Recipe, override
from ssgan.errors import Mistake
from ssgan.experiments.identity import stored_settings
from ssgan.experiments.member import Member
from ssgan.experiments.resume import begun_with, check_same, check_stage, of_the_same_data
from ssgan.tracking.workfolder import WorkFolder

RECIPE = override(Recipe(), ["dataset=mnist", "labels=50", "train.epochs=3", "class_balance.weight=0.5"])
MEMBER = Member(RECIPE, 3, 4, "mine")


def folder(path: Path, **facts) -> WorkFolder:
    made = WorkFolder.create(path, "f")
    made.update(**facts)
    return made


def changed(*changes: str, **seeds: int) -> Member:
    return replace(MEMBER, recipe=override(MEMBER.recipe, list(changes)), **seeds)


def test_a_run_is_what_its_folder_stores_of_it(tmp_path):
    assert begun_with(folder(tmp_path, settings=stored_settings(MEMBER, "a"), recipe_name="mine"), "latest") == MEMBER


def test_old_names_are_read(tmp_path):
    old = stored_settings(MEMBER, "a")
    del old["schema"], old["recipe"]["class_balance"]
    old["recipe"]["consistency"]["balance"] = 0.5
    assert begun_with(folder(tmp_path, settings=json.loads(json.dumps(old)), recipe_name="mine"), "latest") == MEMBER


def test_a_report_is_no_run(tmp_path):
    with pytest.raises(Mistake, match="latest has no settings of a run"):
        begun_with(folder(tmp_path, kind="summary"), "latest")


@pytest.mark.parametrize(("dataset", "labels", "expected"), [
    (None, None, ("mnist", 50)), ("digits", None, ("digits", 50)), (None, 100, ("mnist", 100))])
def test_another_recipe_is_asked_on_the_same_data(dataset, labels, expected):
    recipe = override(Recipe(), [f"dataset={dataset or 'other'}", f"labels={labels or 7}", "train.epochs=9"])
    found = of_the_same_data(Member(recipe, 3, 4, "other"), MEMBER, dataset, labels)
    assert (found.recipe.dataset, found.recipe.labels) == expected
    assert found.recipe.train.epochs == 9 and found.recipe_name == "other"


def test_going_on_needs_the_same_settings():
    check_same("abcd", MEMBER, changed())
    with pytest.raises(Mistake) as caught:
        check_same("abcd", MEMBER, changed("train.epochs=4", "model.widths=[3]", seed=9))
    text = str(caught.value)
    assert "--resume abcd" in text and "train.epochs: 3.0 there, 4.0 asked" in text and "seed: 3 there, 9 asked" in text
    assert "model.widths: [1000, 500, 250, 250, 250] there, [3] asked" in text and len(text.splitlines()) == 2


def test_a_stage_that_is_done_again_may_have_its_own_keys_changed():
    check_stage("abcd", MEMBER, changed("score.samples=90"), "score")
    with pytest.raises(Mistake, match="only keys of score.\\* can change now, not train.epochs, split_seed"):
        check_stage("abcd", MEMBER, changed("score.samples=90", "train.epochs=4", split_seed=1), "score")
    with pytest.raises(Mistake, match="not score.samples"):
        check_stage("abcd", MEMBER, changed("score.samples=90"), "evaluate")
