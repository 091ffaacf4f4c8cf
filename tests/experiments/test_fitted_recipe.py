"""The recipe on a person's own data: all labels, and batches and scores no larger than the data, all of it said."""

import dataclasses

import pytest
import small

from ssgan.config import override
from ssgan.data.dataset import Dataset
from ssgan.data.images import Images
from ssgan.data.order import steps_per_epoch
from ssgan.errors import Mistake
from ssgan.experiments.fitted_recipe import fitted
from ssgan.experiments.grid import Plan
from ssgan.recipes import read
from ssgan.training.trainer import step_count

FOLDER = read("folder").recipe


def own(known: int = 12, unknown: int = 8, test: int = 0) -> Dataset:
    """One's own data of two classes."""
    images = small.images(known + unknown, (1, 8, 8), 2, 0)
    labels = images.labels.clone()
    labels[known:] = -1
    train = Images.of(images.pixels, labels, images.classes)
    return Dataset("folder:/photos", train, small.images(test, (1, 8, 8), 2, 1) if test else None)


def test_without_a_budget_all_labels_are_used_but_those_of_validation_images():
    assert fitted(FOLDER, own()).labels == 12
    assert fitted(override(FOLDER, ["split.validation=4"]), own()).labels == 8
    assert fitted(override(FOLDER, ["labels=6"]), own()).labels == 6
    named = fitted(dataclasses.replace(FOLDER, dataset="digits"), small.digits())
    assert named.labels == len(small.digits().train) and named.train == FOLDER.train


def test_a_batch_larger_than_the_images_shrinks_and_it_is_said():
    said = []
    found = fitted(FOLDER, own(), said.append)
    assert found.train.batch == 20 and found.pictures.batch == 20
    assert said[0] == "train.batch = 32 is more than the 20 images: it is 20 now"
    assert fitted(found, own(), said.append) == found and len(said) == 2, "and then nothing is left to say"
    assert fitted(FOLDER, own(30, 70)).train.batch == 32
    assert fitted(override(FOLDER, ["split.pool=exclusive"]), own()).train.batch == 8


def test_scores_have_no_more_parts_than_the_real_images_allow():
    said = []
    assert fitted(FOLDER, own(test=45), said.append).score.splits == 4
    assert said[-1] == "score.splits = 10 is too many for 45 real images: it is 4 now"
    assert fitted(FOLDER, own(known=100, unknown=100)).score.splits == 10, "half of the training images"
    assert fitted(FOLDER, own()).score.splits == 1


@pytest.mark.parametrize("unknown", [0, 1])
def test_fewer_than_two_unlabelled_images_outside_the_labelled_ones_are_a_mistake(unknown):
    with pytest.raises(Mistake, match=f"has {unknown} unlabelled images beside them"):
        fitted(override(FOLDER, ["split.pool=exclusive"]), own(unknown=unknown))
    assert fitted(FOLDER, own(unknown=unknown)).labels == 12


def test_a_sweep_over_all_labels_has_one_budget():
    plan = Plan(FOLDER, "folder", (0, 4, 12), ((0, 0),))
    assert plan.fitted(own(), print).budgets == (4, 12)
    assert {member.recipe.train.batch for member in plan.fitted(own(), print).members()} == {20}


@pytest.mark.parametrize(("images", "steps"), [(100, 3000), (6400, 4000), (60_000, 10_000)])
def test_the_steps_of_the_recipe_for_folders_are_by_the_number_of_images(images, steps):
    data = small.dataset(images, (1, 4, 4), 2)
    split = small.split(FOLDER, data, labels=2)
    assert steps_per_epoch(split, FOLDER.train.batch) == images // 32 and step_count(FOLDER, split) == steps
