"""`SSGANClassifier`: the semi-supervised GAN under scikit-learn's conventions."""

import json
import math
import os
import re
import time
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import _safe_indexing, check_random_state
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from ssgan.config import Recipe, build, override
from ssgan.data.array_images import Layout
from ssgan.data.array_labels import encode, known_labels, labelled
from ssgan.data.array_scaling import Scaling
from ssgan.data.images import Images
from ssgan.data.named import training_images
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
from ssgan.training.trainer import step_count

IMAGES, FEATURES = "digits", "features"  # the recipes where none is named
BATCH = 1000
LEAST_STEPS = 4000  # digits' own recipe makes 3,360 on its 1,437 images
LINES, LINE_SECONDS = 10, 10  # progress is told so often, and at least every so many seconds
SAVED = "SSGANClassifier 1"  # the form of a saved file


def labelled_accuracy(model, X, y, sample_weight=None) -> float:
    """The accuracy on the samples that are labelled, for `scoring=` in scikit-learn; NaN where none is."""
    known, labels = known_labels(y)
    if not len(known):
        return math.nan
    weight = None if sample_weight is None else _safe_indexing(sample_weight, known)
    return model.score(_safe_indexing(X, known), labels, weight)


class SSGANClassifier(ClassifierMixin, BaseEstimator):
    """A semi-supervised classifier of images, or of other features; unlabelled samples have y = -1, as in
    sklearn.semi_supervised.

    None, NaN and pandas.NA in y mean the same as -1, in arrays, lists and pandas' Series, and so does '-1' beside
    string labels. Classes need not be balanced: losses take those of the unlabelled samples to be as frequent as the
    labels', so that samples should be chosen for labelling without regard to their class.

    Images are [n, h, w], [n, c, h, w], [n, h, w, c], or flat with `image_shape`. All their pixels are brought to [0, 1]
    together: bytes as 0 to 255, unless they stay far below that, others by the least and the largest of the training
    images, but for a few that are far beyond the rest. Features that are no images are each brought to [0, 1] by their
    own values, whatever their type, and trained without augmentation. What lies outside is cut to [0, 1]. `predict`
    scales by what `fit` saw, and warns where X seems to have another scale.

    Parameters
    ----------
    recipe : name of a shipped recipe or a TOML file; its data set, label budget and split mean nothing here. None takes
        `digits` for images and `features` for what is none. Those of data sets are made for as many images as these
        have (digits 1,437, the others 60,000), of classes that are equally frequent. `features` trains without a
        generator, by the answers of scikit-learn's LabelSpreading: compare it with LabelSpreading itself, which takes a
        second, and in the mean had more mistakes (the figures are in the recipe).
    epochs, batch, learning_rate : of the training; None takes the recipe's. With epochs=None, few samples are gone
        through more often: in 4,000 steps, or in as many as the recipe makes on its own data set where those are fewer;
        a recipe that has least or most steps keeps to them.
    overrides : other keys of the recipe as `ssgan run --set` has them: ("model.widths=[100, 50]", "gan.weight=0").
    image_shape : (h, w), (c, h, w) or (h, w, c) where the rows of a flat X are images.
    channels : 'first' or 'last', where in images of three axes the channels are; None finds it where one of the two
        axes alone is 4 long at most.
    device : auto, cpu, cuda or cuda:N, for the training.
    random_state : int, RandomState or None.
    verbose : 0 is silent, 1 prints how far the training is, 2 its losses too.

    Attributes
    ----------
    classes_, n_features_in_, feature_names_in_ : as scikit-learn has them.
    recipe_ : what was trained. shape_ : (c, h, w). network_ : the averaged classifier. low_, range_ : x = (X - low_) /
        range_.
    """

    def __init__(self, recipe=None, *, epochs=None, batch=None, learning_rate=None, overrides=(), image_shape=None,
                 channels=None, device="cpu", random_state=None, verbose=0):
        self.recipe = recipe
        self.epochs = epochs
        self.batch = batch
        self.learning_rate = learning_rate
        self.overrides = overrides
        self.image_shape = image_shape
        self.channels = channels
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X, y):
        """Trains on labelled and unlabelled samples together; until it has ended the classifier is not fitted."""
        self.__dict__.pop("network_", None)
        X, found = self._deep(X)
        if y is None:
            validate_data(self, X, y)  # which says so
        classes, labels = encode(y)
        rows, labels = validate_data(self, X if found is None else X.reshape(len(X), -1), labels)
        layout = self._layout(found, rows.shape[1])
        is_image = layout is not None
        self.classes_, self._layout_ = classes, layout or Layout((rows.shape[1], 1, 1))
        self.shape_ = self._layout_.shape
        scaling = Scaling.of_images(rows) if is_image else Scaling.of_features(rows)
        self.low_, self.range_ = scaling.low, scaling.range
        self.recipe_ = self._recipe(is_image, len(rows))
        pixels = torch.from_numpy(self._layout_.pixels(scaling(rows)).astype(np.float32))
        images = Images.of(pixels, torch.from_numpy(labels), tuple(f"class {i}" for i in range(len(classes))))
        split = _split(images, self.recipe_)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        try:
            model = train(self.recipe_, images, split, seed, device=str(self.device),
                          callback=_Progress(self, split, step_count(self.recipe_, split)))
        except Mistake as mistake:  # networks that do not fit X, say
            raise ValueError(_in_parameters(mistake)) from None
        self.network_ = fold(model.discriminator()).double()
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "network_")

    def predict_proba(self, X):
        """The probabilities of the classes, in the order of `classes_`: [n, k]."""
        check_is_fitted(self)
        X, found = self._deep(X)
        if found is not None and found.shape != self.shape_:
            raise ValueError(f"X holds images of shape {found.shape} (c, h, w), {type(self).__name__} was fitted on "
                             f"{self.shape_}.")
        rows = validate_data(self, X if found is None else self._layout_.rows(X, found), reset=False)
        scaling = Scaling(self.low_, self.range_)
        scaling.check(rows)
        x = torch.from_numpy(self._layout_.pixels(scaling(rows)))
        with torch.no_grad():  # in fp64, so that no answer depends on its batch, as fp32's last bits do
            return torch.cat([self.network_(part, Context())[0].softmax(1) for part in x.split(BATCH)]).numpy()

    def predict(self, X):
        """The most probable class of each sample: [n]."""
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(1)]

    def score(self, X, y, sample_weight=None):
        """The accuracy on X and y. As with scikit-learn's own classifiers, an unlabelled sample counts as wrong,
        however it is marked.

        That holds in `cross_val_score` and `GridSearchCV` too; this scorer leaves unlabelled samples out:

            from ssgan.estimator import labelled_accuracy
            cross_val_score(SSGANClassifier(), X, y, scoring=labelled_accuracy)
        """
        known = labelled(y)
        if known.all():
            return super().score(X, known_labels(y)[1], sample_weight)
        if not known.any():
            return 0.0
        return float(labelled_accuracy(self, X, y, sample_weight) * np.average(known, weights=sample_weight))

    def save(self, path: str | os.PathLike) -> None:
        """Writes the fitted classifier as one .npz file, without pickled code. Raises Mistake."""
        check_is_fitted(self)
        named = ({"feature_names": np.array(self.feature_names_in_, dtype=str)} if hasattr(self, "feature_names_in_")
                 else {})
        weights = {f"network {name}": value.numpy() for name, value in self.network_.state_dict().items()}
        about = {"form": SAVED, "params": self.get_params() | {
            "random_state": _plain_state(self.random_state), "recipe": self.recipe and str(self.recipe)},
                 "recipe": as_table(self.recipe_), "shape": self.shape_, "channels_last": self._layout_.channels_last,
                 "labels_are_objects": self.classes_.dtype == object}
        with replacing(Path(path)) as file:
            text = json.dumps(about, default=lambda value: value.tolist())  # numpy's numbers may be parameters
            np.savez(file, about=np.array(text), classes=_plain_labels(self.classes_),
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
        self._layout_ = Layout(self.shape_, about.get("channels_last", False))
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

    def _deep(self, X):
        """X, and the layout of images that lie deep in it; None where X is flat or is for scikit-learn to refuse."""
        deep = np.ndim(X) if isinstance(X, list | tuple) else getattr(X, "ndim", 2)
        if deep not in (3, 4):
            return X, None
        X = check_array(X, allow_nd=True)
        return X, Layout.of(X.shape[1:], self.channels, "the images in X of shape")

    def _layout(self, found: Layout | None, features: int) -> Layout | None:
        """How images lie in rows of so many features: as they were found in X, or as `image_shape` says; None where
        they are no images. Raises ValueError where the parameters contradict each other or X.
        """
        if self.image_shape is None:
            if found is None and self.channels is not None:
                raise ValueError(f"channels={self.channels!r} is about images, and X holds features: give X as "
                                 f"[n, h, w, c] or [n, c, h, w], or say image_shape.")
            return found
        sides = isinstance(self.image_shape, tuple | list | np.ndarray)
        shape = tuple(int(side) for side in self.image_shape) if sides else ()
        if len(shape) not in (2, 3) or min(shape) < 1 or math.prod(shape) != features:
            raise ValueError(f"image_shape={self.image_shape!r} must be (h, w), (c, h, w) or (h, w, c) with a product "
                             f"of {features}, the number of features of X.")
        given = Layout.of(shape, self.channels, "image_shape")
        if found is not None and found != given:
            raise ValueError(f"image_shape={self.image_shape!r} contradicts X, whose images are of shape {found.shape} "
                             f"(c, h, w){' with the channels last' * found.channels_last}: leave it out.")
        return given

    def _recipe(self, is_image: bool, samples: int) -> Recipe:
        """The recipe for so many samples, with what the parameters say. Raises ValueError."""
        named = [("epochs", self.epochs), ("batch", self.batch), ("learning_rate", self.learning_rate)]
        try:
            if isinstance(self.overrides, str):
                raise Mistake(f"overrides={self.overrides!r} is a tuple of texts, for example ({self.overrides!r},).")
            recipe = read(str(self.recipe or (IMAGES if is_image else FEATURES))).recipe
            for key, value in (("precision", "fp32"), ("compile", "no")):
                if getattr(recipe.train, key) == "auto":  # which is found out here, so that two fits could differ
                    recipe = override(recipe, [f"train.{key}={value}"])
            recipe = override(classifier_alone(recipe), [
                *self.overrides, *(f"train.{key}={value}" for key, value in named if value is not None)])
            said = {each.split("=")[0].strip() for each in self.overrides}
            if self.epochs is None and "train.epochs" not in said:
                recipe = _long_enough(recipe, samples)
            else:  # which the recipe's own least and most steps do not overrule
                recipe = override(recipe, [f"{key}=0" for key in ("train.least_steps", "train.most_steps")
                                           if key not in said])
        except Mistake as mistake:
            raise ValueError(_in_parameters(mistake)) from None
        if is_image:
            return recipe
        if recipe.model.family != "mlp":
            raise ValueError(f"model.family = {recipe.model.family!r} needs images: give X as [n, h, w], or "
                             f"image_shape, or use 'mlp'.")
        return replace(recipe, augment=recipe.augment.off(), diff_augment=recipe.diff_augment.off())


class _Progress:
    """Prints how far a training is, as often as the estimator's `verbose` wants it; called after every 100 steps."""

    def __init__(self, model: SSGANClassifier, split: Split, steps: int):
        self.verbose, self.steps = model.verbose, steps
        self.began = self.told = time.monotonic()
        if self.verbose:
            samples = len(np.union1d(split.labelled, split.unlabelled))
            self._print(f"{samples:,} samples, {len(split.labelled):,} of them labelled, {len(model.classes_)} "
                        f"classes: {steps:,} steps")

    def __call__(self, step: int, values: dict[str, float]) -> None:
        now = time.monotonic()
        due = self.verbose > 1 or step >= self.steps or step * LINES // self.steps > (step - 100) * LINES // self.steps
        if not self.verbose or not (due or now - self.told > LINE_SECONDS):
            return
        self.told, took = now, now - self.began
        losses = "".join(f", {name} {value:.3g}" for name, value in values.items()) if self.verbose > 1 else ""
        self._print(f"step {step:,} of {self.steps:,}, {took:.1f} s, about {took / step * (self.steps - step):.1f} s "
                    f"left{losses}")

    def _print(self, text: str) -> None:
        print(f"[SSGANClassifier] {text}", flush=True)


def _in_parameters(mistake: Mistake) -> str:
    """What a mistake says, with the estimator's parameters in place of the command line's options."""
    text = re.sub(r"--set ([\w.]+=(?:\[[^]]*\]|\S+?))(?=[.,;:]?(?:\s|$))", r"overrides=('\1',)", str(mistake))
    return re.sub(r"--(device|recipe) ", r"\1=", text)


def _long_enough(recipe: Recipe, samples: int) -> Recipe:
    """The recipe with more epochs where they are too few for so many samples, as those of a large data set are; where
    it says itself how many steps are made at least or at most, as it is.
    """
    if recipe.train.least_steps or recipe.train.most_steps:
        return recipe
    batch, meant = recipe.train.batch, training_images(recipe.dataset) or samples
    wanted = min(LEAST_STEPS, recipe.train.epochs * (meant // batch))
    epochs = min(wanted / max(1, samples // batch), 100_000)
    return override(recipe, [f"train.epochs={epochs}"]) if epochs > recipe.train.epochs else recipe


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
