"""`Scaling`: an array's values brought to [0, 1], by a range of the training data that a few outliers do not spoil."""

import warnings
from dataclasses import dataclass

import numpy as np

# Values further from the middle than so many usual distances are left out of a feature's range, and cut: among ten
# thousand values that are spread evenly or normally there are none such, exponentially one in three times.
FEATURE_FENCE = 20
FEW = 0.01  # of a feature's values are outliers at most, equal ones counted once
# An image's brightest value may lie so many usual ranges, from dark to bright in one image, above that of the middle
# image; its darkest likewise.
IMAGE_FENCE = 4
# Images of bytes that differ by no more than this are of another range than 0 to 255: 0 to 1, 0 to 16, in percent.
NARROW_BYTES = 100
NARROW = 1 / 10  # of the fitted range: values that are all within this much of it have probably another scale
ENOUGH_ROWS = 50  # from which on the spread of a feature tells something


@dataclass(frozen=True, eq=False)
class Scaling:
    """x = (X - low) / range, cut to [0, 1]: one pair of numbers for all pixels of images, one pair a feature otherwise.
    """

    low: np.ndarray  # [] or [f], float64
    range: np.ndarray  # [] or [f], float64, above 0

    @classmethod
    def of_images(cls, X: np.ndarray) -> "Scaling":
        """That of images [n, f]: bytes count as 0 to 255, unless they stay far from filling that, which is told."""
        darkest, brightest = X.min(1).astype(np.float64), X.max(1).astype(np.float64)  # [n]
        low, high = _image_range(darkest, brightest)
        cut = int(((darkest < low) | (brightest > high)).sum())
        if X.dtype == np.uint8 and high - low > NARROW_BYTES:
            return cls(np.float64(0), np.float64(255))
        if X.dtype == np.uint8 and high > low:
            _warn(f"the bytes in X go from {low:g} to {high:g} only, far from filling 0 to 255: they are taken as "
                  f"images of that range.")
        if cut:
            _warn(f"{cut} of the {len(X)} images in X have values far beyond those of the others: the range is taken "
                  f"without them, {low:g} to {high:g}, and they are cut to it.")
        return cls(low, np.float64(_width(low, high)))

    @classmethod
    def of_features(cls, X: np.ndarray) -> "Scaling":
        """That of features [n, f], each by its own values whatever their type."""
        low, high = np.array([_feature_range(X[:, column].astype(np.float64)) for column in range(X.shape[1])]).T
        return cls(low, _width(low, high))

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """The values in [0, 1]: float64 [n, f]."""
        return self._whole(X).clip(0, 1)

    def check(self, X: np.ndarray) -> None:
        """Warns where the values of X [n, f] seem to have another scale than those that the range is from."""
        x, images = self._whole(X), self.low.ndim == 0
        margin = 0.05 if images else 0.5
        outside = (x < -margin) | (x > 1 + margin)
        telling = outside | (X != 0)  # a factor leaves 0 where it is, so zeros in the range say nothing
        fitted = f"{self.low.min():g} to {(self.low + self.range).max():g}"
        if outside.sum() > telling.sum() / 2:
            _warn(f"most values of X are outside the range of those that were fitted ({fitted}), and cut to it; they "
                  f"go from {X.min():g} to {X.max():g}. Give X on the scale that fit was given.")
            return
        spread = np.ptp(x) if images else np.ptp(x, 0)  # [] or [f]
        if (images or len(X) >= ENOUGH_ROWS) and _most(spread[spread > 0] < NARROW):
            _warn(f"the values of X differ by less than a tenth of the range of those that were fitted ({fitted}); "
                  f"they go from {X.min():g} to {X.max():g}. Give X on the scale that fit was given.")

    def _whole(self, X: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):  # an outlier may be as large as a float gets
            return (X.astype(np.float64) - self.low) / self.range


def _image_range(darkest: np.ndarray, brightest: np.ndarray) -> tuple[np.float64, np.float64]:
    with np.errstate(over="ignore"):
        ranges = brightest - darkest  # [n]
        usual = np.median(ranges[ranges > 0]) if (ranges > 0).any() else np.inf
        low = darkest[darkest >= np.median(darkest) - IMAGE_FENCE * usual].min()
        return low, brightest[brightest <= np.median(brightest) + IMAGE_FENCE * usual].max()


def _feature_range(values: np.ndarray) -> tuple[float, float]:
    """Without the few values that lie far beyond the others; where they are many, that is how the feature is spread."""
    with np.errstate(over="ignore"):
        away = np.abs(values - np.median(values))  # [n]
        usual = np.median(away[away > 0]) if (away > 0).any() else 0
        beyond = away > FEATURE_FENCE * usual
    inside = values[~beyond]
    few = len(np.unique(values[beyond])) <= max(1, FEW * len(values))  # -999 may come often
    return (inside.min(), inside.max()) if few else (values.min(), values.max())


def _width(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    return np.where(high > low, high - low, 1.0)


def _most(these: np.ndarray) -> bool:
    return bool(these.size and these.mean() > 0.5)


def _warn(text: str) -> None:
    warnings.warn(text, UserWarning, stacklevel=4)
