"""How frequent each class is among all images, estimated from the labelled ones."""

import numpy as np

from ssgan.data.images import Images
from ssgan.data.splits import Split

MOST_TOLD = 10  # classes whose shares are told one by one


def class_shares(images: Images, split: Split) -> np.ndarray:
    """The share of each class [k] among the split's images, by its labels alone; see `smoothed`."""
    labels = images.labels.cpu().numpy()[split.labelled]
    return smoothed(np.bincount(labels, minlength=len(images.classes)))


def smoothed(sizes: np.ndarray) -> np.ndarray:
    """Shares [k] estimated from how many labels each class has [k]: (n_k + 1/k) / (n + 1), which sum to 1.

    n_k of the n labels are of class k; one label in all is added, shared out evenly, so that a class that has none yet
    is not ruled out (Perks 1947; of two classes it is Jeffreys' and Krichevsky and Trofimov's half). Equal numbers give
    exactly 1/k.
    """
    count = len(sizes)
    return (count * sizes + 1) / (count * (sizes.sum() + 1))  # of whole numbers, so that equal ones stay so


def are_even(shares: np.ndarray) -> bool:
    """Whether all classes have the same share."""
    return bool((shares == shares[0]).all())


def told(shares: np.ndarray, classes: tuple[str, ...]) -> str:
    """Shares [k] for a person: each one with its class, of many classes the smallest and the largest."""
    order = range(len(shares)) if len(shares) <= MOST_TOLD else (shares.argmin(), shares.argmax())
    texts = [f"{classes[i]} {100 * shares[i]:.2g} %" for i in order]
    return ", ".join(texts) if len(shares) <= MOST_TOLD else f"from {texts[0]} to {texts[1]}"
