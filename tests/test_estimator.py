"""SSGANClassifier: scikit-learn's own checks, semi-supervision, images and features, saving, and what is refused."""

import json
import os
import pickle
import tempfile

import joblib
import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits, make_moons
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks

from ssgan.data.images import Images
from ssgan.errors import Mistake
from ssgan.estimator import SSGANClassifier

SMALL = ("model.widths=[40, 20]", "model.generator_widths=[10, 10]", "model.latent=10")
MINUS_ONE = ("y = -1 marks unlabelled samples, as in sklearn.semi_supervised, whose classifiers scikit-learn exempts "
             "by name")


def quick(**parameters) -> SSGANClassifier:
    """A small classifier whose training takes a fraction of a second."""
    return SSGANClassifier(**({"epochs": 5, "overrides": SMALL, "random_state": 0} | parameters))


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """300 digits [n, 8, 8] in 0 to 16, and their labels, all but 100 of them -1."""
    bunch = load_digits()
    y = bunch.target[:300].copy()
    y[100:] = -1
    return bunch.images[:300], y


@pytest.fixture(scope="module")
def fitted(digits) -> SSGANClassifier:
    return quick().fit(*digits)


# scikit-learn's conventions


def test_scikit_learns_checks_pass_but_for_minus_one_as_a_class():
    estimator_checks.check_estimator(quick(epochs=15), expected_failed_checks={"check_classifiers_classes": MINUS_ONE},
                                     on_skip=None)


def test_the_check_of_classes_passes_as_for_scikit_learns_own_semi_supervised_classifiers():
    estimator_checks.check_classifiers_classes("SelfTrainingClassifier", quick(epochs=60))


def test_it_searches_and_stands_in_pipelines(digits):
    X, y = digits[0][:100].reshape(100, -1), digits[1][:100]
    search = GridSearchCV(quick(image_shape=(8, 8)), {"epochs": [0.5, 20]}, cv=2).fit(X, y)
    assert search.best_params_ == {"epochs": 20}
    pipeline = make_pipeline(StandardScaler(), quick(epochs=20))
    assert cross_val_score(pipeline, X, y, cv=2).mean() > 0.5
    assert clone(pipeline.set_params(ssganclassifier__batch=7)).get_params()["ssganclassifier__batch"] == 7


def test_colour_images_with_the_channels_last():
    random = np.random.default_rng(0)
    y = np.arange(40) % 2
    X = random.integers(0, 100, (40, 32, 32, 3), np.uint8)
    X[y == 1, ..., 0] += 150
    model = quick(recipe="salimans2016-cifar10", epochs=2, batch=10, learning_rate=0.01, overrides=(
        "model.widths=[4, 4, 4, 6, 6, 6, 6, 6, 6]", "model.generator_widths=[8, 6, 4]",
        "train.averaging=corrected", "train.averaging_rate=0.5")).fit(X, np.where(np.arange(40) < 20, y, -1))
    assert model.predict(X[20:]).shape == (20,) and model.predict_proba(X).shape == (40, 2)
    with pytest.raises(ValueError, match="9 convolutions"):
        quick(recipe="salimans2016-cifar10").fit(X, y)


def test_the_same_state_gives_the_same_classifier_and_another_another(digits, fitted):
    X = digits[0]
    assert (quick().fit(*digits).predict_proba(X) == fitted.predict_proba(X)).all()
    assert (quick(random_state=np.random.RandomState(0)).fit(*digits).predict_proba(X) == fitted.predict_proba(X)).all()
    assert (quick(random_state=1).fit(*digits).predict_proba(X) != fitted.predict_proba(X)).any()


