"""Splits: properties over random data sets and budgets, and requests that cannot be met."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ssgan.data import named, splits
from ssgan.data.dataset import Dataset
from ssgan.data.images import Images
from ssgan.data.splits import SplitConfig, make_split
from ssgan.errors import Mistake


def images_of(labels: list[int], k: int, salt: int = 0) -> Images:
    pixels = (torch.arange(len(labels)) + salt).to(torch.uint8).view(-1, 1, 1, 1)
    return Images.of(pixels, torch.tensor(labels, dtype=torch.int64), tuple("abcdefgh"[:k]))


def dataset_of(labels: list[int], k: int, test: tuple[int, ...] = (0, 1, -1, 0), salt: int = 0) -> Dataset:
    return Dataset("letters", images_of(labels, k, salt), images_of(list(test), k))


def counts(dataset: Dataset, index: np.ndarray) -> list[int]:
    return np.bincount(dataset.train.labels.numpy()[index], minlength=len(dataset.classes)).tolist()


@st.composite
def requests(draw):
    """A data set with uneven classes and unknown images, and a request that it can meet."""
    k = draw(st.integers(2, 5))
    sizes = draw(st.lists(st.integers(3, 25), min_size=k, max_size=k))
    unknown = draw(st.integers(1, 10))
    labels = [label for label, size in enumerate(sizes) for _ in range(size)] + [-1] * unknown
    labels = draw(st.permutations(labels))
    each = draw(st.integers(1, min(sizes)))
    # proportional shares, rounded up, leave room for the budget
    room = min((size - each) * sum(sizes) // size for size in sizes)
    return dataset_of(labels, k), each * k, draw(st.integers(0, 2**40)), draw(st.integers(0, room))


small = settings(max_examples=40, deadline=None)


@small
@given(requests(), st.sampled_from(splits.POOLS))
def test_every_training_image_has_its_one_place(request_, pool):
    dataset, labels, seed, validation = request_
    split = make_split(dataset, labels, seed, SplitConfig(pool, validation))
    parts = {name: set(getattr(split, name).tolist()) for name in ("labelled", "unlabelled", "validation")}
    assert parts["labelled"] | parts["unlabelled"] | parts["validation"] == set(range(len(dataset.train)))
    assert not parts["validation"] & (parts["labelled"] | parts["unlabelled"])
    assert parts["labelled"] & parts["unlabelled"] == (parts["labelled"] if pool == "inclusive" else set())
    unknown = set(np.flatnonzero(dataset.train.labels.numpy() == -1).tolist())
    assert unknown <= parts["unlabelled"] and not unknown & (parts["labelled"] | parts["validation"])
    assert split.test.tolist() == [0, 1, 3]  # the third test image has no known class
    for name in splits.PARTS:
        table = getattr(split, name)
        assert table.dtype == np.int64 and np.all(np.diff(table) > 0)
    assert split.summary() == {"test": 3, **{name: len(images) for name, images in parts.items()}}
    split.verify(dataset)


@small
@given(requests())
def test_labelled_images_are_balanced_and_validation_is_proportional(request_):
    dataset, labels, seed, validation = request_
    split = make_split(dataset, labels, seed, SplitConfig("inclusive", validation))
    k = len(dataset.classes)
    assert counts(dataset, split.labelled) == [labels // k] * k
    assert len(split.validation) == validation
    known = np.flatnonzero(dataset.train.labels.numpy() >= 0)
    sizes = np.array(counts(dataset, known))
    assert np.all(np.abs(np.array(counts(dataset, split.validation)) - validation * sizes / sizes.sum()) < 1)


@small
@given(requests(), st.data())
def test_a_smaller_budget_lies_inside_a_larger_one_and_validation_stays(request_, data):
    dataset, labels, seed, validation = request_
    k = len(dataset.classes)
    fewer = k * data.draw(st.integers(1, labels // k))
    large, small_ = (make_split(dataset, budget, seed, SplitConfig("inclusive", validation))
                     for budget in (labels, fewer))
    assert set(small_.labelled) <= set(large.labelled)
    assert np.array_equal(small_.validation, large.validation)


@small
@given(requests(), st.sampled_from(splits.POOLS))
def test_a_split_is_a_function_of_training_labels_and_request_alone(request_, pool):
    dataset, labels, seed, validation = request_
    split = make_split(dataset, labels, seed, SplitConfig(pool, validation))
    np.random.seed(seed % 1000)  # no global generator has a say
    torch.manual_seed(seed)
    other = dataset_of(dataset.train.labels.tolist(), len(dataset.classes), test=(1, 1), salt=9)
    again = make_split(other, labels, seed, SplitConfig(pool, validation))
    for name in ("labelled", "unlabelled", "validation"):
        assert np.array_equal(getattr(split, name), getattr(again, name))


@small
@given(requests(), st.sampled_from(splits.POOLS))
def test_a_saved_split_comes_back(tmp_path_factory, request_, pool):
    dataset, labels, seed, validation = request_
    folder = tmp_path_factory.mktemp("split")
    split = make_split(dataset, labels, seed, SplitConfig(pool, validation))
    split.save(folder / "one.npz")
    split.save(folder / "two.npz")
    assert (folder / "one.npz").read_bytes() == (folder / "two.npz").read_bytes()
    assert sorted(path.name for path in folder.iterdir()) == ["one.npz", "two.npz"]
    loaded = splits.load(folder / "one.npz")
    for name, value in vars(split).items():
        assert np.array_equal(getattr(loaded, name), value) and type(getattr(loaded, name)) is type(value)
    loaded.verify(dataset)


@pytest.mark.parametrize("config", [SplitConfig(), SplitConfig(balance="proportional")])
def test_without_a_test_part_the_table_is_empty(config, tmp_path):
    dataset = replace(dataset_of([0] * 6 + [1] * 6, 2), test=None)
    split = make_split(dataset, 4, 0, config)
    split.verify(dataset)
    split.save(tmp_path / "split.npz")
    loaded = splits.load(tmp_path / "split.npz")
    loaded.verify(dataset)
    assert loaded.test.tolist() == [] and loaded.test.dtype == np.int64 and not dataset.tested
    assert dataset.sha256 != dataset_of([0] * 6 + [1] * 6, 2).sha256
    unknown = replace(dataset, test=images_of([-1, -1], 2))
    assert not unknown.tested and make_split(unknown, 4, 0, config).test.tolist() == []


def test_validation_shares_by_largest_remainder():
    dataset = dataset_of([0] * 10 + [1] * 7 + [2] * 3, 3)
    # shares of 6 by 10:7:3 are 3.0, 2.1 and 0.9
    assert counts(dataset, make_split(dataset, 3, 0, SplitConfig("inclusive", 6)).validation) == [3, 2, 1]


def test_seeds_choose_different_images_and_every_image_in_the_end():
    dataset = dataset_of([0] * 6 + [1] * 6, 2)
    chosen = [make_split(dataset, 4, seed, SplitConfig("inclusive", 0)).labelled for seed in range(60)]
    assert len({tuple(index) for index in chosen}) > 30
    assert set(np.concatenate(chosen)) == set(range(12))


def test_the_digits_split_of_a_seed_is_the_one_it_was():
    """Published results name their split by its seed: a library that draws otherwise must not go unnoticed."""
    dataset = named.load("digits", Path("unused"))
    split = make_split(dataset, 100, 0, SplitConfig("inclusive", 137))
    digest = hashlib.sha256(split.labelled.astype("<i8").tobytes()
                            + split.validation.astype("<i8").tobytes()).hexdigest()
    assert split.labelled[:5].tolist() == [22, 27, 44, 65, 104] and digest.startswith("f715e4b8ffeff223")


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (5, "--labels 5: letters has 2 classes, a balanced budget is a multiple of 2; try --labels 4 or --labels 6."),
        (1, "try --labels 2."),
        (7, "try --labels 6."),
        (0, "try --labels 20."),
        (-2, "at least one label of each"),
        (8, "3 training images of class 'b': the largest budget is --labels 6."),
        (10**9, "the largest budget is --labels 6."),
    ],
)
def test_budgets_that_cannot_be_given(labels, said):
    with pytest.raises(Mistake) as mistake:
        make_split(dataset_of([0] * 9 + [1] * 3 + [-1] * 9, 2), labels, 0, SplitConfig("inclusive", 0))
    assert f"--labels {labels}" in str(mistake.value) and said in str(mistake.value)


@small
@given(requests())
def test_too_much_validation_is_refused_with_amounts_that_can_be_given(request_):
    dataset, labels, seed, _ = request_
    known = int((dataset.train.labels >= 0).sum())
    with pytest.raises(Mistake, match="too many together") as mistake:
        make_split(dataset, labels, seed, SplitConfig("inclusive", known - labels + 1))
    room = int(str(mistake.value).partition("split.validation=")[2].partition(",")[0].rstrip("."))
    assert len(make_split(dataset, labels, seed, SplitConfig("inclusive", room)).validation) == room
    fewer = str(mistake.value).partition(", or --labels ")[2].rstrip(".")
    if fewer:
        assert make_split(dataset, int(fewer), seed, SplitConfig("inclusive", known - labels + 1)).labels == int(fewer)


def test_other_requests_that_cannot_be_met():
    dataset = dataset_of([0] * 3 + [1] * 3, 2)
    with pytest.raises(Mistake, match="split.validation -1"):
        make_split(dataset, 2, 0, SplitConfig("inclusive", -1))
    with pytest.raises(Mistake, match="did you mean exclusive"):
        make_split(dataset, 2, 0, SplitConfig("exclusiv", 0))
    with pytest.raises(Mistake, match="no training image of class 'b'"):
        make_split(dataset_of([0, 0], 2), 2, 0, SplitConfig("inclusive", 0))
    with pytest.raises(Mistake, match="none is left unlabelled"):
        make_split(dataset, 6, 0, SplitConfig("exclusive", 0))
    with pytest.raises(Mistake, match="none is left unlabelled"):
        make_split(dataset, 4, 0, SplitConfig("exclusive", 2))
    assert make_split(dataset, 6, 0, SplitConfig("inclusive", 0)).summary()["unlabelled"] == 6


def test_verify_refuses_other_data_and_damaged_tables():
    dataset = dataset_of([0] * 5 + [1] * 5, 2)
    split = make_split(dataset, 4, 0, SplitConfig("inclusive", 2))
    with pytest.raises(Mistake, match="SHA-256"):
        split.verify(dataset_of([0] * 5 + [1] * 5, 2, salt=1))
    outside, negative, repeated = np.array([3, 10]), np.array([-1, 3]), np.array([3, 3])
    for table in (outside, negative, repeated):
        with pytest.raises(Mistake, match="labelled table is damaged"):
            replace(split, labelled=table).verify(dataset)
    with pytest.raises(Mistake, match="test table is damaged"):
        replace(split, test=np.array([4])).verify(dataset)
    with pytest.raises(Mistake, match="validation images are among"):
        replace(split, validation=split.labelled).verify(dataset)
