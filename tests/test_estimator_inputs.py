"""What SSGANClassifier makes of X, y and its parameters: images in every layout, labels in every container, scales, the
number of steps, progress, and the score of labelled samples alone.
"""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import cross_val_score
from test_estimator import quick

from ssgan import estimator
from ssgan.estimator import SSGANClassifier, labelled_accuracy
from ssgan.training.trainer import step_count


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """400 digits [n, 8, 8] in 0 to 16, and their labels, all but 150 of them -1."""
    bunch = load_digits()
    y = bunch.target[:400].copy()
    y[150:] = -1
    return bunch.images[:400], y


@pytest.fixture
def given(monkeypatch):
    """What a fit hands to the training, which does not take place: its arguments, in order."""
    seen = []

    def train(recipe, images, split, seed, device, callback):
        seen[:] = recipe, images, split
        raise InterruptedError

    monkeypatch.setattr(estimator, "train", train)

    def fit(model, X, y):
        with pytest.raises(InterruptedError):
            model.fit(X, y)
        return seen

    return fit


# Labels


def test_labels_in_every_container_are_trained_on_alike(digits, given):
    X, y = digits
    words = ["one" if label == 1 else f"no {label}" for label in y.tolist()]
    containers = [np.array([None if label == "no -1" else label for label in words], dtype=object)]
    containers += [[mark if label is None else label for label in containers[0]] for mark in (-1, "-1", np.nan, pd.NA)]
    containers += [pd.Series(containers[0]).astype(kind) for kind in ("str", "string[python]", "string[pyarrow]",
                                                                      "category", "object")]
    containers += [pd.Series(containers[2]).astype("category"), np.array(containers[2])]
    for container in containers:
        model = quick()
        _, images, split = given(model, X, container)
        assert (images.labels.numpy() >= 0).tolist() == (y >= 0).tolist() and len(split.labelled) == 150
        assert model.classes_.tolist() == sorted(set(words) - {"no -1"})
    for container in (pd.Series(y).where(y >= 0).astype("Int64"), pd.Series(y).where(y >= 0), y.tolist()):
        model = quick()
        assert given(model, X, container)[1].labels.tolist() == y.tolist()
        assert model.classes_.tolist() == list(range(10))


def test_a_frame_and_a_series_with_missing_labels_are_learned_and_answered_in_the_labels_own_words(digits):
    X, y = digits
    frame = pd.DataFrame(X.reshape(400, -1), columns=[f"pixel {i}" for i in range(64)])
    words = pd.Series([f"digit {label}" if label >= 0 else "-1" for label in y.tolist()])
    model = quick(epochs=25, image_shape=(8, 8)).fit(frame, words)
    truth = pd.Series([f"digit {label}" for label in load_digits().target[:400]])
    assert model.score(frame, truth) > 0.8 and set(model.predict(frame)) <= set(words) - {"-1"}


def test_no_labels_at_all_are_told_as_scikit_learn_does(digits):
    with pytest.raises(ValueError, match="requires y to be passed, but the target y is None"):
        quick().fit(digits[0], None)


# Images


