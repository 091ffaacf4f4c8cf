"""How a file becomes pixels: colours, depths, transparency, turns, animations, sizes; and every strange file with a
clear reason.
"""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssgan.data import image_reader as pictures
from ssgan.data.image_files import Unreadable
from ssgan.data.image_reader import Reader
from ssgan.errors import Mistake
from ssgan.export.model_card import Card

GREY = Card(("a", "b"), 1, 4, 6, "small", 8, None, "run", "0")
COLOUR = Card(("a", "b"), 3, 4, 6, "small", 8, 0.5, "run", "0")
RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (4, 6), dtype=np.uint8)


def read(path: Path, card: Card = GREY) -> tuple[np.ndarray, list[str]]:
    """The pixels of a file [c, h, w], and what was said of it."""
    said: list[str] = []
    found = Reader(card.shape, said.append).read(path)
    assert not isinstance(found, Unreadable), found
    assert found[0] == path and found[1].dtype == np.uint8 and found[1].shape == card.shape
    return found[1], said


def reason(path: Path, card: Card = GREY) -> str:
    """Why a file cannot be read."""
    found = Reader(card.shape, print).read(path)
    assert isinstance(found, Unreadable) and found.path == path, found
    return found.reason


def saved(image: Image.Image, path: Path, **options) -> Path:
    image.save(path, **options)
    return path


def test_an_image_of_the_right_kind_is_taken_as_it_is(tmp_path):
    pixels, said = read(saved(Image.fromarray(PIXELS), tmp_path / "x.png"))
    assert (pixels == PIXELS[None]).all() and said == []
    colours = RANDOM.integers(0, 256, (4, 6, 3), dtype=np.uint8)
    pixels, said = read(saved(Image.fromarray(colours), tmp_path / "y.png"), COLOUR)
    assert (pixels == colours.transpose(2, 0, 1)).all() and said == []


def test_each_kind_of_conversion_is_said_once(tmp_path):
    paths = [saved(Image.new("RGB", (9, 9), "red"), tmp_path / f"{i}.png") for i in range(3)]
    said = []
    reader = Reader(GREY.shape, said.append)
    for path in paths:
        reader.read(path)
    assert said == [f"RGB colours are converted to grey (first: {paths[0]})",
                    f"resized to 6x4 (first: {paths[0]}, 9x9)"]


@pytest.mark.parametrize(("mode", "colour", "grey"), [
    ("RGB", (255, 0, 0), 76), ("RGB", (0, 255, 0), 150), ("1", 1, 255), ("CMYK", (0, 0, 0, 0), 255),
    ("CMYK", (0, 255, 255, 0), 76), ("YCbCr", (90, 128, 128), 90)])
def test_colours_become_grey(mode, colour, grey, tmp_path):
    path = saved(Image.new(mode, (6, 4), colour), tmp_path / "x.tif")
    pixels, said = read(path)
    assert (np.abs(pixels.astype(int) - grey) <= 1).all()
    assert len(said) == (mode != "1")


def test_a_cmyk_photograph_keeps_its_colours(tmp_path):
    path = saved(Image.new("CMYK", (6, 4), (0, 255, 255, 0)), tmp_path / "x.jpg", quality=100)
    pixels, said = read(path, COLOUR)
    assert ((np.abs(pixels.astype(int) - np.array([255, 0, 0]).reshape(3, 1, 1)) <= 4).all()
            and said == [f"CMYK is converted to RGB (first: {path})"])


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
    for name, image, columns, options in (
            ("rgba", Image.fromarray(colours), expected, {}), ("la", Image.fromarray(half_grey), expected, {}),
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


def test_twelve_bits_in_sixteen_are_told(tmp_path):
    path = saved(Image.fromarray(np.array([[0, 4095], [17, 2048]], dtype=np.uint16)), tmp_path / "x.png")
    said = read(path)[1]
    assert any(f"stay below 4,096 and become nearly black: scale them to their range (first: {path})" in line
               for line in said), said


def test_pixels_without_a_known_range_are_not_guessed(tmp_path):
    assert "32-bit pixels have no known range" in reason(saved(
        Image.fromarray(PIXELS.astype(np.int32)), tmp_path / "i.tif"))
    assert "floating-point pixels have no known range" in reason(
        saved(Image.fromarray(PIXELS.astype(np.float32)), tmp_path / "f.tif"))


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
    assert (np.abs(read(saved(Image.fromarray(stripes), tmp_path / "y.png"))[0].astype(
        int) - 127) < 12).all(), "no stripe of many is picked out"


def test_files_that_are_no_image_come_with_a_reason(tmp_path, monkeypatch):
    whole = io.BytesIO()
    Image.fromarray(RANDOM.integers(0, 256, (40, 60), dtype=np.uint8)).save(whole, "png")
    contents = {"text.png": b"hello", "empty.png": b"", "half.png": whole.getvalue()[:1200],
                "crc.png": whole.getvalue().replace(b"IHDR", b"IHDX")}
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
        Reader((2, 4, 4), print)
