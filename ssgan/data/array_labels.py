"""`encode`: labels as people have them, in an array, a list or a pandas Series, as classes and an index of each sample;
what marks unlabelled ones is told here and nowhere else.
"""

import sys
import warnings
from typing import Any

import numpy as np
from sklearn.utils import assert_all_finite
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from ssgan.data.entries import LOST, MARKS

UNLABELLED = -1
MARKED = ("Unlabelled samples are marked in y by -1, None, NaN or pandas.NA; among labels that are text '-1' does it "
          "too.")


def encode(y: Any) -> tuple[np.ndarray, np.ndarray]:
    """The sorted classes [k], and the index of each sample's [n], int64, -1 where it is unlabelled.

    All containers mean the same. Raises ValueError for labels that cannot be told apart from marks, of several types,
    of fewer than two classes, or of none.
    """
    values = _values(y)
    known = labelled(values)
    if not known.any():
        raise ValueError(f"no sample of y is labelled. {MARKED}")
    labels = _of_one_type(values[known])
    lost = sorted(LOST & set(labels.tolist())) if labels.dtype.kind in "OU" else []
    if lost:
        raise ValueError(f"y has the label {lost[0]!r}, which is what a missing label becomes as text. {MARKED} If it "
                         f"is the name of a class, give that another name.")
    assert_all_finite(labels, input_name="y")
    check_classification_targets(labels)
    classes, index = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"the labels in y are of {len(classes)} class, {classes[0]}; a classifier needs at least 2 "
                         f"classes.{_renamed(values[~known])}")
    _warn_of_wrapped(values, classes)
    codes = np.full(len(values), UNLABELLED, dtype=np.int64)
    codes[known] = index
    return classes, codes


def labelled(y: Any) -> np.ndarray:
    """Which samples have a label: bool [n]."""
    pandas = sys.modules.get("pandas")  # without it there are none of its marks
    missing = [None, pandas.NA, pandas.NaT] if pandas else [None]
    return np.array([not _is_mark(value, missing) for value in _values(y).tolist()], dtype=bool)


def known_labels(y: Any) -> tuple[np.ndarray, np.ndarray]:
    """The index of the samples that have a label, int64 [m], and their labels [m]. Raises ValueError."""
    values = _values(y)
    index = np.flatnonzero(labelled(values))
    return index, _of_one_type(values[index])


def _values(y: Any) -> np.ndarray:
    """The labels [n] as they are: in numpy's type where they have one, else as objects."""
    if isinstance(y, np.ma.MaskedArray):
        y = np.where(np.ma.getmaskarray(y), None, y.data.astype(object))
    plain = isinstance(y, np.ndarray) and y.dtype.kind not in "OT"  # of objects, of texts as long as they come
    return column_or_1d(y if plain else np.asarray(y, dtype=object), warn=True)


def _is_mark(value: Any, missing: list) -> bool:
    if isinstance(value, str):
        return value.strip() in MARKS
    if isinstance(value, int | float | np.number):
        return bool(value == UNLABELLED or value != value)  # noqa: PLR0124  (NaN alone is not itself)
    return any(value is mark for mark in missing)


def _of_one_type(labels: np.ndarray) -> np.ndarray:
    if labels.dtype != object or all(isinstance(label, str) for label in labels):
        return labels
    numbers = all(isinstance(label, int | float | np.number | np.bool_) for label in labels)
    found = np.array(labels.tolist()) if numbers else labels
    if found.dtype == object:
        kinds = sorted({type(label).__name__ for label in labels})
        said = f"of several types ({', '.join(kinds)})" if len(kinds) > 1 else f"of type {kinds[0]}"
        raise ValueError(f"the labels in y are {said}; use text, or numbers alone. {MARKED}")
    return found


def _renamed(marks: np.ndarray) -> str:
    """How to name a class that was called -1, where there may have been one."""
    named = [mark for mark in marks.tolist() if str(mark).strip() in MARKS]
    if not named:
        return ""
    new = "'minus'" if isinstance(named[0], str) else "0"
    return f" {MARKED} If -1 is a class of yours, rename it: y = numpy.where(y == {named[0]!r}, {new}, y)."


def _warn_of_wrapped(values: np.ndarray, classes: np.ndarray) -> None:
    """-1 cannot be in an array of unsigned numbers: it became the largest of them."""
    if values.dtype.kind == "u" and len(classes) > 2 and classes[-1] == np.iinfo(values.dtype).max:
        warnings.warn(f"y of {values.dtype} has the label {classes[-1]}, which is what -1 becomes in that type: it is "
                      f"taken for a class. {MARKED}", UserWarning, stacklevel=4)