def colours(count: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Images [n, h, w, c] of 12 by 10 whose class is the channel that is bright at their left."""
    rng = np.random.default_rng(0)
    y = np.arange(count) % 3
    X = rng.integers(0, 100, (count, 12, 10, 3))
    X[np.arange(count), :, :4, y] += 155
    return X.astype(np.uint8), y


def test_every_layout_gives_the_network_the_same_pixels(given):
    X, y = colours()
    first = np.moveaxis(X, -1, 1)
    expected = first.astype(np.float32) / 255
    flat, flat_first = X.reshape(60, -1), first.reshape(60, -1)
    for images, parameters in ((X, {}), (first, {}), (X, {"channels": "last"}), (X.tolist(), {}),
                               (flat, {"image_shape": (12, 10, 3)}), (flat_first, {"image_shape": (3, 12, 10)}),
                               (X, {"image_shape": (12, 10, 3)})):
        model = quick(**parameters)
        pixels = given(model, np.asarray(images, np.uint8), y)[1].pixels
        assert np.allclose(pixels.numpy(), expected) and model.shape_ == (3, 12, 10)
    assert given(quick(), X[..., :1], y)[1].pixels.equal(given(quick(), X[..., 0], y)[1].pixels)
    assert given(quick(channels="first"), X, y)[1].shape == (12, 10, 3)  # as said, if it were so


def test_answers_do_not_depend_on_the_layout_of_what_is_asked(tmp_path):
    X, y = colours()
    model = quick(epochs=30).fit(X, y)
    expected = model.predict_proba(X)
    model.save(tmp_path / "x.npz")
    for fitted in (model, SSGANClassifier.load(tmp_path / "x.npz")):
        for same in (np.moveaxis(X, -1, 1), X.reshape(60, -1)):
            assert (fitted.predict_proba(same) == expected).all()
    assert model.score(X, y) > 0.9
    with pytest.raises(ValueError, match=r"images of shape \(3, 10, 12\) \(c, h, w\), SSGANClassifier was fitted on"):
        model.predict(X.swapaxes(1, 2))


@pytest.mark.parametrize(("shape", "parameters", "said"), [
    ((4, 3, 5, 3), {}, r"the images in X of shape \(3, 5, 3\) may mean \(c, h, w\) as well as \(h, w, c\)"),
    ((4, 12, 8, 9), {}, "say channels='first' or channels='last'"),
    ((4, 48), {"image_shape": (4, 3, 4)}, r"image_shape \(4, 3, 4\) may mean"),
    ((4, 4, 12), {"image_shape": (6, 8)}, r"\(6, 8\) contradicts X, whose images are of shape \(1, 4, 12\)"),
    ((4, 6, 8, 3), {"image_shape": (3, 6, 8)}, r"\(3, 6, 8\) \(c, h, w\) with the channels last: leave it out"),
    ((4, 6, 8), {"image_shape": (3, 16)}, "contradicts X"), ((4, 48), {"channels": "last"}, "X holds features"),
    ((4, 48), {"image_shape": 8}, "must be"), ((4, 48), {"image_shape": "86"}, "must be"),
    ((4, 8, 6), {"channels": "middle"}, "it is 'first', 'last' or None")])
def test_what_is_ambiguous_or_contradicts_x_is_a_value_error(shape, parameters, said):
    with pytest.raises(ValueError, match=said):
        quick(**parameters).fit(np.arange(np.prod(shape)).reshape(shape), [0, 1, 0, 1])


# Scales


def test_what_reaches_the_network_fills_0_to_1_whatever_the_bytes(digits, given):
    X, y = digits
    for values in ((X > 8).astype(np.uint8), X.astype(np.uint8)):
        with pytest.warns(UserWarning, match="far from filling 0 to 255"):
            pixels = given(quick(), values, y)[1].pixels
        assert (pixels.min(), pixels.max()) == (0, 1)
        for kind in (bool, float) if values.max() == 1 else (float, np.int8):
            assert given(quick(), values.astype(kind), y)[1].pixels.equal(pixels)
    one_hot = np.eye(17, dtype=np.uint8)[X.astype(int)].reshape(400, -1)
    assert given(quick(), one_hot, y)[1].pixels.numpy().max() == 1


def test_one_outlier_leaves_the_others_where_they_were(digits, given):
    X, y = digits
    spoilt = X.copy()
    spoilt[7, 3, 3] = 1e6
    before = given(quick(), X, y)[1].pixels
    with pytest.warns(UserWarning, match="far beyond those of the others"):
        assert given(quick(), spoilt, y)[1].pixels[8:].equal(before[8:])
    before, after = (given(quick(), each.reshape(400, -1), y)[1].pixels for each in (X, spoilt))
    assert after[8:].equal(before[8:]) and after[7].max() == 1


def test_predict_takes_the_scale_of_fit_and_tells_of_another(digits):
    X, y = digits
    model = quick(epochs=1).fit(X / 16, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(X[:1] / 16)
    for ask in (model.predict, model.predict_proba, lambda X: model.score(X, y)):
        with pytest.warns(UserWarning, match=r"most values of X are outside .* \(0 to 1\)"):
            ask(X * 15)
    with pytest.warns(UserWarning, match="less than a tenth"):
        quick(epochs=1).fit((X * 15).astype(np.uint8), y).predict(X / 16)


# Length and progress


@pytest.mark.parametrize(("recipe", "parameters", "samples", "steps"), [
    ("mnist", {}, 400, 4000), ("mnist", {"epochs": 2}, 400, 24),
    ("mnist", {"overrides": ("train.epochs = 2",)}, 400, 24), ("digits", {}, 400, 3360),
    ("digits", {"batch": 100}, 400, 1680), ("digits", {}, 40, 3360),
    ("salimans2016-mnist", {}, 400, 4000), ("digits", {"epochs": 3, "batch": 50}, 400, 24)])
def test_few_samples_are_gone_through_more_often_and_explicit_epochs_hold(digits, given, recipe, parameters, samples,
                                                                          steps):
    made, _, split = given(SSGANClassifier(recipe, **parameters), digits[0][:samples], digits[1][:samples])
    assert abs(step_count(made, split) - steps) <= 1


def test_many_samples_are_gone_through_as_often_as_the_recipe_says(given):
    made, _, split = given(SSGANClassifier("digits"), np.random.default_rng(0).random((5000, 3)), np.arange(5000) % 2)
    assert made.train.epochs == 120 and step_count(made, split) == 12_000


def test_features_are_trained_by_their_own_recipe_unless_one_is_named(digits, given):
    X, y = digits
    flat = X.reshape(len(X), -1)
    for model, rows, spreads, steps in ((SSGANClassifier(), flat, 1, 2000), (SSGANClassifier("digits"), flat, 0, 3360),
                                        (SSGANClassifier(), X, 0, 3360), (SSGANClassifier(epochs=2), flat, 1, 16)):
        made, _, split = given(model, rows, y)
        assert made.label_spreading.weight == spreads and step_count(made, split) == steps
    made, _, split = given(SSGANClassifier(overrides=("train.least_steps=30",), epochs=1), flat, y)
    assert step_count(made, split) == 30


@pytest.mark.slow
def test_progress_is_printed_as_wanted(digits, capsys):
    X, y = digits
    said = []
    for verbose in (0, 1, 2):
        quick(epochs=200, verbose=verbose).fit(X, y)
        output = capsys.readouterr()
        said.append(output.out.splitlines())
        assert output.err == ""
    assert said[0] == [] and said[1][0] == ("[SSGANClassifier] 400 samples, 150 of them labelled, 10 classes: 1,600 "
                                            "steps")
    assert len(said[1]) == 11 and said[1][-1].startswith("[SSGANClassifier] step 1,600 of 1,600, ")
    assert len(said[2]) == 17 and "labelled_loss " in said[2][1] and "labelled_loss" not in said[1][1]


# The score


def test_unlabelled_samples_count_as_wrong_but_for_the_scorer_that_leaves_them_out(digits):
    X, y = digits
    model = quick(epochs=25).fit(X, y)
    right = (model.predict(X[:150]) == y[:150]).mean()
    assert model.score(X, y) == pytest.approx(right * 150 / 400)
    assert labelled_accuracy(model, X, y) == pytest.approx(right)
    marked = [pd.Series(y).where(y >= 0), pd.Series(y).where(y >= 0).astype("Int64"), y.astype(object)]
    marked[-1][150:] = None
    for labels in marked:
        assert model.score(X, labels) == pytest.approx(right * 150 / 400)
    weight = np.where(np.arange(400) < 100, 2.0, 1.0)
    assert model.score(X, y, weight) == pytest.approx(((model.predict(X) == y) * weight).sum() / weight.sum())
    assert model.score(X[150:], y[150:]) == 0
    frame, words = pd.DataFrame(X.reshape(400, -1)), pd.Series(y).where(y >= 0).astype("Int64")
    assert labelled_accuracy(quick(epochs=1).fit(frame, words), frame, words) <= 1
    assert np.isnan(labelled_accuracy(model, X[150:], y[150:]))
    with_unlabelled, without = (cross_val_score(quick(epochs=25), X, y, cv=2, scoring=scoring).mean()
                                for scoring in (None, labelled_accuracy))
    assert with_unlabelled < 0.4 < without
    assert "scoring=labelled_accuracy" in SSGANClassifier.score.__doc__


def test_after_a_fit_that_failed_it_is_not_fitted_and_objects_as_labels_are_scored(tmp_path):
    from sklearn.exceptions import NotFittedError

    random = np.random.default_rng(0)
    y = np.arange(60) % 3
    X = random.normal(size=(60, 4)) + 3 * y[:, None]
    model = SSGANClassifier("features", overrides=("train.least_steps=5", "train.most_steps=5"),
                            learning_rate=np.float64(0.002))
    model.fit(X, y)
    assert model.score(X, y.astype(object)) == model.score(X, y)
    model.set_params(image_shape=np.array([2, 2])).save(tmp_path / "s.npz")
    assert (SSGANClassifier.load(tmp_path / "s.npz").predict(X) == model.predict(X)).all()
    with pytest.raises(ValueError, match="nonsense"):
        model.set_params(overrides=("gan.nonsense=1",), image_shape=None).fit(10 * X, np.array(["x", "y", "z"])[y])
    with pytest.raises(NotFittedError):
        model.predict(X)
