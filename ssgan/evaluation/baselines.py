"""What the classifier is compared with, on the same split: the same network without help, and scikit-learn's methods."""

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from ssgan.config import Recipe
from ssgan.data.dataset import Dataset
from ssgan.data.splits import Split
from ssgan.random_streams import numpy_generator

SUPERVISED = "supervised only"
NO_GENERATOR = "no generator"
NAMES = (SUPERVISED, NO_GENERATOR, "LabelSpreading", "SelfTraining", "SVM")
LARGEST_POOL = 10_000  # unlabelled images for scikit-learn's methods, which then take well under a minute and a gigabyte


@dataclass(frozen=True)
class Baseline:
    """A method's errors on the test images; `note` says what it saw."""

    name: str
    wrong: int
    total: int
    error: float
    seconds: float
    note: str


def supervised_only(recipe: Recipe) -> Recipe:
    """The recipe of the same network, noise, augmentation, averaging and steps on the labelled images alone."""
    return replace(recipe, gan=replace(recipe.gan, weight=0.0), consistency=replace(recipe.consistency, weight=0.0),
                   vat=replace(recipe.vat, weight=0.0),
                   class_balance=replace(recipe.class_balance, weight=0.0), entropy=replace(recipe.entropy, weight=0.0))


def without_generator(recipe: Recipe) -> Recipe:
    """The same recipe without generated images; consistency, where it is on, stays."""
    return replace(recipe, gan=replace(recipe.gan, weight=0.0))


def metric(name: str) -> str:
    """The name under which a baseline's error is measured."""
    return "test/" + "".join(sign if sign.isalnum() else "_" for sign in name.lower()) + "_error"


def classical(dataset: Dataset, split: Split, seed: int) -> list[Baseline]:
    """scikit-learn's LabelSpreading and SelfTrainingClassifier, and an SVM on the labels alone, on pixels in [0, 1].

    Their settings were chosen on validation images of digits, split seeds 1000-1009. A pool that is too large is subsampled at
    random, openly; the answers on the test images are inductive.
    """
    labelled = split.labelled
    others = np.setdiff1d(split.unlabelled, labelled)
    random = numpy_generator(seed, "baselines")
    pool = others if len(others) <= LARGEST_POOL else np.sort(random.choice(others, LARGEST_POOL, replace=False))
    note = "" if len(pool) == len(others) else f"on {len(pool):,} of {len(others):,} unlabelled images"
    x = _flat(dataset.train, np.concatenate((labelled, pool)))
    y = np.concatenate((dataset.train.labels[labelled].numpy(), np.full(len(pool), -1)))
    test = _flat(dataset.test, split.test), dataset.test.labels[split.test].numpy()
    only = slice(len(labelled))
    return [
        _timed("LabelSpreading", lambda: _label_spreading(len(x)).fit(x, y), test, note),
        _timed("SelfTraining", lambda: _self_training().fit(x, y), test, note),
        _timed("SVM", lambda: _svm().fit(x[only], y[only]), test, "labelled images alone"),
    ]


def _svm():
    from sklearn.svm import SVC

    return SVC(C=10)


def _label_spreading(count: int):
    from sklearn.semi_supervised import LabelSpreading

    return LabelSpreading(kernel="knn", n_neighbors=min(7, count), alpha=0.5, max_iter=1000)


def _self_training():
    """Around kernel ridge regression on random Fourier features, which is solved in closed form, so that many rounds take seconds."""
    from sklearn.kernel_approximation import RBFSampler
    from sklearn.linear_model import RidgeClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.semi_supervised import SelfTrainingClassifier
    from sklearn.utils.extmath import softmax

    class Ridge(RidgeClassifier):
        """With a confidence, which self-training needs: outputs lie between -1 and 1, and 4 spreads them."""

        def predict_proba(self, x):
            outputs = self.decision_function(x)
            return softmax(4 * (np.stack([-outputs, outputs], axis=1) if outputs.ndim == 1 else outputs))

    features = RBFSampler(gamma="scale", n_components=1000, random_state=0)
    return SelfTrainingClassifier(make_pipeline(features, Ridge(alpha=0.01)), threshold=0.9, max_iter=20)


def _timed(name: str, fit: Callable, test: tuple[np.ndarray, np.ndarray], note: str) -> Baseline:
    began = time.monotonic()
    images, labels = test
    with warnings.catch_warnings():
        # An empty pool, and labels that do not spread to every image: such an image then counts as one of the first class.
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("ignore", RuntimeWarning)
        predictions = fit().predict(images)
    wrong = int((predictions != labels).sum())
    return Baseline(name, wrong, len(labels), wrong / len(labels), time.monotonic() - began, note)


def _flat(images, index: np.ndarray) -> np.ndarray:
    """[n, c * h * w] in [0, 1]."""
    return images.gather(torch.from_numpy(index)).cpu().numpy().reshape(len(index), -1)
