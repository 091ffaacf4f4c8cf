"""`SSGANClassifier`: the semi-supervised GAN under scikit-learn's conventions."""

import json
import math
import os
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from ssgan.config import Recipe, build, override
from ssgan.data.images import Images
from ssgan.data.splits import Split
from ssgan.errors import Mistake
from ssgan.files import replacing
from ssgan.models import build_discriminator
from ssgan.models.context import Context
from ssgan.models.fold import fold
from ssgan.random_streams import torch_generator
from ssgan.recipes import read
from ssgan.settings import as_table
from ssgan.techniques import classifier_alone
from ssgan.training.in_memory import train

UNLABELLED = -1
BATCH = 1000
SAVED = "SSGANClassifier 1"  # the form of a saved file


class SSGANClassifier(ClassifierMixin, BaseEstimator):
    """A semi-supervised classifier of images, or of other features; unlabelled samples have y = -1, as in
    sklearn.semi_supervised.

    Images are [n, h, w], [n, c, h, w], or flat with `image_shape`. Values of uint8 count as 0 to 255; others are
    brought to [0, 1] by the least and the largest of the training data: one pair for all pixels of images, one pair a
    feature otherwise. Features that are no images are trained without augmentation. String labels beside -1 need y of
    dtype object. Classes need not be balanced: losses take those of the unlabelled samples to be as frequent as the
    labels', so that samples should be chosen for labelling without regard to their class.

    Parameters
    ----------
    recipe : name of a shipped recipe or a TOML file; its data set, label budget and split mean nothing here.
    epochs, batch, learning_rate : of the training; None takes the recipe's.
    overrides : other keys of the recipe as `ssgan run --set` has them: ("model.widths=[100, 50]", "gan.weight=0").
    image_shape : (h, w) or (c, h, w) where the rows of a flat X are images.
    device : auto, cpu, cuda or cuda:N, for the training.
    random_state : int, RandomState or None.

    Attributes
    ----------
    classes_, n_features_in_, feature_names_in_ : as scikit-learn has them.
    recipe_ : what was trained. shape_ : (c, h, w). network_ : the averaged classifier. low_, range_ : x = (X - low_) /
        range_.
    """

    def __init__(self, recipe="digits", *, epochs=None, batch=None, learning_rate=None, overrides=(), image_shape=None,
                 device="cpu", random_state=None):
        self.recipe = recipe
        self.epochs = epochs
        self.batch = batch
        self.learning_rate = learning_rate
        self.overrides = overrides
        self.image_shape = image_shape
        self.device = device
        self.random_state = random_state

    def fit(self, X, y):
        """Trains on labelled and unlabelled samples together."""
        X, shape = self._rows(X)
        X, y = validate_data(self, X, y)
        shape = shape or _image_shape(self.image_shape, X.shape[1])
        self.classes_, labels = _encode(y)
        self.shape_ = shape or (X.shape[1], 1, 1)
        self.low_, self.range_ = _scale(X, shape is not None)
        self.recipe_ = self._recipe(shape is not None)
        pixels = torch.from_numpy(self._scaled(X).clip(0, 1).astype(np.float32)).view(len(X), *self.shape_)
        images = Images.of(pixels, torch.from_numpy(labels), tuple(f"class {i}" for i in range(len(self.classes_))))
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        model = train(self.recipe_, images, _split(images, self.recipe_), seed, device=self.device)
        self.network_ = fold(model.discriminator()).double()
        return self

    def predict_proba(self, X):
        """The probabilities of the classes, in the order of `classes_`: [n, k]."""
        check_is_fitted(self)
        X, shape = self._rows(X)
        X = validate_data(self, X, reset=False)
        if shape not in (None, self.shape_):
            raise ValueError(f"X holds images of shape {shape} (c, h, w), {type(self).__name__} was fitted on "
                             f"{self.shape_}.")
        x = torch.from_numpy(self._scaled(X)).view(len(X), *self.shape_)
        with torch.no_grad():  # in fp64, so that no answer depends on its batch, as fp32's last bits do
            return torch.cat([self.network_(part, Context())[0].softmax(1) for part in x.split(BATCH)]).numpy()

    def predict(self, X):
        """The most probable class of each sample: [n]."""
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(1)]

    def save(self, path: str | os.PathLike) -> None:
        """Writes the fitted classifier as one .npz file, without pickled code. Raises Mistake."""
        check_is_fitted(self)
        named = ({"feature_names": np.array(self.feature_names_in_, dtype=str)} if hasattr(self, "feature_names_in_")
                 else {})
        weights = {f"network {name}": value.numpy() for name, value in self.network_.state_dict().items()}
        about = {"form": SAVED, "params": self.get_params() | {
            "random_state": _plain_state(self.random_state), "recipe": str(self.recipe)},
                 "recipe": as_table(self.recipe_), "shape": self.shape_,
                 "labels_are_objects": self.classes_.dtype == object}
        with replacing(Path(path)) as file:
            np.savez(file, about=np.array(json.dumps(about)), classes=_plain_labels(self.classes_),
                     features=self.n_features_in_, low=self.low_, range=self.range_, **named, **weights)

    @classmethod
    def load(cls, path: str | os.PathLike) -> "SSGANClassifier":
        """The classifier that `save` wrote. Raises Mistake for any other file."""
        try:
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as saved:
                values = {name: saved[name] for name in saved.files}
            about = json.loads(str(values["about"]))
            if about["form"] != SAVED:
                raise ValueError(f"it is a {about['form']!r}")
            return cls(**_tuples(about["params"]))._restore(about, values)
        except (OSError, ValueError, KeyError, TypeError, EOFError, AttributeError, RuntimeError, zipfile.BadZipFile,
                zlib.error) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise Mistake(f"{path} cannot be read as a saved SSGANClassifier: {reason}.") from None

    def _restore(self, about: dict, values: dict[str, np.ndarray]) -> "SSGANClassifier":
        self.classes_ = values["classes"].astype(object) if about["labels_are_objects"] else values["classes"]
        self.n_features_in_, self.shape_ = int(values["features"]), tuple(about["shape"])
        self.low_, self.range_ = values["low"], values["range"]
        self.recipe_ = build(about["recipe"], "the saved recipe")
        if "feature_names" in values:
            self.feature_names_in_ = values["feature_names"].astype(object)
        network = fold(build_discriminator(self.recipe_.model, self.shape_, len(self.classes_),
                                           torch_generator(0))).double()
        weights = {name.removeprefix("network "): torch.from_numpy(value) for name, value in values.items()
                   if name.startswith("network ")}
        network.load_state_dict(weights)
        self.network_ = network
        return self

    def _rows(self, X):
        """X with images made flat, and their shape (c, h, w), None where X is flat already or is for scikit-learn to
        refuse.
        """
        deep = np.ndim(X) if isinstance(X, list | tuple) else getattr(X, "ndim", 2)
        if deep not in (3, 4):
            return X, None
        X = check_array(X, allow_nd=True)
        return X.reshape(len(X), -1), (1, *X.shape[1:]) if X.ndim == 3 else X.shape[1:]

    def _scaled(self, X: np.ndarray) -> np.ndarray:
        return (X.astype(np.float64) - self.low_) / self.range_

    def _recipe(self, is_image: bool) -> Recipe:
        """The recipe with what the parameters say. Raises ValueError."""
        named = [("epochs", self.epochs), ("batch", self.batch), ("learning_rate", self.learning_rate)]
        try:
            if isinstance(self.overrides, str):
                raise Mistake(f"overrides={self.overrides!r} is a tuple of texts, for example ({self.overrides!r},).")
            recipe = read(str(self.recipe)).recipe
            for key, value in (("precision", "fp32"), ("compile", "no")):
                if getattr(recipe.train, key) == "auto":  # which is found out here, so that two fits could differ
                    recipe = override(recipe, [f"train.{key}={value}"])
            recipe = override(classifier_alone(recipe), [
                *self.overrides, *(f"train.{key}={value}" for key, value in named if value is not None)])
        except Mistake as mistake:
            raise ValueError(str(mistake)) from None
        if is_image:
            return recipe
        if recipe.model.family != "mlp":
            raise ValueError(f"model.family = {recipe.model.family!r} needs images: give X as [n, h, w], or "
                             f"image_shape, or use 'mlp'.")
        return replace(recipe, augment=recipe.augment.off())


