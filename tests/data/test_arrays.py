"""Arrays in an .npz file as a data set."""

import numpy as np
import pytest
from own_images import heard

from ssgan.data.own_data import Reading, load
from ssgan.errors import Mistake

RANDOM = np.random.default_rng(0)
X = RANDOM.integers(0, 256, (12, 8, 9), dtype=np.uint8)
Y = np.array([0, 1, 1, -1, -1, 0, 2, 2, -1, 0, 1, 2])


def saved(tmp_path, **arrays) -> str:
    np.savez(tmp_path / "x.npz", **arrays)
    return f"npz:{tmp_path / 'x.npz'}"


def test_arrays_with_minus_one_for_unlabelled(tmp_path):
    found = load(saved(tmp_path, x=X, y=Y), Reading())
    assert (found.train.pixels.numpy()[:, 0] == X).all() and found.train.labels.tolist() == Y.tolist()
    assert found.classes == ("0", "1", "2") and found.test is None and len(found.train.known) == 9


def test_a_test_part_and_labels_that_are_texts_or_numbers_with_gaps(tmp_path):
    words = np.array(["", "dog", "cat", "dog"])
    found = load(saved(tmp_path, x=X[:4], y=words, x_test=X[4:6], y_test=np.array(["cat", "dog"])), Reading())
    assert found.classes == ("cat", "dog") and found.train.labels.tolist() == [-1, 1, 0, 1]
    assert found.test.labels.tolist() == [0, 1] and found.tested
    found = load(saved(tmp_path, x=X[:3], y=np.array([7.0, np.nan, 40.0])), Reading())
    assert found.classes == ("7", "40") and found.train.labels.tolist() == [0, -1, 1]


@pytest.mark.parametrize(("shape", "taken"), [
    ((12, 8, 9), (1, 8, 9)), ((12, 20, 24, 3), (3, 20, 24)), ((12, 3, 20, 24), (3, 20, 24)),
    ((12, 20, 24, 2), (2, 20, 24)), ((12, 8, 8, 3), (3, 8, 8)), ((12, 1, 8, 8), (1, 8, 8))])
def test_channels_are_found_in_front_of_or_behind_the_pixels(shape, taken, tmp_path):
    assert load(saved(tmp_path, x=np.zeros(shape, np.uint8), y=Y), Reading()).train.shape == taken


def test_where_the_shape_does_not_tell_the_channels_are_asked_for(tmp_path):
    x = RANDOM.integers(0, 256, (12, 6, 7, 5), dtype=np.uint8)
    with pytest.raises(Mistake, match=r"\(c, h, w\) as well as \(h, w, c\).*\n.*and channels, 'first' or 'last'"):
        load(saved(tmp_path, x=x, y=Y), Reading())
    last, first = (load(saved(tmp_path, x=x, y=Y, channels=np.array(word)), Reading()).train
                   for word in ("last", "first"))
    assert (last.pixels.numpy() == x.transpose(0, 3, 1, 2)).all() and (first.pixels.numpy() == x).all()
    with pytest.raises(Mistake, match="channels='behind'"):
        load(saved(tmp_path, x=x, y=Y, channels=np.array("behind")), Reading())


def test_bytes_that_stay_far_from_255_are_scaled_by_the_training_images_and_told(tmp_path):
    class Heard:
        told = []
        say = told.append

    x, other = RANDOM.integers(0, 17, (12, 8, 9), dtype=np.uint8), RANDOM.integers(0, 20, (3, 8, 9), dtype=np.uint8)
    x[0, 0, :2] = 0, 16
    found = load(saved(tmp_path, x=x, y=Y, x_test=other, y_test=Y[:3]), Reading(watching=Heard))
    assert np.allclose(found.train.pixels.numpy()[:, 0], x / 16)
    assert np.allclose(found.test.pixels.numpy()[:, 0], np.minimum(other / 16, 1))
    assert len(Heard.told) == 1 and "go from 0 to 16 only" in Heard.told[0] and "x of" in Heard.told[0]


def test_numbers_from_0_to_1_stay_and_others_are_refused(tmp_path):
    x = RANDOM.random((12, 8, 8))
    found = load(saved(tmp_path, x=x, y=Y), Reading())
    assert np.allclose(found.train.pixels.numpy()[:, 0], x)
    whole = load(saved(tmp_path, x=X.astype(np.int64), y=Y), Reading())
    assert (whole.train.pixels.numpy()[:, 0] == X).all()
    for bad in (x * 255, x - 1, np.full((12, 8, 8), np.nan)):
        with pytest.raises(Mistake, match="uint8, or numbers from 0 to 1"):
            load(saved(tmp_path, x=bad, y=Y), Reading())


@pytest.mark.parametrize(("arrays", "told"), [
    ({"x": X}, "no y"), ({"y": Y}, "no x"), ({"x": X, "y": Y[:5]}, "12 images, and there are 5 labels"),
    ({"x": X, "y": np.zeros(12, int)}, "are of 1 class, 0"), ({"x": X, "y": np.full(12, -1)}, "no sample of y is labelled"),
    ({"x": X[:, 0], "y": Y}, "has shape"), ({"x": np.zeros((12, 3, 8, 3)), "y": Y}, "as well as"),
    ({"x": X, "y": Y + 0.5}, "continuous"), ({"x": X, "y": Y[:, None]}, "labels are whole numbers or texts"),
    ({"x": X, "y": Y, "x_test": X}, "one of x_test and y_test alone"),
    ({"x": X, "y": Y, "x_test": X, "y_test": np.full(12, 9)}, "classes that y lacks: 9"),
    ({"x": X, "y": Y, "x_test": X[:, :5], "y_test": Y}, "x_test of")])
def test_what_is_no_data_set_is_one_mistake(arrays, told, tmp_path):
    with pytest.raises(Mistake, match=told):
        load(saved(tmp_path, **arrays), Reading())


def test_text_in_x_is_a_mistake_and_unlabelled_test_images_are_told(tmp_path):
    with pytest.raises(Mistake, match="x of .* is <U1; images are uint8, or numbers from 0 to 1"):
        load(saved(tmp_path, x=np.full((12, 8, 8), "a"), y=Y), Reading())
    how, said = heard()
    found = load(saved(tmp_path, x=X, y=Y, x_test=X, y_test=np.where(np.arange(12) < 5, -1, Y)), how)
    assert len(found.test.known) == 6 and "6 of the 12 images of x_test have no label in y_test" in said.text


def test_a_file_that_is_none_is_a_mistake(tmp_path):
    (tmp_path / "x.npz").write_bytes(b"nothing")
    np.savez(tmp_path / "y.npz", x=np.array([{}], dtype=object), y=Y)
    for name, told in (("x.npz", "cannot be read as arrays"), ("y.npz", "cannot be read as arrays"),
                       ("z.npz", "there is no file")):
        with pytest.raises(Mistake, match=told):
            load(f"npz:{tmp_path / name}", Reading())
    with pytest.raises(Mistake, match="--image-size 16: the arrays"):
        load(saved(tmp_path, x=X, y=Y), Reading(image_size=16))
