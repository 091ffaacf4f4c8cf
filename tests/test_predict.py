"""Prediction from files: found, decoded, converted and answered one batch after the other; and every strange file with a clear reason."""

import io
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import handed
from ssgan import export, predict
from ssgan.errors import Mistake
from ssgan.predict import card as cards
from ssgan.predict import files, pictures
from ssgan.predict.card import Card
from ssgan.predict.files import Unreadable, find
from ssgan.predict.models import Model, open_model
from ssgan.predict.pictures import Reader
from ssgan.trained import of_run

GREY = Card(("a", "b"), 1, 4, 6, "small", 8, None, "run", "0")
COLOUR = Card(("a", "b"), 3, 4, 6, "small", 8, 0.5, "run", "0")
RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (4, 6), dtype=np.uint8)


@pytest.fixture(scope="module")
def onnx(tmp_path_factory) -> Path:
    """The small run's classifier as an ONNX file."""
    path, trained = tmp_path_factory.mktemp("onnx") / "classifier.onnx", of_run(handed.folder())
    export.export_classifier(trained.discriminator(), trained.card(), "onnx", path, handed.images_of_test())
    return path


def read(path: Path, card: Card = GREY) -> tuple[np.ndarray, list[str]]:
    """The pixels of a file [c, h, w], and what was said of it."""
    said: list[str] = []
    found = Reader(card, said.append).read(path)
    assert not isinstance(found, Unreadable), found
    assert found[0] == path and found[1].dtype == np.uint8 and found[1].shape == card.shape
    return found[1], said


def reason(path: Path, card: Card = GREY) -> str:
    """Why a file cannot be read."""
    found = Reader(card, print).read(path)
    assert isinstance(found, Unreadable) and found.path == path, found
    return found.reason


def saved(image: Image.Image, path: Path, **options) -> Path:
    image.save(path, **options)
    return path


# What the model says


def test_png_files_are_answered_as_the_images_in_memory(onnx, tmp_path):
    images, model = handed.images_of_test(), open_model(onnx)
    paths = handed.write_pictures(tmp_path, images)
    answers = list(predict.predict(model, find([str(tmp_path)], []), Reader(model.card, pytest.fail), batch=100, top=10))
    _, probabilities = model.answer(images)
    assert [answer.path for answer in answers] == paths
    assert [int(answer.top[0][0]) for answer in answers] == handed.evaluated().tolist()
    for answer, row in zip(answers, probabilities):
        assert [name for name, _ in answer.top] == [str(i) for i in np.argsort(-row, kind="stable")]
        np.testing.assert_allclose([value for _, value in answer.top], np.sort(row)[::-1], atol=1e-6)


