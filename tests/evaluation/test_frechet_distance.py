"""The Fréchet distance against scipy's root of a matrix and closed forms, and where covariances are singular."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from ssgan.evaluation.frechet_distance import Gaussian, frechet_distance


def features(count: int, length: int, seed: int, scale: float = 1.0) -> np.ndarray:
    """Correlated features [count, length] about a mean of their own."""
    random = np.random.default_rng(seed)
    mixed = random.standard_normal((count, length)) @ random.standard_normal((length, length))
    return scale * (mixed + random.standard_normal(length))


def distance(first: np.ndarray, second: np.ndarray) -> float:
    return frechet_distance(Gaussian.of(first), Gaussian.of(second))


def slow_distance(first: np.ndarray, second: np.ndarray) -> float:
    """The equation as it stands."""
    (m1, c1), (m2, c2) = ((one.mean(axis=0), np.cov(one, rowvar=False)) for one in (first, second))
    return float(((m1 - m2) ** 2).sum() + np.trace(c1 + c2 - 2 * sqrtm(c1 @ c2)).real)


@pytest.mark.parametrize("length", [2, 5, 20])
def test_it_is_the_equation_with_scipys_root(length):
    first, second = features(80, length, 0), features(60, length, 1, scale=2.0)
    assert distance(first, second) == pytest.approx(slow_distance(first, second), rel=1e-8)


def test_of_diagonal_gaussians_it_is_the_closed_form():
    m1, m2, v1, v2 = np.random.default_rng(0).uniform(0.1, 3, (4, 7))
    found = frechet_distance(Gaussian(11, m1, 10 * np.diag(v1)), Gaussian(5, m2, 4 * np.diag(v2)))
    assert found == pytest.approx(((m1 - m2) ** 2).sum() + ((np.sqrt(v1) - np.sqrt(v2)) ** 2).sum(), rel=1e-12)


def test_it_is_symmetric_and_knows_neither_order_nor_rotation():
    first, second = features(70, 9, 2), features(50, 9, 3)
    found = distance(first, second)
    assert distance(second, first) == pytest.approx(found, rel=1e-10)
    assert distance(first[::-1], second) == pytest.approx(found, rel=1e-10)
    turn, _ = np.linalg.qr(np.random.default_rng(4).standard_normal((9, 9)))
    assert distance(first @ turn, second @ turn) == pytest.approx(found, rel=1e-8)
    assert distance(3 * first, 3 * second) == pytest.approx(9 * found, rel=1e-10)


def test_a_shift_is_its_square():
    first = features(40, 6, 5)
    assert distance(first, first + 2) == pytest.approx(6 * 4, rel=1e-9)


@pytest.mark.parametrize(("count", "length"), [(50, 5), (10, 40), (1, 3), (2, 30)])
def test_of_the_same_set_it_is_0(count, length):
    same = features(count, length, 6)
    assert 0 <= distance(same, same) <= 1e-10 * max(1, np.abs(same).max() ** 2 * length)


@pytest.mark.parametrize(("counts", "length"), [((10, 8), 40), ((1, 30), 20), ((1, 1), 4), ((3, 200), 64)])
def test_fewer_images_than_features_are_no_harm(counts, length):
    first, second = (features(count, length, seed) for seed, count in enumerate(counts))
    found = distance(first, second)
    assert np.isfinite(found) and found > 0
    assert distance(second, first) == pytest.approx(found, rel=1e-9)


def test_in_singular_covariances_the_root_is_that_of_the_space_which_they_span():
    first, second = features(30, 4, 7), features(30, 4, 8)
    turn, _ = np.linalg.qr(np.random.default_rng(9).standard_normal((25, 25)))
    wide = [np.pad(one, ((0, 0), (0, 21))) @ turn for one in (first, second)]
    assert distance(*wide) == pytest.approx(distance(first, second), rel=1e-9)


def test_constant_features():
    constant, other = np.ones((20, 5)), features(30, 5, 10)
    assert distance(constant, constant) == 0
    assert distance(constant, 4 * constant) == pytest.approx(45)
    expected = ((other.mean(axis=0) - 1) ** 2).sum() + other.var(axis=0, ddof=1).sum()
    assert distance(constant, other) == pytest.approx(expected)


@pytest.mark.parametrize("cuts", [(1,), (30, 31), (50, 80, 99)])
def test_parts_put_together_are_the_whole(cuts):
    whole = features(100, 6, 11) + 1000  # far from 0, where sums of squares would cancel
    first, *rest = (Gaussian.of(part) for part in np.split(whole, cuts))
    found = sum(rest, start=first)
    assert found.count == 100
    np.testing.assert_allclose(found.mean, whole.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.covariance, np.cov(whole, rowvar=False), rtol=1e-9)


@pytest.mark.parametrize("bad", [np.zeros((0, 3)), np.zeros(3), np.array([[1.0, np.nan]]), np.array([[np.inf, 1.0]])])
def test_what_are_no_features_is_refused(bad):
    with pytest.raises(ValueError, match="finite"):
        Gaussian.of(bad)


def test_features_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="cannot be compared"):
        distance(np.ones((3, 2)), np.ones((3, 4)))
