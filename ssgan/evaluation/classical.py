"""scikit-learn's methods on pixels in [0, 1], with unlabelled images and without.

Their settings were chosen on validation images of digits, split seeds 1000-1009. The answers on the test images are
inductive.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from ssgan.data.dataset import Dataset
from ssgan.data.images import Images
from ssgan.data.splits import Split
from ssgan.evaluation import metrics
from ssgan.random_streams import numpy_generator
from ssgan.techniques.label_spreading import LARGEST_POOL

Fit = Callable[[np.ndarray, np.ndarray], object]  # images [n, f], labels [n], -1 for none -> what has `predict`


@dataclass(frozen=True, eq=False)
class Pixels:
    """A split as scikit-learn takes it: images as rows in [0, 1], the labelled ones first."""

    x: np.ndarray  # [n, f]
    y: np.ndarray  # [n], -1 where the label is not to be seen
    labelled: int
    test_x: np.ndarray  # [m, f]
    test_y: np.ndarray  # [m]
    classes: int
    note: str  # how many of the unlabelled images these are, where they are not all

    @classmethod
    def of(cls, dataset: Dataset, split: Split, seed: int) -> "Pixels":
        """From a split; a pool that is too large is subsampled at random, openly."""
        labelled = split.labelled
        others = np.setdiff1d(split.unlabelled, labelled)
        random = numpy_generator(seed, "baselines")
        pool = others if len(others) <= LARGEST_POOL else np.sort(random.choice(others, LARGEST_POOL, replace=False))
        note = "" if len(pool) == len(others) else f"on {len(pool):,} of {len(others):,} unlabelled images"
        y = np.concatenate((dataset.train.labels[labelled].numpy(), np.full(len(pool), -1)))
        test = _rows(dataset.test, split.test), dataset.test.labels[split.test].numpy()
        return cls(_rows(dataset.train, np.concatenate((labelled, pool))), y, len(labelled), *test,
                   len(dataset.classes), note)

    def confusion(self, fit: Fit, *, unlabelled: bool) -> np.ndarray:
        """The counts of answers on the test images [k, k], rows the true classes, of a method that was fitted with or
        without the unlabelled images.
        """
        seen = slice(None if unlabelled else self.labelled)
        with warnings.catch_warnings():
            # An empty pool, and labels that do not spread to every image, which then counts as one of the first class.
            warnings.simplefilter("ignore", UserWarning)
            warnings.simplefilter("ignore", RuntimeWarning)
            predictions = fit(self.x[seen], self.y[seen]).predict(self.test_x)
        return metrics.confusion(self.test_y, predictions, self.classes)


def self_training(x: np.ndarray, y: np.ndarray):
    """Around kernel ridge regression on random Fourier features, solved in closed form: many rounds take seconds."""
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
    return SelfTrainingClassifier(make_pipeline(features, Ridge(alpha=0.01)), threshold=0.9, max_iter=20).fit(x, y)


def support_vectors(x: np.ndarray, y: np.ndarray):
    """A support vector machine with a Gaussian kernel."""
    from sklearn.svm import SVC

    return SVC(C=10).fit(x, y)


def _rows(images: Images, index: np.ndarray) -> np.ndarray:
    """[n, c * h * w] in [0, 1]."""
    return images.gather(torch.from_numpy(index)).cpu().numpy().reshape(len(index), -1)