def test_nothing_is_written_where_it_runs(digits, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    quick(epochs=1).fit(*digits).predict(digits[0])
    assert list(tmp_path.iterdir()) == []


# Semi-supervision


@pytest.mark.slow
def test_unlabelled_samples_teach():
    bunch = load_digits()
    X, y = bunch.images[:600], bunch.target[:600]
    few = np.concatenate([np.flatnonzero(y == label)[:5] for label in range(10)])
    hidden = np.full(len(y), -1)
    hidden[few] = y[few]
    wide = ("model.widths=[80, 50]", "model.generator_widths=[20, 20]")
    # as many steps, of one an epoch
    alone = SSGANClassifier(epochs=396, overrides=wide, random_state=0).fit(X[few], y[few])
    with_others = SSGANClassifier(epochs=33, overrides=wide, random_state=0).fit(X, hidden)
    assert with_others.score(bunch.images[600:], bunch.target[600:]) > max(
        0.82, alone.score(bunch.images[600:], bunch.target[600:]) + 0.01)
    assert with_others.classes_.tolist() == list(range(10))


def test_labels_keep_their_type(digits):
    X, y = digits
    for labels, kind in (((y * 10).astype(np.int8), "i"), (y.astype(float), "f")):
        labels[y == -1] = -1
        predicted = quick(epochs=1).fit(X, labels).predict(X)
        assert predicted.dtype == labels.dtype and predicted.dtype.kind == kind
    words = np.array([f"digit {label}" if label >= 0 else -1 for label in y.tolist()], dtype=object)
    model = quick(epochs=1).fit(X, words)
    assert model.classes_.tolist() == [f"digit {i}" for i in range(10)] and set(model.predict(X)) <= set(words[:100])
    assert quick(epochs=1).fit(X[:100], y[:100].astype(str)).predict(X[:3]).dtype.kind == "U"
    assert quick(epochs=1).fit(X[:100], y[:100] > 4).predict(X[:3]).dtype == bool
    numbers = quick(epochs=1).fit(X, y.astype(object))
    assert numbers.classes_.tolist() == list(range(10))


def test_labels_need_not_be_balanced():
    X, y = make_moons(200, noise=0.1, random_state=0)
    y[np.flatnonzero(y == 1)[3:]] = -1
    assert quick(epochs=40).fit(X, y).score(X[y >= 0], y[y >= 0]) > 0.9


def test_an_exclusive_pool_is_the_unlabelled_samples_alone(digits, monkeypatch):
    pools = []

    def train(recipe, images, split, seed, device, callback):
        pools.append((split.labelled.tolist(), split.unlabelled.tolist()))
        raise InterruptedError

    monkeypatch.setattr("ssgan.estimator.train", train)
    X, y = digits
    for labels, overrides in ((y, ()), (y, ("split.pool=exclusive",)), (y[:100], ("split.pool=exclusive",))):
        with pytest.raises(InterruptedError):
            quick(overrides=overrides).fit(X[: len(labels)], labels)
    first, everything = list(range(100)), list(range(300))
    assert pools == [(first, everything), (first, everything[100:]), (first, first)]


# Images and features


def test_images_of_every_form_are_the_same_images(digits, fitted):
    X, y = digits
    expected = fitted.predict_proba(X)
    for same in (X[:, None], X.tolist()):
        assert (quick().fit(same, y).predict_proba(same) == expected).all()
    flat = X.reshape(len(X), -1)
    for shape in ((8, 8), (1, 8, 8), [8, 8]):
        model = quick(image_shape=shape).fit(flat, y)
        assert (model.predict_proba(flat) == expected).all() and (model.predict_proba(X) == expected).all()
    assert (fitted.predict_proba(flat) == expected).all() and fitted.n_features_in_ == 64 and fitted.shape_ == (1, 8, 8)


def test_bytes_count_as_0_to_255_and_others_by_the_training_data(digits):
    X, y = digits
    half = np.round(X * 127 / 16).astype(np.uint8)  # dark bytes stay dark
    dark = quick().fit(half, y)
    assert (dark.low_, dark.range_) == (0, 255)
    assert (dark.predict_proba(half) == dark.predict_proba(half.astype(float))).all()
    assert (quick().fit(X * 3 - 7, y).predict(X * 3 - 7) == quick().fit(X, y).predict(X)).all()
    features = quick(epochs=1).fit(np.array([[0.0, 5, 9], [2, 5, -9], [1, 5, 0], [0, 5, 9]]), [0, 1, 0, 1])
    assert features.low_.tolist() == [0, 5, -9] and features.range_.tolist() == [2, 1, 18]


def test_features_are_trained_without_augmentation_and_images_with(digits, fitted):
    X, y = digits
    assert fitted.recipe_.augment.shift > 0
    assert quick(epochs=1).fit(X.reshape(300, -1), y).recipe_.augment.shift == 0


def test_float_images_are_gathered_as_they_are_and_known_by_their_content():
    pixels = torch.rand(5, 1, 2, 3, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, -1, 0, 1])
    images = Images.of(pixels, labels, ("a", "b"))
    index = torch.tensor([[4, 0], [2, 2]])
    assert images.gather(index).equal(pixels[index]) and images.gather(index, torch.float64).dtype == torch.float64
    other = pixels.clone()
    other[3, 0, 1, 2] = 0.5
    assert len({Images.of(each, labels, ("a", "b")).sha256 for each in (pixels, other, (pixels * 255).byte())}) == 3
    assert Images.of(pixels.clone(), labels, ("a", "b")).sha256 == images.sha256
    for bad in (pixels * 2, pixels - 1, pixels / 0, pixels.double()):
        with pytest.raises(AssertionError):
            Images.of(bad, labels, ("a", "b"))


