"""`encode`: every container of labels means the same, and what marks unlabelled ones is one thing or a clear error."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from ssgan.data.array_labels import MARKED, encode, known_labels, labelled

WORDS = ["b", "a", None, "b", None, "a"]
NUMBERS = [7, 3, None, 7, None, 3]
CODES = [1, 0, -1, 1, -1, 0]
MISSING = {"-1": -1, "-1.0": -1.0, "None": None, "NaN": np.nan, "numpy's NaN": np.float32("nan"), "NA": pd.NA,
           "NaT": pd.NaT}


def with_marks(labels: list, mark: object) -> list:
    return [mark if label is None else label for label in labels]


def same(y: object, classes: list) -> bool:
    found, codes = encode(y)
    return found.tolist() == classes and codes.tolist() == CODES and codes.dtype == np.int64


@pytest.mark.parametrize("mark", [*MISSING, "'-1'", "' -1 '", "'-1.0'"])
def test_marks_mean_the_same_among_text(mark):
    value = MISSING.get(mark, mark.strip("'"))
    for container in (list, tuple, lambda labels: np.array(labels, dtype=object),
                      lambda labels: pd.Series(labels, dtype=object)):
        assert same(container(with_marks(WORDS, value)), ["a", "b"])


@pytest.mark.parametrize("kind", ["str", "string[python]", "string[pyarrow]", "object", "category"])
@pytest.mark.parametrize("mark", [None, "-1"])
def test_every_series_of_text_means_the_same(kind, mark):
    assert same(pd.Series(with_marks(WORDS, mark)).astype(kind), ["a", "b"])
    frame = pd.DataFrame({"y": pd.Series(with_marks(WORDS, mark)).astype(kind)})
    assert same(frame["y"][::-1].iloc[::-1], ["a", "b"]) and same(frame["y"].array, ["a", "b"])


@pytest.mark.parametrize("kind", ["Int64", "Int8", "Float64", "float32", "float64", "object", "int64[pyarrow]",
                                  "double[pyarrow]"])
@pytest.mark.parametrize("mark", [None, -1])
def test_every_series_of_numbers_means_the_same(kind, mark):
    assert same(pd.Series(with_marks(NUMBERS, mark)).astype(kind), [3, 7])
    assert same(pd.Series(with_marks(NUMBERS, mark)).astype(kind).astype("category"), [3, 7])


@pytest.mark.parametrize("mark", MISSING)
def test_marks_mean_the_same_among_numbers_and_truths(mark):
    assert same(with_marks(NUMBERS, MISSING[mark]), [3, 7])
    assert same(np.array(with_marks(NUMBERS, MISSING[mark]), dtype=object), [3, 7])
    assert same(with_marks([True, False, None, True, None, False], MISSING[mark]), [False, True])


@pytest.mark.parametrize("kind", ["boolean", "bool[pyarrow]", "object"])
def test_a_series_of_truths(kind):
    found, codes = encode(pd.Series([True, False, None, True, None, False], dtype=kind))
    assert found.dtype == bool and codes.tolist() == CODES


def test_arrays_of_numpys_own_types():
    assert same(np.array(with_marks(WORDS, "-1")), ["a", "b"]) and same(np.array(with_marks(NUMBERS, -1)), [3, 7])
    assert same(np.array(with_marks(NUMBERS, np.nan)), [3.0, 7.0])
    assert same(np.array(with_marks(WORDS, "-1"), dtype=np.dtypes.StringDType()), ["a", "b"])
    masked = np.ma.array([7, 3, 3, 7, 5, 3], mask=[0, 0, 1, 0, 1, 0])
    assert same(masked, [3, 7]) and same(masked.astype(str), ["3", "7"])
    assert encode(np.array([3, 7, -1], dtype=np.int8))[0].dtype == np.int8
    assert encode(np.array([3, 7, np.nan], dtype=np.float32))[0].dtype == np.float32
    assert encode(np.array(["10", "9", "-1"]))[0].tolist() == ["10", "9"]


def test_a_csv_file_as_pandas_reads_it(tmp_path):
    (tmp_path / "y.csv").write_text("word,number,marked\nb,7,b\na,3,a\n,,-1\nb,7,b\n,,-1\na,3,a\n")
    for options in ({}, {"dtype_backend": "numpy_nullable"}, {"dtype_backend": "pyarrow"}, {"engine": "pyarrow"}):
        frame = pd.read_csv(tmp_path / "y.csv", **options)
        assert same(frame["word"], ["a", "b"]) and same(frame["number"], [3, 7]) and same(frame["marked"], ["a", "b"])


@pytest.mark.parametrize("text", ["nan", "None", "<NA>", "", "NaN", "NaT"])
def test_missing_labels_that_became_text_are_refused(text):
    for y in (np.array(with_marks(WORDS, text)), with_marks(WORDS, text), pd.Series(with_marks(WORDS, text))):
        with pytest.raises(ValueError, match=f"the label '{text}', which is what a missing label becomes") as caught:
            encode(y)
        assert MARKED in str(caught.value)
    assert encode(np.array(["Nan", "none", "null"]))[0].tolist() == ["Nan", "none", "null"]


@pytest.mark.parametrize(("y", "rename"), [
    ([-1, 1, 1, -1], "numpy.where(y == -1, 0, y)"), ([-1.0, 1.0, 1.0, -1.0], "numpy.where(y == -1.0, 0, y)"),
    (["-1", "1", "1"], "numpy.where(y == '-1', 'minus', y)"), (pd.Series([-1, 1, -1]), "numpy.where(y == -1, 0, y)"),
    (pd.Series(["-1", "+1", "+1"], dtype="category"), "'minus'")])
def test_minus_one_and_one_alone_are_told_of(y, rename):
    with pytest.raises(ValueError, match="the labels in y are of 1 class, ") as caught:
        encode(y)
    assert MARKED in str(caught.value) and rename in str(caught.value)


@pytest.mark.parametrize("y", [[1, 1, 1], [1, None], ["x", np.nan, pd.NA]])
def test_one_class_is_not_told_to_be_renamed_where_nothing_was_called_minus_one(y):
    with pytest.raises(ValueError, match="of 1 class, .; a classifier needs at least 2 classes.$"):
        encode(y)


@pytest.mark.parametrize(("y", "said"), [
    (["a", 1, -1], "of several types (int, str)"), ([b"a", b"b"], "of type bytes"), ([(1,), "a"], "several types"),
    (pd.Series(pd.interval_range(0, 3)), "of type Interval"), ([None, -1, np.nan, pd.NA], "no sample of y is labelled"),
    (pd.Series([None, None], dtype="string"), "no sample of y is labelled")])
def test_what_cannot_be_read_says_how_unlabelled_samples_are_marked(y, said):
    with pytest.raises(ValueError, match=r"\w") as caught:
        encode(y)
    assert said in str(caught.value) and MARKED in str(caught.value)


@pytest.mark.parametrize("y", [
    [0.5, 1.25, 2.1], [np.inf, 1, 2], np.array([b"a", b"b"]), np.array([1j, 2]), np.zeros((3, 2)), 5])
def test_what_is_no_column_of_classes_is_refused(y):
    with pytest.raises((ValueError, TypeError)):
        encode(y)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.uint64])
def test_minus_one_that_became_a_large_number_is_told_of(kind):
    y = np.array([0, 1, -1, 1, -1]).astype(kind)
    with pytest.warns(UserWarning, match=f"the label {np.iinfo(kind).max}, which is what -1 becomes in that type"):
        encode(y)
    assert encode(np.array([0, 255], dtype=np.uint8))[0].tolist() == [0, 255]  # a mask's two


def test_which_samples_are_labelled():
    assert labelled(pd.Series(["a", None, "-1"])).tolist() == [True, False, False]
    assert labelled([1, -1, True, False]).tolist() == [True, False, True, True]
    index, labels = known_labels(pd.Series([4, None, 5], dtype="Int64"))
    assert index.tolist() == [0, 2] and labels.tolist() == [4, 5] and labels.dtype == np.int64
    assert known_labels([None, -1])[0].tolist() == [] == known_labels(np.array([-1, -1]))[1].tolist()


def test_pandas_is_not_needed_for_it():
    program = ("import sys; sys.modules['pandas'] = None; import numpy as np; "
               "from ssgan.data.array_labels import encode; print(encode(['a', None, 'b', -1, np.nan])[1].tolist())")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout == "[0, -1, 1, -1, -1]\n", done.stdout + done.stderr
