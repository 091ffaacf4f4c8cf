"""The Fréchet distance of two sets of images in the features of a network."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Gaussian:
    """The mean and the scatter of features in fp64; those of parts are added, so that nobody holds all features."""

    count: int
    mean: np.ndarray  # [f]
    scatter: np.ndarray  # [f, f]: the sum of outer products about the mean

    @classmethod
    def of(cls, features: np.ndarray) -> "Gaussian":
        """Of the features [n, f] of at least one image. Raises ValueError for what is not finite."""
        features = np.asarray(features, dtype=np.float64)
        if features.ndim != 2 or not len(features) or not np.isfinite(features).all():
            raise ValueError(f"features {features.shape} must be finite, [n, f], of at least one image")
        mean = features.mean(axis=0)
        centred = features - mean
        return cls(len(features), mean, centred.T @ centred)

    def __add__(self, other: "Gaussian") -> "Gaussian":
        """Of both sets together (Chan et al. 1979)."""
        count, apart = self.count + other.count, other.mean - self.mean
        mean = self.mean + apart * (other.count / count)
        between = np.outer(apart, apart) * (self.count * other.count / count)
        return Gaussian(count, mean, self.scatter + other.scatter + between)

    @property
    def covariance(self) -> np.ndarray:
        """[f, f], with ddof 1; 0 of a single image."""
        return self.scatter / max(1, self.count - 1)


def frechet_distance(first: Gaussian, second: Gaussian) -> float:
    """The Fréchet distance of two Gaussians (Heusel et al. 2017, eq. 6): |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^1/2).

    It is squared, as the field has it, and grows as images become fewer: only distances of equal counts compare. The
    trace of the root is the sum of the singular values of C1^1/2 C2^1/2, which are real and not negative for
    covariances of any rank. Raises ValueError for features of different lengths.
    """
    if first.mean.shape != second.mean.shape:
        raise ValueError(f"features of {first.mean.shape} and {second.mean.shape} numbers cannot be compared")
    roots = [_root(one.covariance) for one in (first, second)]
    common = np.linalg.svd(roots[0].T @ roots[1], compute_uv=False).sum()
    apart = first.mean - second.mean
    traces = np.trace(first.covariance) + np.trace(second.covariance)
    return max(0.0, float(apart @ apart + traces - 2 * common))


def _root(covariance: np.ndarray) -> np.ndarray:
    """A matrix [f, r] whose product with its own transpose is the covariance [f, f], which has the rank r."""
    values, vectors = np.linalg.eigh(covariance)
    rank = values > max(0.0, values[-1]) * len(values) * np.finfo(np.float64).eps  # what is below is rounding
    return vectors[:, rank] * np.sqrt(values[rank])
