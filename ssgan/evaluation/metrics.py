"""Measures of a classifier's answers, as pure functions of numpy arrays."""

import math

import numpy as np

NORMAL_975 = 1.959963984540054
UNEVEN = 1.5  # times as many images in one class as in another
LEAST_PROBABILITY = float(np.finfo(np.float32).tiny)


def error_interval(wrong: int, total: int) -> tuple[float, float]:
    """The 95 % Wilson interval of an error of `wrong` out of `total`; it covers the sampling of the test images only.

    Raises ValueError unless 0 <= wrong <= total and total >= 1.
    """
    if total < 1 or not 0 <= wrong <= total:
        raise ValueError(f"{wrong} wrong of {total} is no share")
    share, tail = wrong / total, NORMAL_975**2 / total
    centre = share + tail / 2
    half = math.sqrt(tail * (share * (1 - share) + tail / 4))
    return max((centre - half) / (1 + tail), 0.0), min((centre + half) / (1 + tail), 1.0)


def expected_calibration_error(probabilities: np.ndarray, labels: np.ndarray, bins: int = 15) -> float:
    """The mean distance of confidence from accuracy, over equal-width bins of the confidence (Guo et al. 2017, eq. 3).

    `probabilities` [n, k], `labels` [n]; the bins are (0, 1/bins], (1/bins, 2/bins], ...
    """
    probabilities, labels = _checked(probabilities, labels)
    if bins < 1:
        raise ValueError(f"{bins} bins: at least one is needed")
    confidence = probabilities.max(axis=1)  # [n]
    right = probabilities.argmax(axis=1) == labels  # [n]
    of_bin = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)  # [n]
    gap = np.bincount(of_bin, weights=confidence - right, minlength=bins)  # [bins]
    return float(np.abs(gap).sum() / len(labels))


def negative_log_likelihood(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The mean of -log of the true class's probability, in nats.

    `probabilities` [n, k], `labels` [n]; a probability below float32's smallest normal number counts as that
    number (87.3 nats), so one certain mistake leaves the mean finite.
    """
    probabilities, labels = _checked(probabilities, labels)
    true = probabilities[np.arange(len(labels)), labels]  # [n]
    return float(-np.log(np.maximum(true, LEAST_PROBABILITY)).mean())


def confusion(labels: np.ndarray, predictions: np.ndarray, classes: int) -> np.ndarray:
    """Counts [k, k]: row is the true class, column the predicted one; classes that do not occur keep their place."""
    from sklearn.metrics import confusion_matrix

    return confusion_matrix(labels, predictions, labels=np.arange(classes))


def per_class_error(counts: np.ndarray) -> np.ndarray:
    """The error of each true class [k] from a confusion matrix [k, k]; NaN for a class without images."""
    totals = counts.sum(axis=1)  # [k]
    wrong = totals - np.diagonal(counts)  # [k]
    return np.divide(wrong, totals, out=np.full(len(totals), math.nan), where=totals > 0)


def class_scores(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Recall, precision and F1 of each class [k] and its number of images n, from a confusion matrix [k, k].

    NaN is what cannot be told: all three of a class without images, and the precision of one that was never answered.
    """
    from sklearn.metrics import precision_recall_fscore_support

    true, answered = np.indices(counts.shape).reshape(2, -1)
    precision, recall, f1, _ = precision_recall_fscore_support(
        true, answered, labels=np.arange(len(counts)), sample_weight=counts.ravel(), zero_division=np.nan)
    n = counts.sum(axis=1)  # [k]
    found = {"recall": recall, "precision": precision, "f1": f1}
    return {name: np.where(n > 0, values, np.nan) for name, values in found.items()} | {"n": n}


def balanced_error(counts: np.ndarray) -> float:
    """The mean of the errors of the classes that have images, from a confusion matrix [k, k]."""
    return float(np.nanmean(per_class_error(counts)))


def are_uneven(n: np.ndarray) -> bool:
    """Whether classes of n [k] images differ so much that the error tells little of the small; those without images do
    not count.
    """
    return bool(n.max() > UNEVEN * n[n > 0].min())


def inception_score(probabilities: np.ndarray, splits: int) -> tuple[float, float]:
    """The Inception Score (Salimans et al. 2016, section 4) of class probabilities [n, k]: mean and std over the
    splits.

    The rows are cut into consecutive chunks in their order, each scored by exp of its mean KL divergence from its own
    mean; the std is the population's. 0 log 0 counts as 0. Raises ValueError for rows that are no probabilities and
    for splits outside 1 to n.
    """
    from scipy.special import rel_entr

    probabilities = np.asarray(probabilities, dtype=np.float64)
    if probabilities.ndim != 2 or not 1 <= splits <= len(probabilities):
        raise ValueError(f"{splits} splits of {probabilities.shape} probabilities: 1 to n splits of [n, k] are "
                         f"possible")
    _check_rows(probabilities)
    scores = []
    for chunk in np.array_split(probabilities, splits):
        divergence = rel_entr(chunk, chunk.mean(axis=0)).sum(axis=1)  # [n / splits]
        scores.append(np.exp(divergence.mean()))
    return float(np.mean(scores)), float(np.std(scores))


def class_entropy(histogram: np.ndarray) -> tuple[float, float]:
    """The entropy in nats of counts [k] over classes, with its share of the greatest possible, log k.

    Raises ValueError unless there are at least two classes and something was counted.
    """
    from scipy.special import entr

    histogram = np.asarray(histogram)
    if histogram.ndim != 1 or len(histogram) < 2 or (histogram < 0).any() or histogram.sum() == 0:
        raise ValueError(f"no class histogram: {histogram!r}")
    nats = float(entr(histogram / histogram.sum()).sum())
    return nats, nats / math.log(len(histogram))


def _checked(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    probabilities, labels = np.asarray(probabilities, dtype=np.float64), np.asarray(labels)
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1] or not len(labels):
        raise ValueError(f"probabilities {probabilities.shape} do not fit labels {labels.shape}")
    if labels.min() < 0 or labels.max() >= probabilities.shape[1]:
        raise ValueError(f"labels from {labels.min()} to {labels.max()}, but {probabilities.shape[1]} classes")
    _check_rows(probabilities)
    return probabilities, labels


def _check_rows(probabilities: np.ndarray) -> None:
    sums = probabilities.sum(axis=1)  # [n]
    if not (probabilities >= 0).all() or not (np.abs(sums - 1) < 1e-3).all():
        raise ValueError("every row of probabilities must be finite, not negative, and sum to 1")
