"""Many files decoded side by side: shapes found by looking, what was met told, broken files listed."""

from collections import Counter

import numpy as np
import pytest
from own_images import picture, write
from PIL import Image

from ssgan.data.decoding import Seen, decode, lines, look, shape_of
from ssgan.data.folders import Folder
from ssgan.data.image_reader import Reader
from ssgan.errors import Mistake


def read(root, image_size: int = 0):
    """What is decoded of a folder by name, the shape, and what was seen."""
    source = Folder(root)
    entries = sorted(source.find().entries)
    headers = look(source, entries, lambda done: None)
    shape = shape_of(headers, image_size, "photos")
    seen, done = Seen(modes=headers.modes, sizes=headers.sizes), []
    found = {entries[number].name: content for number, content in decode(source, entries, shape, seen, done.append)}
    assert not done or done[-1] == len(entries)
    return found, shape, seen


def test_many_images_are_as_one_reader_reads_them(tmp_path):
    for number in range(150):
        write(tmp_path / f"{number}.png", number, number % 3, 10 + number % 5)
    found, shape, seen = read(tmp_path)
    assert shape == (1, 12, 12) and len(found) == 150 and not seen.unreadable
    reader = Reader(shape, lambda text: None)
    for name, content in found.items():
        assert (content.pixels == reader.read(tmp_path / name)[1]).all()
    assert len({content.digest for content in found.values()}) == 150


def test_images_are_grey_where_all_are_and_coloured_where_one_is(tmp_path):
    write(tmp_path / "grey.png", 0)
    Image.fromarray(picture(1)).convert("RGB").save(tmp_path / "as rgb.png")
    found, shape, _ = read(tmp_path)
    assert shape[0] == 3 and not any(content.coloured for content in found.values())
    Image.new("RGB", (12, 12), (9, 8, 9)).save(tmp_path / "colour.png")
    found, _, _ = read(tmp_path)
    assert [name for name, content in found.items() if content.coloured] == ["colour.png"]


@pytest.mark.parametrize(("sizes", "side", "shape"), [
    ([(28, 28)], 0, (28, 28)), ([(20, 30)], 0, (30, 20)), ([(64, 64)], 0, (64, 64)), ([(65, 65)], 0, (64, 64)),
    ([(640, 480)], 0, (64, 64)), ([(20, 20), (30, 30), (41, 41)], 0, (32, 32)), ([(5, 5), (6, 6)], 0, (4, 4)),
    ([(28, 28)], 16, (16, 16)), ([(1, 1)], 16, (16, 16)), ([(1, 1), (40, 40), (40, 40)], 0, (40, 40))])
def test_a_side_is_found_by_looking_unless_it_is_asked_for(sizes, side, shape):
    assert shape_of(Seen(modes=Counter("L"), sizes=Counter(sizes)), side, "photos") == (1, *shape)


@pytest.mark.parametrize(("sizes", "side"), [([(1, 1)], 0), ([(3, 3)], 0), ([(2, 2), (3, 3)], 0), ([(9, 9)], 3)])
def test_images_that_are_too_small_are_a_mistake(sizes, side):
    with pytest.raises(Mistake, match="a side must have 4 at least|a side has 4 pixels at least"):
        shape_of(Seen(modes=Counter("L"), sizes=Counter(sizes)), side, "photos")


def test_what_was_met_is_told(tmp_path):
    write(tmp_path / "a.png", 0)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(picture(1)).save(tmp_path / "turned.jpg", exif=exif)
    Image.fromarray(np.dstack([picture(2)] * 2)).save(tmp_path / "clear.png")
    Image.fromarray(picture(3, side=20).astype(np.uint16) * 257).save(tmp_path / "deep.png")
    (tmp_path / "broken.png").write_bytes(b"broken")
    found, shape, seen = read(tmp_path)
    told = lines(seen, shape, 0)
    assert told[0] == ("images: 12x12 to 20x20 pixels, modes L 2, LA 1, I;16 1; taken as 12x12 grey, found by looking "
                       "(--image-size takes another)")
    assert set(told[1:]) == {"1 image: turned as EXIF says", "1 image: transparent parts become black",
                             "1 image: 16 bits of grey are scaled to 8"}
    assert list(seen.unreadable.values()) == ["it is no image"] and len(found) == 4
    again = Seen.of_plain(seen.plain())
    assert lines(again, shape, 0) == told and again.unreadable == seen.unreadable


def test_a_wide_picture_that_exif_turns_is_taken_as_it_is_seen(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(picture(1)[:8]).save(tmp_path / "turned.jpg", exif=exif)
    Image.fromarray(picture(2)[:, :8]).save(tmp_path / "upright.png")
    assert read(tmp_path)[1] == (1, 12, 8)
