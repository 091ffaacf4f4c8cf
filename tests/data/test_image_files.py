"""The files that words mean: single ones, folders, patterns, a list; and every word that means none, with a reason."""

import os
from pathlib import Path

import pytest

from ssgan.data import image_files as files
from ssgan.data.image_files import Unreadable, find


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
    assert found == [Path("one.png"), Path("[3].png"), Path("more/four.png"), Path("two.png"), Path("blank name.png"),
                     Path("more/four.png"), Unreadable(Path("t*.png"), "there is no such file"),
                     Unreadable(Path("gone.png"), "there is no such file")]


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
        "there is no image in this folder", "there is no image in this folder", "it is no file", "it is no file",
        "nothing matches this pattern", "there is no such file"]


def test_a_folder_that_may_not_be_read_is_said(tmp_path, monkeypatch):
    (tmp_path / "x.png").write_bytes(b"")

    def walk(top, onerror):
        onerror(PermissionError(13, "Permission denied", f"{top}/private"))
        yield str(top), [], ["x.png"]

    monkeypatch.setattr(files.os, "walk", walk)
    assert list(find([str(tmp_path)], [])) == [tmp_path / "x.png",
                                               Unreadable(tmp_path / "private", "Permission denied")]
