"""Class shares estimated from the labels."""

import numpy as np
import pytest
import torch

from ssgan.data.class_shares import are_even, class_shares, told
from ssgan.data.images import Images
from ssgan.data.splits import Split


def shares(labels: list[int], labelled: list[int], classes: int) -> np.ndarray:
    images = Images.of(torch.zeros(len(labels), 1, 2, 2, dtype=torch.uint8), torch.tensor(labels),
                       tuple(f"class {i}" for i in range(classes)))
    nothing = np.zeros(0, dtype=np.int64)
    return class_shares(images, Split(np.array(labelled), np.arange(len(labels)), nothing, nothing, len(labelled), 0,
                                      "inclusive", "made", images.sha256))


def test_shares_are_those_of_the_labels_with_one_more_that_is_shared_out():
    found = shares([0] * 9 + [1], list(range(10)), 2)
    assert found == pytest.approx([9.5 / 11, 1.5 / 11], rel=1e-15)
    found = shares([2, 2, 1, 2], [0, 1, 2, 3], 4)
    assert found == pytest.approx([0.25 / 5, 1.25 / 5, 3.25 / 5, 0.25 / 5], rel=1e-15)
    assert found.sum() == pytest.approx(1, abs=1e-15) and found.min() > 0, "a class without a label is not ruled out"


def test_only_labelled_images_of_the_split_are_counted():
    labels = [0, 1, 1, 1, 1, -1, -1]
    assert shares(labels, [0, 1], 2).tolist() == [0.5, 0.5]


@pytest.mark.parametrize("classes", range(2, 63))
def test_equal_numbers_give_exactly_even_shares(classes):
    for each in (1, 3, 7, 10, 100):
        found = shares(list(range(classes)) * each, list(range(classes * each)), classes)
        assert are_even(found) and found[0] == 1 / classes


def test_many_labels_give_their_own_shares():
    assert shares([0] * 30_000 + [1] * 1_000, list(range(31_000)), 2) == pytest.approx([30 / 31, 1 / 31], abs=3e-5)


def test_shares_are_told_with_their_classes():
    assert told(np.array([0.9, 0.1]), ("cat", "dog")) == "cat 90 %, dog 10 %"
    many = np.full(20, 0.05)
    many[[3, 4]] = 0.0123, 0.0877
    assert told(many, tuple(f"class {i}" for i in range(20))) == "from class 3 1.2 % to class 4 8.8 %"
