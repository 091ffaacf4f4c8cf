"""Which files of a folder are labelled, unlabelled and test images, by looking at their names alone."""

import pytest

from ssgan.data.entries import Entry
from ssgan.data.layouts import find, natural
from ssgan.errors import Mistake


def layout(*names: str, table: str = ""):
    """The layout of files of these names."""
    return find([Entry(name, 1, 1) for name in names], lambda entry: table.encode(), "photos")


def parts(found) -> tuple[dict[str, str], dict[str, str]]:
    """File and class of the training and of the test images, in order."""
    names = (*found.classes, "")
    return ({entry.name: names[label] for entry, label in zip(found.train, found.train_labels, strict=True)},
            {entry.name: names[label] for entry, label in zip(found.test, found.test_labels, strict=True)})


def test_labelled_and_unlabelled_folders_with_and_without_a_test():
    train, test = parts(layout("labelled/cat/1.png", "labelled/dog/2.png", "unlabelled/deep/er/3.png"))
    assert train == {"labelled/cat/1.png": "cat", "labelled/dog/2.png": "dog", "unlabelled/deep/er/3.png": ""}
    assert test == {}
    _, test = parts(layout("Labeled/cat/1.png", "Labeled/dog/2.png", "Unlabeled/3.png", "TEST/dog/4.png"))
    assert test == {"TEST/dog/4.png": "dog"}


def test_train_and_test_folders_and_a_validation_folder_in_the_tests_place():
    found = layout("train/a/1.png", "train/b/2.png", "test/a/3.png", "val/a/4.png")
    assert parts(found)[1] == {"test/a/3.png": "a"} and any("left out: val/a/4.png" in line for line in found.told)
    found = layout("train/a/1.png", "train/b/2.png", "val/a/4.png")
    assert parts(found)[1] == {"val/a/4.png": "a"} and any("val/ is taken as the test part" in line
                                                          for line in found.told)


def test_classes_straight_in_the_folder_also_beside_unlabelled_and_test():
    assert layout("a/1.png", "b/deeper/2.png").classes == ("a", "b")
    train, test = parts(layout("a/1.png", "b/2.png", "unlabelled/3.png", "test/a/4.png"))
    assert train == {"a/1.png": "a", "b/2.png": "b", "unlabelled/3.png": ""} and test == {"test/a/4.png": "a"}
    assert parts(layout("control/1.png", "test/2.png"))[0] == {"control/1.png": "control", "test/2.png": "test"}, (
        "a class that is called test")


def test_a_validation_folder_stands_in_for_a_test_without_classes_and_beside_classes():
    found = layout("train/a/1.png", "train/b/2.png", "val/b/3.png", "test/4.png")
    assert parts(found)[1] == {"val/b/3.png": "b"} and any("left out: test/4.png" in line for line in found.told)
    found = layout("a/1.png", "b/2.png", "val/a/3.png", "val/b/4.png")
    assert found.classes == ("a", "b") and parts(found)[1] == {"val/a/3.png": "a", "val/b/4.png": "b"}
    found = layout("A\u0308/1.png", "b/2.png", "val/\u00c4/3.png")
    assert list(parts(found)[1].values()) == ["\u00c4"]
    found = layout("a/1.png", "b/2.png", "val/c/3.png")
    assert found.classes == ("a", "b", "val"), "no validation part: it has other classes"
    found = layout("a/1.png", "b/2.png", "test/3.png")
    assert found.classes == ("a", "b", "test") and any("test/ has no folders of classes" in line
                                                       for line in found.told)


def test_a_class_that_is_called_train():
    found = layout("bus/1.png", "car/2.png", "train/3.png")
    assert found.classes == ("bus", "car", "train") and not parts(found)[1]


def test_names_that_look_the_same_are_the_same_however_accents_are_written():
    apart, whole = "A\u0308pfel", "\u00c4pfel"
    train, test = parts(layout(f"train/{whole}/1.png", f"train/{apart}/2.png", "train/b/3.png", f"test/{apart}/4.png"))
    assert train == {f"train/{whole}/1.png": whole, f"train/{apart}/2.png": whole, "train/b/3.png": "b"}
    assert test == {f"test/{apart}/4.png": whole}
    found = layout(f"{apart}.png", "2.png", "labels.csv", table=f"file,label\n{whole}.png,{apart}\n2.png,b\n")
    assert parts(found)[0] == {f"{apart}.png": whole, "2.png": "b"}


def test_minus_one_in_a_table_is_no_label_and_a_lost_one_is_refused():
    table = "file,label\n1.png,0\n2.png,1\n3.png,-1\n"
    found = layout("1.png", "2.png", "3.png", "labels.csv", table=table)
    assert found.classes == ("0", "1") and parts(found)[0]["3.png"] == ""
    with pytest.raises(Mistake, match="line 4: the label 'nan' is what a missing label becomes as text"):
        layout("1.png", "2.png", "3.png", "labels.csv", table=table.replace("-1", "nan"))


def test_a_table_in_a_part_is_named_where_nothing_is_labelled():
    with pytest.raises(Mistake, match="(?s)none of them is labelled.*not read, for it lies deeper: train/labels.csv"):
        layout("train/1.png", "train/labels.csv", "test/2.png")


