"""Ensembles against a plain loop over all subsets."""

import itertools

import numpy as np
import pytest

from ssgan.evaluation import ensembles as module
from ssgan.evaluation.ensembles import Ensemble, ensembles


def answers(members, images=40, classes=4, seed=0):
    random = np.random.default_rng(seed)
    return random.dirichlet(np.ones(classes), (members, images)), random.integers(0, classes, images)


def plain(probabilities, labels, size):
    """The mean error over every subset, one image at a time."""
    errors = []
    for subset in itertools.combinations(range(len(probabilities)), size):
        wrong = 0
        for image, label in enumerate(labels):
            total = sum(probabilities[member][image] for member in subset)
            wrong += int(np.argmax(total)) != label
        errors.append(wrong / len(labels))
    return sum(errors) / len(errors), len(errors)


def test_every_size_is_the_mean_over_all_subsets():
    probabilities, labels = answers(5)
    found = ensembles(probabilities, labels)
    assert [ensemble.size for ensemble in found] == [1, 2, 3, 4, 5]
    for ensemble in found:
        error, subsets = plain(probabilities, labels, ensemble.size)
        assert (ensemble.error, ensemble.subsets, ensemble.sampled) == (pytest.approx(error), subsets, False)


def test_too_many_subsets_are_sampled_each_once_and_the_same_every_time(monkeypatch):
    probabilities, labels = answers(8)
    monkeypatch.setattr(module, "MOST_SUBSETS", 20)
    found = ensembles(probabilities, labels)
    assert [(ensemble.subsets, ensemble.sampled) for ensemble in found] == [
        (8, False), *[(20, True)] * 5, (8, False), (1, False)]
    assert found == ensembles(probabilities, labels)
    subsets, _ = module._subsets(8, 4, 0)
    assert len(set(subsets)) == 20 and all(len(set(subset)) == 4 for subset in subsets)
    assert found[3].error == pytest.approx(plain(probabilities, labels, 4)[0], abs=0.06)


def test_equal_members_gain_nothing_and_independent_ones_do():
    probabilities, labels = answers(1)
    assert len({ensemble.error for ensemble in ensembles(np.repeat(probabilities, 3, 0), labels)}) == 1
    random = np.random.default_rng(1)
    labels = random.integers(0, 3, 500)
    noisy = np.eye(3)[labels] + random.normal(0, 1.2, (9, 500, 3))
    errors = [ensemble.error for ensemble in ensembles(noisy, labels)]
    assert errors[8] < errors[4] < errors[0]


def test_one_member_is_an_ensemble_of_one():
    probabilities, labels = answers(1)
    assert ensembles(probabilities, labels) == [Ensemble(1, plain(probabilities, labels, 1)[0], 1, False)]