class Counting:
    """A model that notes how many images came at once; its first class is as probable as an image is bright."""

    def __init__(self, card: Card):
        self.card, self.sizes = card, []

    def answer(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.sizes.append(len(images))
        bright = images.reshape(len(images), -1).mean(1, keepdims=True) / 255
        return bright, np.concatenate((bright, 1 - bright), 1).astype(np.float32)


def test_files_are_read_batch_by_batch_however_many_there_are(tmp_path):
    path = saved(Image.fromarray(PIXELS), tmp_path / "x.png")
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield path

    model = Counting(GREY)
    answers = predict.predict(model, endless(), Reader(GREY, print), batch=5)
    assert [next(answers).path for _ in range(12)] == [path] * 12
    assert taken == 15 and model.sizes == [5, 5, 5]


def test_a_file_that_cannot_be_read_stops_no_other(tmp_path):
    good = [saved(Image.new("L", (6, 4), shade), tmp_path / f"{shade}.png") for shade in (0, 51, 255)]
    bad = tmp_path / "bad.png"
    bad.write_text("no image")
    model = Counting(GREY)
    items = list(predict.predict(model, [good[0], bad, good[1], Unreadable(Path("gone"), "gone"), good[2]], Reader(GREY, print), batch=2))
    assert {item.path: item.reason for item in items if isinstance(item, Unreadable)} == {bad: "it is no image", Path("gone"): "gone"}
    answers = [item for item in items if isinstance(item, predict.Answer)]
    assert [answer.path for answer in answers] == good and model.sizes == [2, 1]
    assert [answer.label(0.0) for answer in answers] == ["b", "b", "a"]
    assert [answer.label(0.9) for answer in answers] == ["b", "unsure", "a"]


# Which files


def test_a_folder_means_the_images_below_it_in_sorted_order(tmp_path):
    for name in ("b/2.png", "b/1.JPG", "a.png", "notes.txt", ".hidden.png", "c/deep/x.webp", "z"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    found = [str(path.relative_to(tmp_path)) for path in find([str(tmp_path)], [])]
    assert found == ["a.png", "b/1.JPG", "b/2.png", "c/deep/x.webp"]


def test_words_are_files_folders_patterns_and_a_list(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("one.png", "two.png", "[3].png", "more/four.png", "blank name.png"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes(b"")
    lines = ["two.png\n", "\n", "blank name.png\n", "more\n", "t*.png\n", "gone.png"]
    found = list(find(["o*.png", "[3].png", "**/f*.png", "-"], lines))
    assert found == [Path("one.png"), Path("[3].png"), Path("more/four.png"), Path("two.png"), Path("blank name.png"), Path("more/four.png"),
                     Unreadable(Path("t*.png"), "there is no such file"), Unreadable(Path("gone.png"), "there is no such file")]


def test_a_list_is_read_as_it_comes(tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(b"")

    def lines():
        yield f"{path}\n"
        pytest.fail("read before it was needed")

    assert next(find(["-"], lines())) == path


def test_what_means_no_file_comes_with_a_reason(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "x.txt").write_text("x")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "broken.png").symlink_to(tmp_path / "nowhere")
    words = [str(tmp_path / name) for name in ("empty", "text", "pipe", "broken.png", "none*.png", "no\0ne")]
    assert [item.reason for item in find(words, [])] == [
        "there is no image in this folder", "there is no image in this folder", "it is no file", "it is no file", "nothing matches this pattern",
        "there is no such file"]


def test_a_folder_that_may_not_be_read_is_said(tmp_path, monkeypatch):
    (tmp_path / "x.png").write_bytes(b"")

    def walk(top, onerror):
        onerror(PermissionError(13, "Permission denied", f"{top}/private"))
        yield str(top), [], ["x.png"]

    monkeypatch.setattr(files.os, "walk", walk)
    assert list(find([str(tmp_path)], [])) == [tmp_path / "x.png", Unreadable(tmp_path / "private", "Permission denied")]


# How a file becomes pixels


def test_an_image_of_the_right_kind_is_taken_as_it_is(tmp_path):
    pixels, said = read(saved(Image.fromarray(PIXELS), tmp_path / "x.png"))
    assert (pixels == PIXELS[None]).all() and said == []
    colours = RANDOM.integers(0, 256, (4, 6, 3), dtype=np.uint8)
    pixels, said = read(saved(Image.fromarray(colours), tmp_path / "y.png"), COLOUR)
    assert (pixels == colours.transpose(2, 0, 1)).all() and said == []


def test_each_kind_of_conversion_is_said_once(tmp_path):
    paths = [saved(Image.new("RGB", (9, 9), "red"), tmp_path / f"{i}.png") for i in range(3)]
    said = []
    reader = Reader(GREY, said.append)
    for path in paths:
        reader.read(path)
    assert said == [f"RGB colours are converted to grey (first: {paths[0]})", f"resized to 6x4 (first: {paths[0]}, 9x9)"]


@pytest.mark.parametrize(("mode", "colour", "grey"), [
    ("RGB", (255, 0, 0), 76), ("RGB", (0, 255, 0), 150), ("1", 1, 255), ("CMYK", (0, 0, 0, 0), 255), ("CMYK", (0, 255, 255, 0), 76), ("YCbCr", (90, 128, 128), 90)])
def test_colours_become_grey(mode, colour, grey, tmp_path):
    path = saved(Image.new(mode, (6, 4), colour), tmp_path / "x.tif")
    pixels, said = read(path)
    assert (np.abs(pixels.astype(int) - grey) <= 1).all()
    assert len(said) == (mode != "1")


def test_a_cmyk_photograph_keeps_its_colours(tmp_path):
    path = saved(Image.new("CMYK", (6, 4), (0, 255, 255, 0)), tmp_path / "x.jpg", quality=100)
    pixels, said = read(path, COLOUR)
    assert (np.abs(pixels.astype(int) - np.array([255, 0, 0]).reshape(3, 1, 1)) <= 4).all() and said == [f"CMYK is converted to RGB (first: {path})"]


def test_a_palette_is_looked_up(tmp_path):
    image = Image.new("P", (6, 4), 7)
    image.putpalette([0, 0, 0] * 7 + [10, 20, 30])
    path = saved(image, tmp_path / "x.png")
    assert (read(path, COLOUR)[0] == np.array([10, 20, 30]).reshape(3, 1, 1)).all()
    assert (read(path)[0] == 18).all()  # 0.299 * 10 + 0.587 * 20 + 0.114 * 30


@pytest.mark.parametrize("card", [GREY, COLOUR], ids=["grey", "colour"])
def test_transparent_parts_become_black(card, tmp_path):
    colours = np.full((4, 6, 4), 200, dtype=np.uint8)
    colours[..., 3] = [0, 51, 102, 153, 204, 255]
    half_grey = colours[..., [0, 3]]
    palette = Image.new("P", (6, 4), 1)
    palette.putpalette([9, 9, 9, 200, 200, 200])
    expected = np.array([0, 40, 80, 120, 160, 200])
    for name, image, columns, options in (("rgba", Image.fromarray(colours, "RGBA"), expected, {}), ("la", Image.fromarray(half_grey, "LA"), expected, {}),
                                          ("p", palette, 0, {"transparency": 1}), ("l", Image.new("L", (6, 4), 200), 0, {"transparency": 200})):
        path = saved(image, tmp_path / f"{name}.png", **options)
        pixels, said = read(path, card)
        assert (np.abs(pixels.astype(int) - columns) <= 1).all(), name
        assert any(text.startswith("transparent parts become black") for text in said)
    opaque = saved(Image.new("RGBA", (6, 4), (9, 9, 9, 255)), tmp_path / "opaque.png")
    assert (read(opaque, COLOUR)[0] == 9).all() and read(opaque, COLOUR)[1] == []


@pytest.mark.parametrize("name", ["x.png", "x.tif", "x.pgm"])
def test_sixteen_bits_are_scaled_to_eight(name, tmp_path):
    deep = np.array([0, 128, 129, 257, 65406, 65535] * 4, dtype=np.uint16).reshape(4, 6)
    path = tmp_path / name
    if name.endswith("pgm"):
        path.write_bytes(b"P5 6 4 65535\n" + deep.astype(">u2").tobytes())
    else:
        saved(Image.fromarray(deep), path)
    pixels, said = read(path)
    assert pixels[0, 0].tolist() == [0, 0, 1, 1, 254, 255]
    assert said == [f"16 bits of grey are scaled to 8 (first: {path})"]
    assert (read(path, COLOUR)[0] == pixels).all()


def test_pixels_without_a_known_range_are_not_guessed(tmp_path):
    assert "32-bit pixels have no known range" in reason(saved(Image.fromarray(PIXELS.astype(np.int32)), tmp_path / "i.tif"))
    assert "floating-point pixels have no known range" in reason(saved(Image.fromarray(PIXELS.astype(np.float32)), tmp_path / "f.tif"))


@pytest.mark.parametrize(("orientation", "stored"), [
    (3, PIXELS[::-1, ::-1]), (6, np.rot90(PIXELS)), (8, np.rot90(PIXELS, -1)), (2, PIXELS[:, ::-1])])
def test_a_picture_is_turned_as_exif_says(orientation, stored, tmp_path):
    exif = Image.Exif()
    exif[pictures.ORIENTATION] = orientation
    path = saved(Image.fromarray(np.ascontiguousarray(stored)), tmp_path / "x.png", exif=exif)
    pixels, said = read(path)
    assert (pixels[0] == PIXELS).all() and said == [f"turned as EXIF says (first: {path})"]


@pytest.mark.parametrize("name", ["x.gif", "x.png", "x.tif", "x.webp"])
def test_of_an_animation_the_first_image_is_taken(name, tmp_path):
    frames = [Image.new("L", (6, 4), shade) for shade in (40, 200, 120)]
    path = saved(frames[0], tmp_path / name, save_all=True, append_images=frames[1:])
    pixels, said = read(path)
    assert (np.abs(pixels.astype(int) - 40) <= 1).all()
    assert said[0] == f"of animations and files of several pages the first image is taken (first: {path})"


def test_an_image_of_one_pixel_is_an_image(tmp_path):
    path = saved(Image.new("L", (1, 1), 77), tmp_path / "x.png")
    pixels, said = read(path)
    assert (pixels == 77).all() and said == [f"resized to 6x4 (first: {path}, 1x1)"]


def test_resizing_averages(tmp_path):
    fine = np.kron(np.indices((4, 6)).sum(0) % 2 * 255, [[1, 1], [1, 1]]).astype(np.uint8)
    fine = np.kron(fine, np.ones((8, 8), dtype=np.uint8))
    pixels, _ = read(saved(Image.fromarray(fine), tmp_path / "x.png"))
    assert ((pixels[0] > 127) == (np.indices((4, 6)).sum(0) % 2 == 1)).all()
    stripes = np.tile(np.array([0, 255], dtype=np.uint8), (40, 300))
    assert (np.abs(read(saved(Image.fromarray(stripes), tmp_path / "y.png"))[0].astype(int) - 127) < 12).all(), "no stripe of many is picked out"


def test_files_that_are_no_image_come_with_a_reason(tmp_path, monkeypatch):
    whole = io.BytesIO()
    Image.fromarray(RANDOM.integers(0, 256, (40, 60), dtype=np.uint8)).save(whole, "png")
    contents = {"text.png": b"hello", "empty.png": b"", "half.png": whole.getvalue()[:1200], "crc.png": whole.getvalue().replace(b"IHDR", b"IHDX")}
    found = {}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        found[name] = reason(tmp_path / name)
    assert found["text.png"] == found["empty.png"] == "it is no image"
    assert "truncated" in found["half.png"] and all(found.values())
    assert reason(tmp_path / "gone.png") == "No such file or directory"
    assert reason(tmp_path) == "Is a directory"
    (tmp_path / "whole.png").write_bytes(whole.getvalue())
    monkeypatch.setattr(pictures, "LARGEST", 2399)
    assert reason(tmp_path / "whole.png") == "it has more than 2,399 pixels"


def test_a_bomb_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    path = saved(Image.new("1", (30, 30)), tmp_path / "x.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert "exceeds limit" in reason(path)


def test_a_card_of_other_channels_reads_no_files():
    with pytest.raises(Mistake, match="images of 2 channels"):
        Reader(Card(("a",), 2, 4, 4, "x", 1, None, "r", "0"), print)


# Which models


def test_a_card_survives_texts_and_tables():
    for card in (GREY, COLOUR, Card(("ä", 'q"uote', "a,b"), 2, 1, 9, "data set", 3, None, "", "1")):
        assert cards.of_strings(card.strings(), "x") == cards.of_table(card.table(), "x") == card


@pytest.mark.parametrize("change", [{"classes": None}, {"classes": []}, {"height": "x"}, {"width": 0}, {"classes": [1]}, {"labels": None}])
def test_a_card_that_says_too_little_is_foreign(change):
    with pytest.raises(Mistake, match="x was not written by `ssgan export`"):
        cards.of_table(GREY.table() | change, "x")
    with pytest.raises(Mistake, match="x was not written"):
        cards.of_strings({"ssgan.classes": "[", "producer": "other"}, "x")


def foreign_onnx(path: Path) -> Path:
    """A sound ONNX file that somebody else made."""
    from onnx import TensorProto, helper, save

    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "other", values[:1], values[1:])
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_files_that_are_no_export_are_mistakes(onnx, tmp_path):
    whole = onnx.read_bytes()
    contents = {"text.onnx": b"hello", "empty.onnx": b"", "half.onnx": whole[: len(whole) // 2], "text.pt2": b"hello", "empty.pt2": b""}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(Mistake, match=f"{name} cannot be read as a classifier"):
            open_model(tmp_path / name)
    with pytest.raises(Mistake, match="other.onnx was not written by `ssgan export`"):
        open_model(foreign_onnx(tmp_path / "other.onnx"))
    with zipfile.ZipFile(tmp_path / "other.pt2", "w") as archive:
        archive.writestr("other/version", "3")
    with pytest.raises(Mistake, match="other.pt2 was not written"):
        open_model(tmp_path / "other.pt2")
    for name, said in (("gone.onnx", "there is no such file"), ("model.pkl", "no exported classifier, by its name"), ("empty", "a folder without an MLmodel")):
        (tmp_path / "empty").mkdir(exist_ok=True)
        (tmp_path / "model.pkl").write_bytes(b"x")
        with pytest.raises(Mistake, match=said):
            open_model(tmp_path / name)


def test_an_onnx_file_whose_card_lies_is_refused(onnx, tmp_path):
    import onnx as package

    model = package.load(onnx)
    for entry in model.metadata_props:
        if entry.key == "ssgan.height":
            entry.value = "28"
    package.save(model, tmp_path / "lie.onnx")
    with pytest.raises(Mistake, match="lie.onnx was not written"):
        open_model(tmp_path / "lie.onnx")


def test_a_damaged_pt2_file_is_a_mistake(tmp_path):
    trained = of_run(handed.folder())
    export.export_classifier(trained.discriminator(), trained.card(), "pt2", tmp_path / "x.pt2", handed.images_of_test())
    content = bytearray((tmp_path / "x.pt2").read_bytes())
    with zipfile.ZipFile(tmp_path / "x.pt2") as archive:
        weights = max(archive.infolist(), key=lambda entry: entry.file_size)
    content[weights.header_offset + weights.file_size // 2] ^= 1
    (tmp_path / "flipped.pt2").write_bytes(content)
    with pytest.raises(Mistake, match="flipped.pt2 cannot be read"):
        open_model(tmp_path / "flipped.pt2")
    (tmp_path / "half.pt2").write_bytes(content[: len(content) // 2])
    with pytest.raises(Mistake, match="half.pt2 cannot be read"):
        open_model(tmp_path / "half.pt2")


def test_a_damaged_or_foreign_mlflow_folder_is_a_mistake(tmp_path):
    trained = of_run(handed.folder())
    export.export_classifier(trained.discriminator(), trained.card(), "mlflow", tmp_path / "x", handed.images_of_test())
    for name, damage, said in (
            ("no-data", lambda folder: shutil.rmtree(folder / "data"), "cannot be read as a classifier"),
            ("no-yaml", lambda folder: (folder / "MLmodel").write_text("{: ["), "cannot be read as a classifier"),
            ("other", lambda folder: (folder / "MLmodel").write_text("flavors: {sklearn: {}}\nmodel_uuid: x\n"), "was not written by")):
        shutil.copytree(tmp_path / "x", tmp_path / name)
        damage(tmp_path / name)
        with pytest.raises(Mistake, match=said):
            open_model(tmp_path / name)


def test_without_its_runtime_a_file_says_what_to_install(onnx, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(Mistake, match=r"needs the package onnxruntime, which is not installed: pip install 'ssgan\[onnx\]'"):
        open_model(onnx)


def test_a_model_is_a_card_and_an_answer(onnx):
    model = open_model(onnx)
    assert isinstance(model, Model)
    for n in (1, 3):
        logits, probabilities = model.answer(handed.images_of_test()[:n])
        assert logits.shape == probabilities.shape == (n, 10) and logits.dtype == probabilities.dtype == np.float32
        np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
