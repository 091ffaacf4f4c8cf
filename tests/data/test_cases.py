"""The small inputs of kinds that have failed elsewhere: each is taken, or refused with one clear Mistake."""

import zipfile

import numpy as np
import pytest
from own_images import heard

from ssgan.data.own_data import load
from ssgan.errors import Mistake

pytestmark = [pytest.mark.mnist, pytest.mark.usefixtures("cache")]


@pytest.fixture(params=["zip", "folder"])
def case(cases, tmp_path, request):
    """Names of the data sets of a case, packed and unpacked."""
    def named(name: str) -> str:
        if request.param == "zip":
            return f"folder:{cases / name}.zip"
        with zipfile.ZipFile(cases / f"{name}.zip") as archive:
            archive.extractall(tmp_path / name)
        return f"folder:{tmp_path / name}"

    return named


def test_a_folder_one_level_too_deep_is_found_and_said(case):
    reading, said = heard()
    found = load(case("one-level-off"), reading)
    assert found.classes == ("one", "two", "zero") and (len(found.train), len(found.test)) == (60, 24)
    assert "everything lies deeper, in export/" in said.text and "export/train/<class>/" in said.text


def test_litter_is_no_image_and_no_class_and_told_in_a_line(case):
    reading, said = heard()
    found = load(case("with-litter"), reading)
    assert found.classes == ("one", "zero") and len(found.train) == 90 and len(found.train.known) == 30
    assert len([line for line in said.lines if "DS_Store" in line or "Thumbs.db" in line]) == 1


def test_the_same_pictures_are_the_same_pixels_whatever_their_encoding(case):
    reading, said = heard()
    found = load(case("same-pictures"), reading)
    pixels, labels = found.train.pixels.numpy(), found.train.labels.numpy()
    plain = pixels[labels == found.classes.index("plain")]
    assert len(found.classes) == 9 and len(plain) == 12 and found.train.shape == (1, 24, 24)
    for label in range(9):
        order = np.argsort([name for name, of in zip(found.train_files, labels) if of == label])
        assert (pixels[labels == label][order] == plain).all(), found.classes[label]
    assert "12 images: turned as EXIF says" in said.text and "96 pairs of equal images under two classes" in said.text


def test_a_table_of_labels_is_read(case):
    found = load(case("csv-good"), heard()[0])
    assert len(found.train) == 36 and len(found.train.known) == 24 and found.test is None
    assert found.classes == ("one", "two", "zero") and found.train_files[0] == "img/79.png"


@pytest.mark.parametrize(("name", "told"), [
    ("csv-no-header", "names no columns file and label(.|\n)*file,label"),
    ("csv-missing-files", "2 files that are not there: img/nowhere.png, img/nor-here.png"),
    ("csv-two-labels-for-one", "img/126.png has two labels, 'zero' and 'three'"),
    ("new-class-in-test", r"a class that no labelled image has: 2 \(8 images\)"),
    ("one-class", "one class alone, only")])
def test_what_cannot_be_taken_is_one_mistake(case, name, told, cache):
    with pytest.raises(Mistake, match=told):
        load(case(name), heard()[0])
    assert not cache.exists(), "nothing is written"


def test_one_label_a_class_is_taken(case):
    found = load(case("one-label-a-class"), heard()[0])
    assert len(found.classes) == 10 and len(found.train.known) == 10 and len(found.train) == 210 and not found.tested


def test_a_member_that_climbs_out_is_refused(cases, tmp_path, cache):
    with pytest.raises(Mistake, match=r"\.\./\.\./evil.png would lie outside"):
        load(f"folder:{cases / 'climbs-out.zip'}", heard()[0])
    assert not list(tmp_path.parent.rglob("evil.png")) and not cache.exists()