# Saving


def test_a_saved_classifier_answers_as_before_without_pickle(digits, tmp_path, monkeypatch):
    X, y = digits
    words = np.array([f"digit {label}" if label >= 0 else -1 for label in y.tolist()], dtype=object)
    models = {"numbers": quick().fit(X, y), "objects": quick().fit(X, words),
              "text": quick().fit(X[:100], words[:100].astype(str)),
              "features": quick(random_state=np.random.RandomState(3)).fit(X.reshape(300, -1), y)}
    for name, model in models.items():
        model.save(tmp_path / f"{name}.npz")
    monkeypatch.setattr(pickle, "Unpickler", None)
    monkeypatch.setattr(pickle, "load", None)
    for name, model in models.items():
        X = digits[0].reshape(300, -1) if name == "features" else digits[0]
        again = SSGANClassifier.load(tmp_path / f"{name}.npz")
        assert (again.predict_proba(X) == model.predict_proba(X)).all() and (again.predict(X) == model.predict(X)).all()
        assert again.classes_.dtype == model.classes_.dtype and again.n_features_in_ == 64
        assert again.recipe_ == model.recipe_
        if name != "features":  # a RandomState is left behind
            assert again.get_params() == model.get_params()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(f"{name}.npz" for name in models)


def test_feature_names_are_saved(tmp_path):
    import pandas

    frame = pandas.DataFrame({"height": [1.0, 2, 3, 4], "width": [4.0, 2, 3, 1]})
    model = quick(epochs=1).fit(frame, [0, 1, 0, 1])
    model.save(tmp_path / "x.npz")
    assert SSGANClassifier.load(tmp_path / "x.npz").feature_names_in_.tolist() == ["height", "width"]


def test_it_survives_joblib(digits, fitted, tmp_path):
    joblib.dump(fitted, tmp_path / "x.joblib")
    assert (joblib.load(tmp_path / "x.joblib").predict_proba(digits[0]) == fitted.predict_proba(digits[0])).all()


def test_files_that_save_did_not_write_are_mistakes(fitted, tmp_path):
    fitted.save(tmp_path / "whole.npz")
    whole = (tmp_path / "whole.npz").read_bytes()
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    np.savez(tmp_path / "form.npz", about=np.array(json.dumps({"form": "SSGANClassifier 99"})))
    np.savez(tmp_path / "pickled.npz", about=np.array([{}], dtype=object))
    (tmp_path / "half.npz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.npz").write_text("hello")
    for name in ("other.npz", "form.npz", "pickled.npz", "half.npz", "text.npz", "gone.npz"):
        with pytest.raises(Mistake, match=f"{name} cannot be read as a saved SSGANClassifier"):
            SSGANClassifier.load(tmp_path / name)


