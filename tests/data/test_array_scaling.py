"""`Scaling`: what reaches the network is in [0, 1] and fills it, whatever the type, the range and the outliers."""

import warnings

import numpy as np
import pytest

from ssgan.data.array_scaling import Scaling

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 17, (100, 64))  # as scikit-learn's digits are
FEATURES = np.stack([RNG.normal(5, 2, 500), RNG.uniform(0, 1, 500), RNG.exponential(3, 500),
                     RNG.integers(0, 2, 500) * 1.0, np.full(500, 7.0)], 1)


def test_bytes_that_fill_their_range_are_0_to_255():
    for X in (GREY * 15, GREY * 7, GREY * 15 * (GREY > 14), 255 * (GREY > 8)):
        found = Scaling.of_images(X.astype(np.uint8))
        assert (found.low, found.range) == (0, 255)


@pytest.mark.parametrize(("X", "low", "high"), [
    (GREY, 0, 16), (GREY > 8, 0, 1), (GREY * 6, 0, 96), (GREY + 200, 200, 216), ((GREY > 8) + 1, 1, 2)])
def test_bytes_far_from_filling_it_are_told_and_scaled(X, low, high):
    with pytest.warns(UserWarning, match=f"the bytes in X go from {low} to {high} only"):
        found = Scaling.of_images(X.astype(np.uint8))
    x = found(X.astype(np.uint8))
    assert x.min() == 0 and x.max() == 1
    for kind in (np.int16, np.float32, np.float64):
        assert (Scaling.of_images(X.astype(kind))(X) == x).all()


def test_images_of_one_value_are_dark_and_not_told_of():
    for X in (np.zeros((5, 4), np.uint8), np.zeros((5, 4)), np.full((5, 4), 3, np.int32)):
        assert (Scaling.of_images(X)(X) == 0).all()


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int8, np.int64, bool, np.float16, np.float32, np.float64])
def test_features_take_the_range_of_the_data_whatever_their_type(kind):
    X = np.array([[0, 3, 1], [1, 9, 1], [1, 3, 1], [0, 4, 1]]).astype(kind)
    found = Scaling.of_features(X)
    assert found(X).max(0).tolist() == [1, kind != bool, 0] and found(X).min() == 0
    one_hot = np.eye(30)[RNG.integers(0, 30, 200)].astype(kind)
    assert (Scaling.of_features(one_hot)(one_hot) == one_hot).all()


def test_a_long_tail_is_no_outlier():
    tail = 10 ** np.random.default_rng(0).uniform(-6, 0, (2000, 1))
    assert len(np.unique(Scaling.of_features(tail)(tail))) == 2000
    rounded = np.concatenate([np.full(50, 0.3), np.full(30, 0.1 + 0.2), np.linspace(0, 1, 20)])[:, None]
    assert Scaling.of_features(rounded).range == 1


@pytest.mark.parametrize("outlier", [1e6, -1e6, 1e30, 1.7e308, -1.7e308])
def test_one_value_does_not_spoil_a_feature(outlier):
    before = Scaling.of_features(FEATURES)(FEATURES)
    for column in range(FEATURES.shape[1]):
        X = FEATURES.copy()
        X[17, column] = outlier
        x = Scaling.of_features(X)(X)
        others = np.arange(500) != 17
        if column < 4:  # of the last one, which has no range, it is the only thing to tell
            assert abs(x[others] - before[others]).max() < 0.03
        assert x[17, column] == (outlier > 0) and x.min() >= 0 and x.max() <= 1


def test_values_that_stand_for_missing_ones_do_not_spoil_a_feature():
    X = FEATURES[:, :2].copy()
    X[::12] = -9999
    x = Scaling.of_features(X)(X)
    assert np.ptp(x[1::12], 0).min() > 0.5


@pytest.mark.parametrize("outlier", [1e6, -1e6, 1.7e308, -1.7e308, 255.0])
def test_one_value_does_not_spoil_images_and_is_told(outlier):
    for X in (GREY / 1.0, 255.0 * (GREY > 8) / 16):
        X[17, 5] = outlier
        with pytest.warns(UserWarning, match="1 of the 100 images in X have values far beyond"):
            found = Scaling.of_images(X)
        assert found.low == 0 and abs(found.range - 16) < 0.1 and found(X)[17, 5] == (outlier > 0)


def test_one_byte_does_not_make_dark_images_bright():
    X = GREY.astype(np.uint8)
    X[17, 5] = 255
    with pytest.warns(UserWarning) as told:
        assert Scaling.of_images(X).range == 16
    assert len(told) == 2


def test_images_of_unlike_exposure_are_all_of_the_range():
    X = RNG.uniform(0, 1, (100, 64)) * RNG.uniform(0.1, 1, (100, 1))
    X[:50] = 0  # blank ones among them
    assert abs(Scaling.of_images(X)(X).max() - 1) < 1e-9


@pytest.mark.parametrize(("fitted", "given", "said"), [
    (GREY / 16, GREY * 15, "most values of X are outside"), (GREY / 16, GREY.astype(np.uint8) * 15, "most values"),
    (GREY * (GREY > 13) / 16, GREY * (GREY > 13) * 15, "most values"),
    (GREY / 16, (GREY / 16 - 0.5) / 0.1, "most values"),
    (GREY * 15, GREY * 1000, "most values"), (GREY * 15, GREY / 16, "less than a tenth"),
    ((GREY * 15).astype(np.uint8), GREY / 16, "less than a tenth"), (GREY * 15, GREY, "less than a tenth")])
def test_images_on_another_scale_than_the_fitted_ones_are_told_of(fitted, given, said):
    for X in (given, given[:1]):
        with pytest.warns(UserWarning, match=said):
            Scaling.of_images(fitted).check(X)


@pytest.mark.parametrize(("fitted", "given", "said"), [
    (FEATURES, FEATURES * 255, "most values"), (FEATURES / 255, FEATURES, "most values"),
    (FEATURES, FEATURES / 255, "less than a tenth"),
    (np.eye(5)[RNG.integers(0, 5, 99)], 255 * np.eye(5), "most values")])
def test_features_on_another_scale_than_the_fitted_ones_are_told_of(fitted, given, said):
    with pytest.warns(UserWarning, match=said):
        Scaling.of_features(fitted).check(given)


def test_values_as_they_were_fitted_are_not_told_of():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for X in (GREY / 16, GREY * 15, GREY / 16 - 3):
            found = Scaling.of_images(X)
            for part in (X, X[:1], X[:20] + X.max() / 50, X[:1] * 0 + X.min()):
                found.check(part)
        for X in (FEATURES, np.eye(5)[RNG.integers(0, 5, 99)], RNG.standard_cauchy((500, 3)), GREY.astype(np.uint8)):
            found = Scaling.of_features(X[::2])
            for part in (X, X[1::2], X[:1], X[3:5]):
                found.check(part)
