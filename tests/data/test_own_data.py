"""A person's own data by its name: what is told and refused; order and content are those of named sets."""

import numpy as np
import pytest
import small
import torch
from own_images import heard, messy, simple, write, write_classes
from PIL import Image

import ssgan
from ssgan.data.images import Images
from ssgan.data.own_data import Reading, absolute, is_own, load, short
from ssgan.errors import Mistake


@pytest.mark.parametrize(("name", "shortened"), [
    ("folder:/a/photos", "photos"), ("folder:/a/photos/", "photos"), ("folder:/a/b.tar.gz", "b"),
    ("npz:/x/y.npz", "y"), ("folder:/", "own"), ("mnist", "mnist")])
def test_a_name_has_a_short_form_for_titles_and_files(name, shortened):
    assert short(name) == shortened and is_own(name) == (name != "mnist")


def test_a_name_is_found_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert absolute("folder:photos") == f"folder:{tmp_path}/photos"
    assert absolute("npz:a/../b.npz") == f"npz:{tmp_path}/b.npz"
    monkeypatch.setenv("HOME", "/home/me")
    assert absolute("folder:~/photos") == "folder:/home/me/photos"
    with pytest.raises(Mistake, match="name a folder, zip or tar behind the colon"):
        absolute("folder:")


def test_digits_as_files_are_digits(tmp_path, cache):
    """The same images with the same labels in the same order, and so the same splits and batches."""
    digits = small.digits()
    for part, images in (("train", digits.train), ("test", digits.test)):
        for number in range(len(images)):
            path = tmp_path / "digits" / part / str(images.labels[number].item()) / f"{number:05}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(images.pixels[number, 0].numpy()).save(path)
    found = load(f"folder:{tmp_path / 'digits'}", heard()[0])
    assert found.train.sha256 == digits.train.sha256 and found.sha256 == digits.sha256
    index = torch.tensor([[5, 0], [1436, 7]])
    assert found.train.gather(index).equal(digits.train.gather(index))
    assert Images.of(found.train.pixels, found.train.labels, found.classes).sha256 == found.train.sha256


def test_all_of_a_messy_folder_is_told_and_nothing_left_out_in_silence(tmp_path, cache):
    root = messy(tmp_path / "messy")
    with pytest.raises(Mistake, match=r"1 image, labelled/often/broken.png \(.*\).\n.*--skip-broken"):
        load(f"folder:{root}", heard()[0])
    reading, said = heard(skip_broken=True)
    found = load(f"folder:{root}", reading)
    for line in ("layout: labelled/<class>/, unlabelled/, test/<class>/",
                 "3 classes: often 33, rare 1, some größe 3; 72 unlabelled; 12 test images",
                 "images: 12x12 to 15x15 pixels, modes", "taken as 12x12 colour, found by looking",
                 "1 image: turned as EXIF says", "1 image: transparent parts become black",
                 "left out, for by their names they are no images: 4 files",
                 "left out, for they cannot be decoded: 3 images, labelled/often/broken.png",
                 "1 pair of equal images in the training and in the test part, left as they are: "
                 "labelled/often/6.png = test/often/leaked.png",
                 "1 pair of equal images within one part, left as they are: labelled/often/5.png = "
                 "unlabelled/double.png", "labelled/often/7.png = unlabelled/alike.png"):
        assert line in said.text, f"{line}\n\n{said.text}"
    assert found.train.shape == (3, 12, 12) and (len(found.train), len(found.test)) == (37 - 1 + 72 - 2, 12)
    assert "labelled/some größe/1 é\nline.png" in found.train_files and all("\n" not in line for line in said.lines)
    labels = dict(zip(found.train_files, found.train.labels.tolist()))
    assert labels["labelled/rare/one.png"] == found.classes.index("rare") and labels["unlabelled/fourth 160.png"] == -1


def test_a_class_is_called_by_letters_that_can_be_printed(tmp_path, cache):
    root = write_classes(tmp_path / "photos", {"a\nb": 3, "größe": 3})
    assert load(f"folder:{root}", heard()[0]).classes == ("a\\nb", "größe")


def test_that_near_doubles_are_not_looked_for_is_told(tmp_path, cache, monkeypatch):
    from ssgan.data import doubles

    monkeypatch.setattr(doubles, "can_hash", lambda: False)
    reading, said = heard()
    load(f"folder:{simple(tmp_path / 'photos')}", reading)
    assert "images that look alike are not looked for: pip install imagehash" in said.text


def test_images_of_one_pixel_are_a_mistake_unless_others_are_larger(tmp_path, cache):
    for number in range(6):
        write(tmp_path / "photos" / "ab"[number % 2] / f"{number}.png", number, side=3)
        Image.new("L", (1, 1), number).save(tmp_path / "photos" / "ab"[number % 2] / f"{number}.png")
    with pytest.raises(Mistake, match="1x1 pixels, too small to learn from"):
        load(f"folder:{tmp_path / 'photos'}", heard()[0])
    assert not list((tmp_path / "cache").rglob("*.pixels"))
    assert load(f"folder:{tmp_path / 'photos'}", heard(image_size=8)[0]).train.shape == (1, 8, 8)


def test_a_single_unlabelled_image_is_a_mistake(tmp_path, cache):
    root = write_classes(tmp_path / "photos" / "labelled", {"a": 3, "b": 3}).parent
    write(root / "unlabelled" / "x.png", 9)
    with pytest.raises(Mistake, match="one unlabelled image"):
        load(f"folder:{root}", heard()[0])
    write(root / "unlabelled" / "y.png", 10)
    assert len(load(f"folder:{root}", heard()[0]).train) == 8


def test_a_class_of_broken_images_alone_is_a_mistake(tmp_path, cache):
    root = simple(tmp_path / "photos")
    for file in (root / "labelled" / "left").iterdir():
        file.write_bytes(b"broken")
    with pytest.raises(Mistake, match="6 images, .* and 3 more"):
        load(f"folder:{root}", heard()[0])
    with pytest.raises(Mistake, match="no image of class 'left'"):
        load(f"folder:{root}", heard(skip_broken=True)[0])


def test_a_side_is_for_folders_alone(tmp_path):
    from ssgan.data import named

    with pytest.raises(Mistake, match="--image-size 16: the images of digits have their size"):
        named.load("digits", tmp_path, Reading(image_size=16))


def test_the_public_functions_take_a_folder(tmp_path, cache, monkeypatch, capsys):
    simple(tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    data = ssgan.load_data("folder:photos", image_size=8)
    assert data.train.shape == (1, 8, 8) and data.name == f"folder:{tmp_path}/photos"
    assert "layout: labelled/<class>/, unlabelled/" in capsys.readouterr().err
    recipe = ssgan.read_recipe("folder", "train.least_steps=2", "train.most_steps=2", "pictures.steps=0",
                               "model.widths=[4,4]", "model.generator_widths=[4]")
    split = ssgan.make_split(data, recipe)
    assert len(split.labelled) == 12 and len(split.unlabelled) == 22 and np.isin(split.labelled, split.unlabelled).all()
    model = ssgan.train(recipe, data, split)
    assert model.shape == (1, 8, 8) and model.recipe.train.batch == 22
