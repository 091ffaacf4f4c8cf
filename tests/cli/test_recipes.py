"""`ssgan recipes`: what it prints and writes, and its mistakes."""

import pytest
from click.testing import CliRunner

from ssgan.cli import main
from ssgan.recipes import names, read


def ssgan(*arguments):
    return CliRunner().invoke(main, ["recipes", *map(str, arguments)])


def test_the_list_the_text_and_the_keys():
    assert [line.split()[0] for line in ssgan().stdout.splitlines()] == names()
    assert ssgan("digits").stdout == read("digits").text
    keys = [line.split()[0] for line in ssgan("--keys").stdout.splitlines()]
    assert {"labels", "gan.weight", "class_balance.weight"} <= set(keys)


def test_the_evidence_of_all_and_of_one():
    everything, one = (ssgan(*arguments, "--evidence").stdout.splitlines() for arguments in ((), ("mnist",)))
    assert everything[0].startswith("| recipe") and 2 < len(one) < len(everything)
    assert {line.split()[1] for line in one[2:]} == {"mnist"}


def test_a_copy_is_a_new_file(tmp_path):
    done = ssgan("digits", "--copy", tmp_path / "mine.toml")
    assert done.exit_code == 0 and (tmp_path / "mine.toml").read_text(encoding="utf-8") == read("digits").text
    again = ssgan("digits", "--copy", tmp_path / "mine.toml")
    assert again.exit_code == 2 and "name a new file" in again.stderr


def test_a_picture_is_written_and_written_over(tmp_path):
    path = tmp_path / "curve.png"
    for _ in range(2):
        done = ssgan("mnist", "--picture", path)
        assert done.exit_code == 0 and path.read_bytes().startswith(b"\x89PNG") and str(path) in done.stdout
    assert [item.name for item in tmp_path.iterdir()] == ["curve.png"]


@pytest.mark.parametrize(("arguments", "told"), [
    (["--picture", "a.png"], "of which recipe?"), (["digits", "--picture", "a.jpg"], "name a .png file"),
    (["digits", "--picture", "nowhere/a.png"], "a folder that exists"),
    (["folder", "--picture", "a.png"], "has no evidence"),
    (["digit", "--picture", "a.png"], "did you mean digits"), (["digit", "--evidence"], "did you mean digits")],
    ids=str)
def test_wrong_input_is_one_clear_mistake_and_nothing_is_written(tmp_path, monkeypatch, arguments, told):
    monkeypatch.chdir(tmp_path)
    done = ssgan(*arguments)
    assert done.exit_code == 2 and told in done.stderr and len(done.stderr.splitlines()) <= 3
    assert not list(tmp_path.iterdir())