def test_a_place_that_cannot_be_written_is_a_mistake(fitted, tmp_path):
    with pytest.raises(Mistake, match="cannot write"):
        fitted.save(tmp_path / "nowhere" / "x.npz")
    assert os.listdir(tmp_path) == []


# What is refused


@pytest.mark.parametrize(("change", "said"), [
    ({"y": [-1] * 4}, "no sample of y is labelled"),
    ({"y": [3, 3, -1, -1]}, "the labels in y are of 1 class"),
    ({"y": np.array(["a", 5, -1, "a"], dtype=object)}, "of several types"),
    ({"y": [0.5, 1.25, -1, 2.1]}, "Unknown label type"),
    ({"y": [0, 1, 0]}, "inconsistent numbers of samples"),
    ({"X": sparse.csr_matrix(np.eye(4))}, "[Ss]parse"),
    ({"X": [[0, np.nan]] * 4}, "NaN"),
    ({"X": np.full((4, 2, 2), np.inf)}, "infinity"),
    ({"X": np.zeros((4, 2, 2, 2, 2))}, "dim 5"),
    ({"X": [1, 2, 3, 4]}, "1D array"),
    ({"X": [["a", "b"]] * 4}, "bytes/strings"),
    ({"image_shape": (3, 3)}, "with a product of 4, the number of features"),
    ({"image_shape": (4,)}, r"must be \(h, w\), \(c, h, w\) or \(h, w, c\)"),
    ({"epochs": -1}, "train.epochs must be a number"),
    ({"epochs": "many"}, "train.epochs must be a number"),
    ({"recipe": "digit"}, "did you mean digits"),
    ({"overrides": ("model.wdths=[3]",)}, "did you mean model.widths"),
    ({"overrides": "gan.weight=0"}, "is a tuple of texts"),
    ({"overrides": ("model.family=conv",)}, "needs images"),
    ({"device": "cuda:9"}, "^device=cuda:9: torch finds .* try device=cpu"),
    ({"recipe": "none.toml"}, "^recipe=none.toml: the file cannot be read"),
    ({"overrides": ("smoothing.weight=1", "gan.weight=1", "gan.loss=wasserstein",
                    "gradient_penalty.weight=10")},
     r"for example overrides=\('[a-z_]+\.weight=0',\)\.$")])
def test_what_cannot_be_fitted_is_a_value_error(change, said):
    data = {"X": np.arange(16.0).reshape(4, 4), "y": [0, 1, 0, 1]}
    parameters = {key: value for key, value in change.items() if key not in data}
    with pytest.raises((ValueError, TypeError), match=said):
        quick(**parameters).fit(*(data | {key: value for key, value in change.items() if key in data}).values())


def test_images_of_another_shape_are_refused(fitted):
    with pytest.raises(ValueError, match=r"images of shape \(1, 16, 4\) \(c, h, w\), SSGANClassifier was fitted on "
                                         r"\(1, 8, 8\)"):
        fitted.predict(np.zeros((2, 16, 4)))
    with pytest.raises(ValueError, match="expecting 64 features"):
        fitted.predict(np.zeros((2, 81)))


def test_a_convolutional_recipe_takes_images(digits):
    overrides = ("model.family=conv", "model.widths=[6, 8]", "model.generator_widths=[8, 6]")
    model = quick(epochs=1, overrides=overrides).fit(*digits)
    assert model.predict_proba(digits[0][:5]).shape == (5, 10)


@pytest.mark.slow
def test_on_digits_it_beats_scikit_learns_own():
    from sklearn.model_selection import train_test_split
    from sklearn.semi_supervised import LabelSpreading

    X, X_test, y, y_test = train_test_split(*load_digits(return_X_y=True), test_size=360, random_state=0)
    y[train_test_split(range(len(y)), train_size=100, stratify=y, random_state=0)[1]] = -1
    ours = SSGANClassifier(image_shape=(8, 8), random_state=0).fit(X, y).score(X_test, y_test)
    assert ours > max(0.97, LabelSpreading(gamma=0.01).fit(X, y).score(X_test, y_test))