def _image_shape(given, features: int) -> tuple[int, int, int] | None:
    if given is None:
        return None
    shape = tuple(int(side) for side in given)
    if len(shape) not in (2, 3) or min(shape) < 1 or math.prod(shape) != features:
        raise ValueError(f"image_shape={given!r} must be (h, w) or (c, h, w) with a product of {features}, the number "
                         f"of features of X.")
    return shape if len(shape) == 3 else (1, *shape)


def _encode(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The sorted classes [k], and the index of each label [n], -1 where it is unknown. Raises ValueError."""
    if y.dtype.kind in "US" and (y.astype(str) == str(UNLABELLED)).any():
        raise ValueError("y of strings has '-1' in it: to mark unlabelled samples beside string labels, give y with "
                         "dtype object and the number -1.")
    known = np.array([isinstance(label, str) or label != UNLABELLED for label in y.tolist()], dtype=bool)
    if not known.any():
        raise ValueError("no sample of y is labelled: all of them are -1.")
    labels = y[known]
    if labels.dtype == object and not all(isinstance(label, str) for label in labels):
        labels = np.array(labels.tolist())
        if labels.dtype.kind in "USO":
            raise ValueError("the labels in y are of several types; use one.")
    check_classification_targets(labels)
    classes, index = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"the labels in y are of {len(classes)} class; a classifier needs at least 2 classes.")
    codes = np.full(len(y), UNLABELLED, dtype=np.int64)
    codes[known] = index
    return classes, codes


def _scale(X: np.ndarray, is_image: bool) -> tuple[np.ndarray, np.ndarray]:
    """(low, range), of all values or of each feature, so that (X - low) / range is in [0, 1]."""
    if X.dtype == np.uint8:
        return np.float64(0), np.float64(255)
    axis = None if is_image else 0
    low, high = X.min(axis).astype(np.float64), X.max(axis).astype(np.float64)
    return low, np.where(high > low, high - low, 1.0)


def _split(images: Images, recipe: Recipe) -> Split:
    """All samples, the labelled ones in the pool too, or outside it where the recipe says so and others are there."""
    labels = images.labels.numpy()
    labelled, others = np.flatnonzero(labels >= 0), np.flatnonzero(labels < 0)
    pool = others if recipe.split.pool == "exclusive" and len(others) else np.arange(len(labels))
    nothing = np.zeros(0, dtype=np.int64)
    return Split(labelled, pool, nothing, nothing, len(labelled), 0, recipe.split.pool, "X", images.sha256)


def _plain_state(state):
    """A random state as JSON holds it; a RandomState, which only another fit would need, is left out."""
    return int(state) if isinstance(state, int | np.integer) else None


def _plain_labels(classes: np.ndarray) -> np.ndarray:
    if classes.dtype != object:
        return classes
    return np.array(classes.tolist(), dtype=str)  # `_encode` leaves no other objects than strings


def _tuples(params: dict) -> dict:
    """JSON's lists as the tuples that they were."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in params.items()}
