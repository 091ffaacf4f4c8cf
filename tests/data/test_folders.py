"""The files of a folder: litter and other files apart, links that lead out or in circles refused."""

import os
import time

import pytest
from own_images import heard, simple, write

from ssgan.data.folders import Folder
from ssgan.data.own_data import load
from ssgan.errors import Mistake


def names(root) -> list[str]:
    return sorted(entry.name for entry in Folder(root).find().entries)


def test_images_are_found_at_any_depth_and_others_are_kept_apart(tmp_path):
    root = simple(tmp_path / "photos")
    for litter in (".DS_Store", "labelled/Thumbs.db", "__MACOSX/x.png", "labelled/.hidden/y.png", "labelled/._1.png"):
        (root / litter).parent.mkdir(exist_ok=True)
        (root / litter).write_text("litter")
    (root / "notes.txt").write_text("no image")
    write(root / "unlabelled" / "a" / "b" / "new\nline é.PNG", 1)
    found = Folder(root).find()
    assert len(found.entries) == 23 and "unlabelled/a/b/new\nline é.PNG" in [entry.name for entry in found.entries]
    assert len(found.litter) == 5 and found.others == ["notes.txt"]


def test_a_name_that_is_no_text_is_found_and_shown(tmp_path, cache):
    root = simple(tmp_path / "photos")
    raw = os.fsencode(root / "labelled" / "left" / "first.png").replace(b"first", b"\xff\xfe")
    os.rename(write(root / "labelled" / "left" / "first.png", 77), raw)
    with open(raw, "wb") as file:
        file.write(b"broken")
    with pytest.raises(Mistake, match=r"left/\\xff\\xfe.png \(it is no image\)"):
        load(f"folder:{root}", heard()[0])


def test_a_link_that_leads_out_is_refused_and_one_inside_followed(tmp_path):
    root = simple(tmp_path / "photos")
    (root / "labelled" / "left" / "again.png").symlink_to(root / "labelled" / "right" / "006.png")
    assert len(names(root)) == 23
    outside = write(tmp_path / "elsewhere" / "x.png", 1)
    for target in (outside, outside.parent):
        link = root / "labelled" / "left" / "link.png"
        link.symlink_to(target)
        with pytest.raises(Mistake, match=r"link.png is a link that leads out of the folder, to .*elsewhere"):
            names(root)
        link.unlink()


def test_links_in_a_circle_are_refused(tmp_path):
    root = simple(tmp_path / "photos")
    (root / "labelled" / "loop").symlink_to(root)
    with pytest.raises(Mistake, match="loop is a link that leads in a circle"):
        names(root)
    (root / "labelled" / "loop").unlink()
    (root / "labelled" / "self.png").symlink_to(root / "labelled" / "self.png")
    with pytest.raises(Mistake, match="self.png is a link that leads in a circle"):
        names(root)
    (root / "labelled" / "self.png").unlink()
    (root / "labelled" / "nothing.png").symlink_to(root / "labelled" / "gone.png")
    assert "labelled/nothing.png" in names(root), "it is told as a broken image"


def test_a_pipe_is_no_image(tmp_path):
    os.mkfifo(simple(tmp_path / "photos") / "labelled" / "pipe.png")
    assert Folder(tmp_path / "photos").find().others == ["labelled/pipe.png"]


def test_a_folder_that_cannot_be_read_is_a_mistake(tmp_path, monkeypatch):
    root, scandir = simple(tmp_path / "photos"), os.scandir

    def denied(path):
        if str(path).rstrip("/").endswith("right"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(Mistake, match=r"labelled/right/? cannot be read: Permission denied"):
        names(root)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser reads everything")
def test_a_folder_without_permission_is_a_mistake(tmp_path):
    root = simple(tmp_path / "photos")
    (root / "labelled" / "right").chmod(0)
    try:
        with pytest.raises(Mistake, match="Permission denied"):
            names(root)
    finally:
        (root / "labelled" / "right").chmod(0o700)


def test_many_files_that_are_no_images_are_passed_over_quickly(tmp_path, cache):
    for number in range(20_000):
        os.close(os.open(tmp_path / f"{number}.txt", os.O_CREAT))
    began = time.monotonic()
    with pytest.raises(Mistake, match="holds no image"):
        load(f"folder:{tmp_path}", heard()[0])
    assert time.monotonic() - began < 3 and not cache.exists()


@pytest.mark.parametrize("name", ["nothing", "file.txt", "empty"])
def test_what_is_no_folder_of_images_is_a_mistake(name, tmp_path, cache):
    (tmp_path / "file.txt").write_text("text")
    (tmp_path / "empty").mkdir()
    with pytest.raises(Mistake, match="there is no folder|neither a folder nor a zip nor a tar|holds no image"):
        load(f"folder:{tmp_path / name}", heard()[0])
    assert not cache.exists()