def test_a_table_of_labels_in_its_own_order_with_its_own_test():
    names = ("x/1.png", "x/2.png", "3.png", "4.png", "labels.csv")
    found = layout(*names, table="label;file;part\nb;./x\\2.png;train\n;4.png;\na;x/1.png;\nb;3.png;test\n")
    assert list(parts(found)[0].items()) == [("x/2.png", "b"), ("4.png", ""), ("x/1.png", "a")]
    assert parts(found)[1] == {"3.png": "b"}
    found = layout(*names, "test/a/5.png", table="file,label\nx/1.png,a\n3.png,b\n")
    train, test = parts(found)
    assert train == {"x/1.png": "a", "3.png": "b", "x/2.png": "", "4.png": ""} and test == {"test/a/5.png": "a"}
    assert any("2 images that labels.csv does not name, taken as unlabelled: x/2.png, 4.png" in line
               for line in found.told)


@pytest.mark.parametrize(("table", "told"), [
    ("", "names no columns file and label"), ("x/1.png,a\n", "names no columns"), ("file,label\n", "no lines below"),
    ("file,label\nx/1.png,a\nx/1.png,b\n", "line 3: x/1.png has two labels, 'a' and 'b'"),
    ("file,label,part\nx/1.png,a,train\nx/1.png,a,test\n", "for training and for the test"),
    ("file,label\ngone.png,a\n../out.png,a\n", r"2 files that are not there: gone.png, \.\./out.png"),
    ("file,label,part\nx/1.png,a,later\n", "part is 'later'"), ("file,label,part\nx/1.png,,test\n", "has no label"),
    ("file,label\n,a\n", "names no file"), ("file,label\nx/1.png,\n", "none of them is labelled")])
def test_a_faulty_table_is_one_mistake(table, told):
    with pytest.raises(Mistake, match=told):
        layout("x/1.png", "x/2.png", "labels.csv", table=table)


def test_the_same_line_twice_is_no_fault():
    assert len(layout("1.png", "2.png", "labels.csv", table="file,label\n1.png,a\n1.png,a\n2.png,b\n\n").train) == 2


def test_a_table_that_is_no_text_is_a_mistake():
    with pytest.raises(Mistake, match="no text in UTF-8"):
        find([Entry("1.png", 1, 1), Entry("labels.csv", 1, 1)], lambda entry: b"file,label\n\xff,a\n", "photos")


@pytest.mark.parametrize("wrapped", ["export", "a/b/c"])
def test_a_layout_that_lies_deeper_is_found_and_said(wrapped):
    for names in (("train/a/1.png", "train/b/2.png"), ("labelled/a/1.png", "labelled/b/1.png"), ("a/1.png", "b/2.png")):
        found = layout(*(f"{wrapped}/{name}" for name in names))
        assert found.classes == ("a", "b")
        assert found.told[0] == f"everything lies deeper, in {wrapped}/: read from there"
    found = layout(*(f"{wrapped}/{name}" for name in ("1.png", "2.png", "labels.csv")),
                   table="file,label\n1.png,a\n2.png,b\n")
    assert found.classes == ("a", "b")


def test_images_come_by_their_names_whatever_their_folders_and_numbers_by_value():
    found = layout("train/b/10.png", "train/a/9.png", "train/c/0100.png", "train/b/a.png", "unlabelled/11.png")
    assert [entry.name for entry in found.train] == ["train/a/9.png", "train/b/10.png", "unlabelled/11.png",
                                                     "train/c/0100.png", "train/b/a.png"]
    assert sorted(["10", "9", "x2", "x10", "-1"], key=natural) == ["9", "10", "-1", "x2", "x10"]
    assert layout("10/1.png", "9/1.png", "2/3.png").classes == ("2", "9", "10")


def test_what_belongs_to_no_class_or_part_is_told():
    found = layout("train/a/1.png", "train/b/2.png", "train/3.png", "other/4.png", "5.png", "test/a/6.png",
                   "test/7.png")
    text = "\n".join(found.told)
    assert parts(found)[0]["train/3.png"] == "" and "1 image in no folder of a class, taken as unlabelled" in text
    assert "2 images in no part of this layout, left out: other/4.png, 5.png" in text
    assert "1 test image in no folder of a class, left out: test/7.png" in text


@pytest.mark.parametrize(("names", "told"), [
    ([], "holds no image"), (["labels.csv"], "holds no image"), (["1.png"], "none of them is labelled"),
    (["unlabelled/1.png"], "none of them is labelled"), (["labelled/only/1.png"], "one class alone, only"),
    (["only/1.png", "only/2.png"], "one class alone, only"),
    (["train/a/1.png", "train/b/1.png", "test/c/1.png"], r"a class that no labelled image has: c \(1 image\)"),
    (["train/a/1.png", "labelled/b/1.png"], "train/ and labelled/, which mean the same")])
def test_what_nothing_can_be_learned_from_is_a_mistake(names, told):
    with pytest.raises(Mistake, match=told):
        layout(*names)


def test_of_many_classes_a_few_are_counted():
    found = layout(*(f"class {number}/{image}.png" for number in range(40) for image in range(40 - number)))
    assert found.told[-1].startswith("40 classes: class 0 40, class 1 39") and "..., class 39 1;" in found.told[-1]
    assert len(found.told[-1]) < 400
