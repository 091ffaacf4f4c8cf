"""`Folds`: labelled images held out in turn, where there is no test part to measure an error on."""

from dataclasses import dataclass, replace

import numpy as np

from ssgan.data.images import Images
from ssgan.data.splits import Split
from ssgan.random_streams import stream

MOST_FOLDS = 5


@dataclass(frozen=True, eq=False)
class Folds:
    """Splits of one training each, without the images that are held out of it.

    Their `test` is an index into the training images, unlike a split's own: the held-out ones, each in one fold.
    """

    tables: tuple[Split, ...]
    kept: dict[int, int]  # classes that stay in every training, with their number of labels: too few to hold any out


def fold_count(labels: np.ndarray) -> int:
    """How many folds there are for so many labels of each class [k]; 0 where nothing can be estimated.

    At most MOST_FOLDS, and at most as many as two classes have labels for: an error of one class alone, which answers
    of this class make small, would be no error of the classifier.
    """
    folds = min(MOST_FOLDS, int(np.sort(labels)[-2]) if len(labels) > 1 else 0)
    return folds if folds > 1 else 0


def make_folds(images: Images, split: Split) -> Folds:
    """Stratified folds of a split's labelled images, a function of the split and its labels alone.

    Held-out images are in no part of their fold's training, the unlabelled pool neither. Classes with fewer labels than
    folds are held out of none.
    """
    from sklearn.model_selection import StratifiedKFold

    labels = images.labels.cpu().numpy()[split.labelled]  # [n]
    sizes = np.bincount(labels, minlength=len(images.classes))  # [k]
    count = fold_count(sizes)
    kept = {label: int(sizes[label]) for label in np.flatnonzero(sizes < max(2, count)).tolist()}
    if not count:
        return Folds((), kept)
    turned = ~np.isin(labels, list(kept))
    candidates = split.labelled[turned]
    # it takes seeds of 32 bits
    stratified = StratifiedKFold(count, shuffle=True, random_state=stream(split.split_seed, "folds") % 2**32)
    parts = [np.sort(candidates[held]) for _, held in stratified.split(candidates, labels[turned])]
    return Folds(tuple(_without(split, held) for held in parts), kept)


def _without(split: Split, held: np.ndarray) -> Split:
    """The split of a training from which these images are held out."""
    labelled, unlabelled = np.setdiff1d(split.labelled, held), np.setdiff1d(split.unlabelled, held)
    return replace(split, labelled=labelled, unlabelled=unlabelled, test=held, labels=len(labelled))
