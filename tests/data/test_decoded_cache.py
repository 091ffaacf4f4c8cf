"""Decoded once, then mapped from the cache: what makes it anew, what it survives, and that it is never half there."""

import os

import numpy as np
import pytest
from own_images import heard, picture, simple, write
from PIL import Image

from ssgan.data import decoded_cache, decoding
from ssgan.data.own_data import load
from ssgan.files import cache_folder


@pytest.fixture
def photos(tmp_path, cache):
    return simple(tmp_path / "photos")


def stages(photos, **reading) -> tuple[list[str], str]:
    """What a reading does, and the hash of what it gives."""
    how, said = heard(**reading)
    found = load(f"folder:{photos}", how)
    return said.stages, found.sha256


BOTH = ["looking at images", "decoding images"]


def test_images_are_decoded_once_and_again_where_files_have_changed(photos):
    first, sha256 = stages(photos)
    assert first == BOTH and stages(photos) == ([], sha256)
    write(photos / "unlabelled" / "100.png", 500)
    os.utime(photos / "unlabelled" / "100.png", ns=(1, 1))
    again, other = stages(photos)
    assert again == BOTH and other != sha256 and stages(photos) == ([], other)
    (photos / "unlabelled" / "101.png").unlink()
    assert stages(photos)[0] == BOTH
    assert len(list(cache_folder("decoded").glob("*/*.pixels"))) == 1, "the old ones are removed"


def test_recheck_decodes_in_any_case_and_a_size_has_a_cache_of_its_own(photos):
    first = stages(photos)
    assert stages(photos, recheck=True) == first
    path = photos / "unlabelled" / "100.png"
    content, times = bytearray(path.read_bytes()), path.stat()
    Image.fromarray(255 - picture(100)).save(path)
    path.write_bytes(path.read_bytes()[: len(content)].ljust(len(content), b"\0"))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert stages(photos) == ([], first[1]), "no size and no time has changed"
    assert stages(photos, recheck=True)[1] != first[1]
    assert stages(photos, image_size=8)[0] == BOTH and stages(photos, image_size=8)[0] == []
    assert stages(photos)[0] == []


def test_a_file_that_the_system_does_not_give_is_tried_again(photos, monkeypatch):
    real = Image.open

    def refused(place, *options):
        if str(place).endswith("100.png"):
            raise PermissionError(13, "Permission denied")
        return real(place, *options)

    monkeypatch.setattr(Image, "open", refused)
    how, said = heard()
    assert len(load(f"folder:{photos}", how).train.labels) == len(load(f"folder:{photos}", heard()[0]).train.labels)
    assert any("100.png (Permission denied)" in line for line in said.lines), said.lines
    monkeypatch.undo()
    how, said = heard()
    load(f"folder:{photos}", how)
    assert said.stages == BOTH and not any("cannot be decoded" in line for line in said.lines)
    assert stages(photos)[0] == []
    monkeypatch.setattr(Image, "open", refused)
    assert stages(photos, recheck=True)[0] == BOTH
    monkeypatch.undo()
    assert stages(photos)[0] == BOTH, "the earlier notes do not stand beside other pixels"


def test_what_is_told_is_told_from_the_cache_too(photos):
    (photos / "unlabelled" / "broken.png").write_bytes(b"broken")
    texts = []
    for _ in range(2):
        reading, said = heard()
        load(f"folder:{photos}", reading)
        texts.append(said.text)
    assert texts[0] == texts[1] and "cannot be decoded: 1 image, unlabelled/broken.png (it is no image)" in texts[0]


@pytest.mark.parametrize("damage", ["pixels", "npz", "json"])
def test_a_damaged_cache_is_made_anew(photos, damage):
    _, sha256 = stages(photos)
    path, = cache_folder("decoded").glob(f"*/*{damage}")
    path.write_bytes(path.read_bytes()[:-10])
    found, again = stages(photos)
    assert again == sha256 and found == ([] if damage == "json" else BOTH)


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(photos, tmp_path, monkeypatch):
    _, sha256 = stages(photos)
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    reading, said = heard()
    assert load(f"folder:{photos}", reading).sha256 == sha256
    assert "the cache cannot be written" in said.text


def test_a_decoding_that_is_broken_off_leaves_nothing_that_is_taken(photos, monkeypatch):
    real = decoding.decode

    def stopped(*arguments):
        yield next(real(*arguments))
        raise KeyboardInterrupt

    monkeypatch.setattr(decoded_cache.decoding, "decode", stopped)
    with pytest.raises(KeyboardInterrupt):
        stages(photos)
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(photos.parent / "cache"))
    assert not list(cache_folder("decoded").glob("*/*.pixels")) and not list(cache_folder("decoded").glob("*/.*.tmp"))
    assert stages(photos)[0] == BOTH


def test_gaps_of_broken_images_are_closed_and_grey_colours_made_grey(tmp_path, cache):
    for number in range(12):
        pixels = Image.fromarray(picture(number)).convert("RGB")
        path = tmp_path / "photos" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels.save(path)
    for number in (0, 5, 11):
        (tmp_path / "photos" / "ab"[number % 2] / f"{number}.png").write_bytes(b"broken")
    found = load(f"folder:{tmp_path / 'photos'}", heard(skip_broken=True)[0])
    left = [number for number in range(12) if number not in (0, 5, 11)]
    assert found.train.shape == (1, 12, 12)
    assert (found.train.pixels.numpy()[:, 0] == np.stack([picture(number) for number in left])).all()
    assert found.train.labels.tolist() == [number % 2 for number in left]


def test_pixels_are_mapped_and_not_in_memory(photos):
    load(f"folder:{photos}", heard()[0])
    found = load(f"folder:{photos}", heard()[0])
    with open("/proc/self/maps") as maps:
        address = found.train.pixels.data_ptr()
        line = next(line for line in maps if int(line.split("-")[0], 16) <= address < int(line.split()[0].split("-")[1],
                                                                                        16))
    assert ".pixels" in line and line.split()[1].startswith("r--")


def test_labels_that_change_do_not_decode_again(tmp_path, cache):
    root = tmp_path / "photos"
    for number in range(6):
        write(root / f"{number}.png", number)
    (root / "labels.csv").write_text("file,label\n" + "".join(f"{number}.png,{'ab'[number % 2]}\n"
                                                              for number in range(6)))
    _, first = stages(root)
    (root / "labels.csv").write_text("file,label\n" + "".join(f"{number}.png,{'abb'[number % 3]}\n"
                                                              for number in range(6)))
    again, other = stages(root)
    assert again == [] and other != first and stages(root) == ([], other)
