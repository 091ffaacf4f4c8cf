"""Folds against a slow truth: what is held out of which training."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ssgan.data.dataset import Dataset
from ssgan.data.folds import MOST_FOLDS, fold_count, make_folds
from ssgan.data.images import Images
from ssgan.data.splits import POOLS, SplitConfig, make_split


def made(sizes: list[int], unknown: int = 5) -> Dataset:
    labels = [label for label, size in enumerate(sizes) for _ in range(size)] + [-1] * unknown
    order = np.random.default_rng(0).permutation(len(labels))
    pixels = torch.arange(len(labels)).to(torch.uint8).view(-1, 1, 1, 1)
    classes = tuple(f"class {i}" for i in range(len(sizes)))
    return Dataset("folder:made", Images.of(pixels, torch.tensor(labels)[order], classes), None)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.integers(1, 4), st.integers(1, 40)), min_size=2, max_size=6), st.integers(0, 1000),
       st.sampled_from(POOLS), st.integers(0, 3))
def test_each_labelled_image_of_a_class_that_is_large_enough_is_held_out_once(sizes, seed, pool, validation):
    data = made([size + validation for size in sizes])
    split = make_split(data, sum(sizes), seed, SplitConfig(pool, 0))
    labels = data.train.labels.tolist()
    folds = make_folds(data.train, split)
    counts = [sum(labels[i] == label for i in split.labelled) for label in range(len(sizes))]
    count = min(MOST_FOLDS, sorted(counts)[-2])
    if count < 2:
        assert folds.tables == () and fold_count(np.array(counts)) == 0
        assert folds.kept == {label: n for label, n in enumerate(counts) if n < 2}
        return
    assert len(folds.tables) == count
    assert folds.kept == {label: n for label, n in enumerate(counts) if n < count}
    times = {image: 0 for image in split.labelled.tolist()}
    for fold in folds.tables:
        held, trained = set(fold.test.tolist()), set(fold.labelled.tolist())
        for image in held:
            times[image] += 1
        assert held | trained == set(split.labelled.tolist()) and not held & trained
        assert not held & set(fold.unlabelled.tolist())
        assert set(fold.unlabelled.tolist()) == set(split.unlabelled.tolist()) - held
        assert fold.labels == len(fold.labelled)
        for label, n in enumerate(counts):  # stratified: all folds alike but for one image
            of_class = sum(labels[image] == label for image in held)
            assert of_class in ((0,) if n < count else (n // count, -(-n // count)))
    assert all(times[image] == (labels[image] not in folds.kept) for image in times)


def test_folds_are_a_function_of_the_split_alone():
    data = made([20, 30])
    split = make_split(data, 40, 3)
    np.random.seed(1)
    first = make_folds(data.train, split)
    np.random.seed(2)
    again = make_folds(data.train, split)
    other = make_folds(data.train, make_split(data, 40, 4))
    assert [fold.test.tolist() for fold in first.tables] == [fold.test.tolist() for fold in again.tables]
    assert [fold.test.tolist() for fold in first.tables] != [fold.test.tolist() for fold in other.tables]


def test_validation_images_stay_what_they_are():
    data = made([20, 30])
    split = make_split(data, 20, 0, SplitConfig("inclusive", 10))
    for fold in make_folds(data.train, split).tables:
        assert fold.validation.tolist() == split.validation.tolist()


@pytest.mark.parametrize(("labels", "folds"), [
    ([1, 1, 1], 0), ([1, 1, 30], 0), ([1, 2, 30], 2), ([3, 4, 3], 3), ([10, 90], 5), ([5, 5], 5), ([30], 0)])
def test_the_number_of_folds(labels, folds):
    assert fold_count(np.array(labels)) == folds
