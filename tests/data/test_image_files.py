"""The files that words mean: single ones, folders, patterns, a list; and every word that means none, with a reason."""

import errno
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
    lines = [b"two.png\n", b"\n", b"blank name.png\n", b"more\n", b"t*.png\n", b"gone.png"]
    found = list(find(["o*.png", "[3].png", "**/f*.png", "-"], lines))
    assert found == [Path("one.png"), Path("[3].png"), Path("more/four.png"), Path("two.png"), Path("blank name.png"),
                     Path("more/four.png"), Unreadable(Path("t*.png"), "there is no such file"),
                     Unreadable(Path("gone.png"), "there is no such file")]


def test_a_list_is_read_as_it_comes(tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(b"")

    def lines():
        yield os.fsencode(path) + b"\n"
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
        "there is no image in this folder", "there is no image in this folder", "it is no file",
        "it is a link that leads nowhere", "nothing matches this pattern",
        "no name has a zero byte in it; a list is to be in UTF-8"]


def test_a_folder_that_may_not_be_read_is_said(tmp_path, monkeypatch):
    (tmp_path / "x.png").write_bytes(b"")

    def walk(top, onerror):
        onerror(PermissionError(13, "Permission denied", f"{top}/private"))
        yield str(top), [], ["x.png"]

    monkeypatch.setattr(files.os, "walk", walk)
    assert list(find([str(tmp_path)], [])) == [tmp_path / "x.png",
                                               Unreadable(tmp_path / "private", "Permission denied")]


def test_a_linked_folder_is_followed_and_each_real_folder_once(tmp_path):
    for name in ("in/b/1.png", "in/2.png", "away/3.png", "away/deep/4.png", "elsewhere/5.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    for name, target in (("in/a", "in/b"), ("in/away", "away"), ("in/again", "away"), ("away/back", "in"),
                         ("away/deep/on", "elsewhere"), ("in/itself", "in")):
        (tmp_path / name).symlink_to(tmp_path / target)
    found = [str(path.relative_to(tmp_path)) for path in find([str(tmp_path / "in")], [])]
    assert found == ["in/2.png", "in/b/1.png", "in/again/3.png", "in/again/deep/4.png", "in/again/deep/on/5.png"]
    (tmp_path / "linked").symlink_to(tmp_path / "elsewhere")
    assert list(find([str(tmp_path / "linked")], [])) == [tmp_path / "linked" / "5.png"]


def test_a_link_that_leads_nowhere_is_said_where_it_may_be_an_image_or_a_folder(tmp_path):
    (tmp_path / "x.png").write_bytes(b"")
    for name in ("disk", "y.png", "notes.txt", ".lock"):
        (tmp_path / name).symlink_to(tmp_path / "gone")
    (tmp_path / "ring").symlink_to(tmp_path / "ring")
    assert list(find([str(tmp_path)], [])) == [
        Unreadable(tmp_path / "disk", "it is a link that leads nowhere"),
        Unreadable(tmp_path / "ring", os.strerror(errno.ELOOP)), tmp_path / "x.png",
        Unreadable(tmp_path / "y.png", "it is a link that leads nowhere")]


@pytest.mark.parametrize("kind", ["word", "pattern", "line", "folder"])
@pytest.mark.parametrize("number", [errno.EACCES, errno.ENAMETOOLONG, errno.EIO, errno.ESTALE])
def test_whatever_the_system_says_of_a_name_it_is_a_reason_and_stops_nothing(tmp_path, monkeypatch, kind, number):
    (tmp_path / "bad.png").write_bytes(b"")
    (tmp_path / "good.png").write_bytes(b"")
    true = Path.stat

    def failing(path, **options):
        if path.name == "bad.png":
            raise OSError(number, os.strerror(number), str(path))
        return true(path, **options)

    monkeypatch.setattr(Path, "stat", failing)
    bad, good = str(tmp_path / "bad.png"), str(tmp_path / "good.png")
    words, lines = {"word": ([bad, good], []), "pattern": ([f"{tmp_path}/*.png"], []),
                    "line": (["-"], [os.fsencode(name) + b"\n" for name in (bad, good)]),
                    "folder": ([str(tmp_path)], [])}[kind]
    assert list(find(words, lines)) == [Unreadable(Path(bad), os.strerror(number)), Path(good)]


def test_names_that_no_file_system_takes_are_told(tmp_path):
    (tmp_path / "x.png").write_bytes(b"")
    long = "x" * 300 + ".png"
    words = [long, "-", f"{tmp_path}/{long}/*.png", str(tmp_path / "x.png")]
    reasons = [item.reason if isinstance(item, Unreadable) else "" for item in find(words, [long.encode() + b"\n"])]
    assert reasons == ["File name too long"] * 3 + [""]


def test_a_list_of_another_system_is_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = ["one.png", "zw\u00f6lf.png", "odd\r"]
    for name in names:
        Path(name).write_bytes(b"")
    lines = "\ufeffone.png\r\nzw\u00f6lf.png\r\n\r\nodd\r\n".encode().splitlines(keepends=True)
    assert list(find(["-"], b"".join(lines).split(b"\n"))) == [Path(name) for name in names]
    utf16 = "one.png\r\nx.png\r\n".encode("utf-16").splitlines(keepends=True)
    assert {item.reason for item in find(["-"], utf16)} == {"no name has a zero byte in it; a list is to be in UTF-8"}


def test_a_name_in_no_encoding_is_found_by_a_list(tmp_path):
    name = os.fsencode(tmp_path) + b"/\xff\xe9.png"
    with open(name, "wb"):
        pass
    assert list(find(["-"], [name + b"\n"])) == list(find([str(tmp_path)], [])) == [Path(os.fsdecode(name))]


def test_a_list_that_breaks_off_is_told_and_the_other_words_are_found(tmp_path):
    (tmp_path / "x.png").write_bytes(b"")

    def lines():
        yield b"gone.png\n"
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    assert list(find(["-", str(tmp_path / "x.png")], lines())) == [
        Unreadable(Path("gone.png"), "there is no such file"),
        Unreadable(Path("-"), f"the list cannot be read: {os.strerror(errno.EIO)}"), tmp_path / "x.png"]


def test_a_pattern_in_a_folder_that_may_not_be_read_says_so(tmp_path, monkeypatch):
    def scandir(path="."):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(files.os, "scandir", scandir)
    assert list(find([f"{tmp_path}/*.png"], [])) == [
        Unreadable(Path(f"{tmp_path}/*.png"), os.strerror(errno.EACCES))]
