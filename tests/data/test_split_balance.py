"""`split.balance`: budgets that have classes as often as they are, and what auto is."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_splits import counts, dataset_of, small

from ssgan.data import splits
from ssgan.data.splits import SplitConfig, make_split
from ssgan.errors import Mistake

PROPORTIONAL = SplitConfig("inclusive", 0, "proportional")


def slow_shares(labels: int, sizes: list[int]) -> list[int]:
    """A budget shared out in proportion by largest remainder, and at least one of each, in whole numbers of seats."""
    ones: set[int] = set()
    while True:
        rest, total = labels - len(ones), sum(size for label, size in enumerate(sizes) if label not in ones)
        quotas = {label: Fraction(rest * size, total) for label, size in enumerate(sizes) if label not in ones}
        given = {label: int(quota) for label, quota in quotas.items()}
        order = sorted(quotas, key=lambda label: (given[label] - quotas[label], label))
        for label in order[: rest - sum(given.values())]:
            given[label] += 1
        if all(given.values()):
            return [given.get(label, 1) for label in range(len(sizes))]
        ones |= {label for label, count in given.items() if count == 0}


@st.composite
def uneven(draw):
    """Sizes of classes, some of them far larger than others, and a budget that they can give."""
    sizes = draw(st.lists(st.one_of(st.integers(1, 5), st.integers(1, 300)), min_size=2, max_size=7))
    return sizes, draw(st.integers(len(sizes), sum(sizes)))


@small
@given(uneven(), st.integers(0, 2**40))
def test_a_proportional_budget_has_classes_as_often_as_they_are(asked, seed):
    sizes, labels = asked
    dataset = dataset_of([label for label, size in enumerate(sizes) for _ in range(size)], len(sizes))
    split = make_split(dataset, labels, seed, PROPORTIONAL)
    found = counts(dataset, split.labelled)
    assert found == slow_shares(labels, sizes) and sum(found) == labels
    assert all(1 <= count <= size for count, size in zip(found, sizes))
    assert make_split(replace(dataset, name="folder:made"), labels, seed).labelled.tolist() == split.labelled.tolist()


@small
@given(uneven(), st.data())
def test_a_proportional_budget_leaves_each_class_one_beside_validation_images(asked, data):
    sizes, labels = asked
    dataset = dataset_of([label for label, size in enumerate(sizes) for _ in range(size)] + [-1], len(sizes))
    room = splits.most_validation(dataset, labels, PROPORTIONAL)
    assert room == min(sum(sizes) - labels, sum(sizes) - len(sizes))
    validation = data.draw(st.integers(0, room))
    config = replace(PROPORTIONAL, validation=validation)
    split = make_split(dataset, labels, 0, config)
    assert len(split.validation) == validation and len(split.labelled) == labels
    assert not set(split.validation) & set(split.labelled)
    held = np.array(counts(dataset, split.validation))
    ideal = validation * (np.array(sizes) - 1) / max(1, sum(sizes) - len(sizes))
    assert np.all(np.abs(held - ideal) < 1)
    with pytest.raises(Mistake, match=f"too many together .* split.validation={room}"):
        make_split(dataset, labels, 0, replace(config, validation=room + 1))


@pytest.mark.parametrize(("labels", "said"), [
    (2, "at least one label of each; try --labels 3."), (0, "at least one label of each; try --labels 30."),
    (14, "3 classes and 13 training images of known class: the largest budget is --labels 13.")])
def test_proportional_budgets_that_cannot_be_given(labels, said):
    with pytest.raises(Mistake) as mistake:
        make_split(dataset_of([0] * 9 + [1] * 3 + [2] + [-1] * 9, 3), labels, 0, PROPORTIONAL)
    assert said in str(mistake.value)


def test_what_auto_is_and_what_a_person_says():
    labels = [0] * 30 + [1] * 10
    named_, own = dataset_of(labels, 2), replace(dataset_of(labels, 2), name="npz:mine.npz")
    assert counts(named_, make_split(named_, 8, 0).labelled) == [4, 4]
    assert counts(own, make_split(own, 8, 0).labelled) == [6, 2]
    assert counts(own, make_split(own, 8, 0, SplitConfig(balance="balanced")).labelled) == [4, 4]
    with pytest.raises(Mistake, match="--set split.balance=proportional"):
        make_split(named_, 22, 0)
    with pytest.raises(Mistake, match="did you mean balanced"):
        make_split(named_, 8, 0, SplitConfig(balance="balance"))
