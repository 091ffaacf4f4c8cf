"""Measures against hand computations and slow loops."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import balanced_accuracy_score, f1_score, precision_score, recall_score

from ssgan.evaluation import metrics


@given(st.integers(1, 100_000), st.floats(0, 1, allow_subnormal=False))
@settings(deadline=None)
def test_interval_is_wilsons(total, share):
    wrong = round(share * total)
    low, high = metrics.error_interval(wrong, total)
    assert (low, high) == pytest.approx(binomtest(wrong, total).proportion_ci(0.95, method="wilson"), abs=1e-12)
    assert 0 <= low <= wrong / total + 1e-12 and wrong / total - 1e-12 <= high <= 1


@pytest.mark.parametrize("wrong, total", [(0, 0), (-1, 10), (11, 10)])
def test_interval_refuses_what_is_no_share(wrong, total):
    with pytest.raises(ValueError, match="no share"):
        metrics.error_interval(wrong, total)


@given(st.integers(2, 6), st.integers(1, 40), st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_scores_of_classes_are_those_of_scikit_learn(k, n, seed):
    random = np.random.default_rng(seed)
    labels, answers = random.integers(0, k, n), random.integers(0, k, n)
    counts = metrics.confusion(labels, answers, k)
    found = metrics.class_scores(counts)
    for label in range(k):
        there, answered = labels == label, answers == label
        assert found["n"][label] == there.sum()
        if not there.any():
            assert all(np.isnan(found[name][label]) for name in ("recall", "precision", "f1"))
            continue
        assert found["recall"][label] == pytest.approx(recall_score(there, answered))
        assert found["f1"][label] == pytest.approx(f1_score(there, answered))
        if answered.any():
            assert found["precision"][label] == pytest.approx(precision_score(there, answered))
        else:
            assert np.isnan(found["precision"][label])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # an answer may be a class that has no images
        assert metrics.balanced_error(counts) == pytest.approx(1 - balanced_accuracy_score(labels, answers))


@pytest.mark.parametrize(("sizes", "uneven"), [((10, 10), False), ((15, 10), False), ((16, 10), True), ((0, 9), False),
                                               ((0, 9, 14), True)])
def test_classes_are_uneven_from_half_as_many_again(sizes, uneven):
    assert metrics.are_uneven(np.array(sizes)) is uneven


def _answers(seed, n=400, k=7, sharpness=3.0):
    generator = np.random.default_rng(seed)
    logits = sharpness * generator.standard_normal((n, k))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return probabilities, generator.integers(0, k, n)


@pytest.mark.parametrize("bins", [1, 2, 15])
def test_calibration_error_against_a_slow_loop(bins):
    probabilities, labels = _answers(0)
    gaps = 0.0
    for number in range(bins):
        inside = [
            (row.max(), row.argmax() == label)
            for row, label in zip(probabilities, labels)
            if number / bins < row.max() <= (number + 1) / bins
        ]
        if inside:
            confidence = sum(c for c, _ in inside) / len(inside)
            accuracy = sum(r for _, r in inside) / len(inside)
            gaps += len(inside) / len(labels) * abs(accuracy - confidence)
    assert metrics.expected_calibration_error(probabilities, labels, bins) == pytest.approx(gaps, abs=1e-12)


def test_calibration_error_of_certain_answers_is_the_error():
    probabilities = np.eye(4)[[0, 1, 2, 3, 0]]
    assert metrics.expected_calibration_error(probabilities, np.array([0, 1, 2, 3, 0])) == 0
    assert metrics.expected_calibration_error(probabilities, np.array([0, 1, 2, 0, 1])) == pytest.approx(0.4)


def test_a_confidence_on_an_edge_belongs_to_the_bin_below():
    probabilities, labels = np.array([[0.5, 0.5], [0.1, 0.9]]), np.array([0, 0])
    assert metrics.expected_calibration_error(probabilities, labels, bins=2) == pytest.approx((0.5 + 0.9) / 2)


def test_likelihood_by_hand_and_finite_for_a_certain_mistake():
    probabilities = np.array([[0.5, 0.5], [0.1, 0.9]])
    expected = -(math.log(0.5) + math.log(0.1)) / 2
    assert metrics.negative_log_likelihood(probabilities, np.array([1, 0])) == pytest.approx(expected)
    certain = metrics.negative_log_likelihood(np.array([[1.0, 0.0]]), np.array([1]))
    assert certain == pytest.approx(-math.log(np.finfo(np.float32).tiny))


@pytest.mark.parametrize("measure", [metrics.expected_calibration_error, metrics.negative_log_likelihood])
def test_unfit_answers_are_refused(measure):
    good = np.array([[0.5, 0.5], [0.1, 0.9]])
    for probabilities, labels in [
        (good, np.array([0])),
        (good, np.array([0, 2])),
        (good, np.array([0, -1])),
        (good * np.nan, np.array([0, 1])),
        (good * 2, np.array([0, 1])),
        (np.empty((0, 2)), np.empty(0, int)),
    ]:
        with pytest.raises(ValueError):
            measure(probabilities, labels)


def test_confusion_and_class_errors_keep_classes_that_do_not_occur():
    labels, predictions = np.array([0, 0, 0, 2]), np.array([0, 2, 0, 2])
    counts = metrics.confusion(labels, predictions, 4)
    expected = np.zeros((4, 4), int)
    expected[0, 0], expected[0, 2], expected[2, 2] = 2, 1, 1
    np.testing.assert_array_equal(counts, expected)
    np.testing.assert_allclose(metrics.per_class_error(counts), [1 / 3, math.nan, 0, math.nan])


def _slow_inception_score(probabilities, splits):
    n, sizes = len(probabilities), []
    for number in range(splits):
        sizes.append(n // splits + (number < n % splits))
    scores, start = [], 0
    for size in sizes:
        rows = [[float(p) for p in row] for row in probabilities[start : start + size]]
        marginal = [sum(column) / size for column in zip(*rows)]
        total = sum(p * (math.log(p) - math.log(q)) for row in rows for p, q in zip(row, marginal) if p > 0)
        scores.append(math.exp(total / size))
        start += size
    mean = sum(scores) / splits
    return mean, math.sqrt(sum((s - mean) ** 2 for s in scores) / splits)


@pytest.mark.parametrize("splits", [1, 3, 10])
def test_inception_score_against_a_slow_loop(splits):
    probabilities, _ = _answers(1, n=101)
    probabilities[5] = np.eye(7)[3]
    assert metrics.inception_score(probabilities, splits) == pytest.approx(_slow_inception_score(probabilities, splits))


def test_inception_score_by_hand():
    # One chunk: the mean is (3/4, 1/4), the divergences are log(4/3) and 1/2 log(2/3) + 1/2 log 2.
    first = math.exp((math.log(4 / 3) + 0.5 * math.log(2 / 3) + 0.5 * math.log(2)) / 2)
    probabilities = np.array([[1.0, 0.0], [0.5, 0.5]])
    assert metrics.inception_score(probabilities, 1) == pytest.approx((first, 0))
    # Chunks of one row score 1 each; then one chunk of `first` beside one of 1.
    assert metrics.inception_score(probabilities, 2) == pytest.approx((1, 0))
    both = np.concatenate([probabilities, probabilities[:1], probabilities[:1]])
    assert metrics.inception_score(both, 2) == pytest.approx(((first + 1) / 2, (first - 1) / 2))


def test_inception_score_of_certain_answers():
    assert metrics.inception_score(np.eye(10)[np.arange(1000) % 10], 10) == pytest.approx((10, 0))
    assert metrics.inception_score(np.eye(10)[np.zeros(100, int)], 4) == pytest.approx((1, 0))
    in_order = np.eye(10)[np.repeat(np.arange(10), 100)]
    assert metrics.inception_score(in_order, 10) == pytest.approx((1, 0)), "chunks are consecutive, in list order"


def test_inception_score_takes_single_precision():
    probabilities, _ = _answers(2, n=1000)
    single = metrics.inception_score(probabilities.astype(np.float32), 10)
    assert single == pytest.approx(metrics.inception_score(probabilities, 10), rel=1e-6)


@pytest.mark.parametrize("splits", [0, -1, 6])
def test_inception_score_refuses_impossible_splits(splits):
    with pytest.raises(ValueError, match="splits"):
        metrics.inception_score(np.full((5, 2), 0.5), splits)


def test_inception_score_refuses_what_are_no_probabilities():
    for row in ([np.nan, 1.0], [0.5, 0.6], [-0.5, 1.5]):
        with pytest.raises(ValueError, match="sum to 1"):
            metrics.inception_score(np.array([row, [0.5, 0.5]]), 1)


def test_class_entropy():
    assert metrics.class_entropy(np.full(10, 7)) == pytest.approx((math.log(10), 1))
    assert metrics.class_entropy(np.array([5, 0, 0])) == pytest.approx((0, 0))
    nats, share = metrics.class_entropy(np.array([1, 3]))
    assert nats == pytest.approx(-0.25 * math.log(0.25) - 0.75 * math.log(0.75))
    assert share == pytest.approx(nats / math.log(2))
    for nonsense in ([0, 0], [3], [], [-1, 2]):
        with pytest.raises(ValueError, match="histogram"):
            metrics.class_entropy(np.array(nonsense))
