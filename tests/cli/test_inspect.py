"""`ssgan inspect`: what is in a person's own images, as text, JSON, a page and a sheet."""

import json
import re

import pytest
from click.testing import CliRunner
from own_images import messy, pack, write_classes
from PIL import Image

from ssgan.cli import main

FEW = ["--set", "model.widths=[4,4]", "--set", "model.generator_widths=[4]", "--set", "pictures.steps=0"]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return messy(tmp_path_factory.mktemp("inspect") / "photos <b>")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def run(*words: object, code: int = 0):
    """What `ssgan inspect` prints, its exit code checked."""
    result = CliRunner().invoke(main, ["inspect", *map(str, words), "--device", "cpu"])
    assert result.exit_code == code, result.output
    return result


def test_all_of_a_messy_folder_is_in_the_text(photos):
    text = run(photos, *FEW).stdout
    assert re.search(r"rare +1 +2\n", text) and re.search(r"unlabelled +72\n", text)
    assert "labelled/often/broken.png: image file is truncated" in text
    assert "unlabelled/broken.jpg: it is no image" in text
    assert "labelled/often/6.png = test/often/leaked.png" in text
    assert re.search(r"a run: 36 labelled and 70 unlabelled images, 3,000 steps of 32 images; .* ms a step here", text)
    assert "with --skip-broken: without it a run stops at labelled images that cannot be decoded" in text


def test_json_has_every_file_and_number(photos):
    found = json.loads(run(f"folder:{photos}", "--json", *FEW).stdout.splitlines()[-1])
    assert found["classes"]["rare"] == {"labelled": 1, "test": 2} and found["unlabelled"] == 72
    assert {each["file"] for each in found["broken"]} == {"labelled/often/broken.png", "unlabelled/broken.jpg",
                                                         "unlabelled/half.png"}
    assert ["labelled/often/5.png", "unlabelled/double.png"] in found["doubles"]["equal"]
    assert found["doubles"]["near"] == [["labelled/often/7.png", "unlabelled/alike.png"]]
    assert sum(each["images"] for each in found["sizes"]) == sum(found["modes"].values()) == 120
    assert found["shape"] == [3, 12, 12] and found["cost"]["steps"] == 3000 and found["cost"]["seconds"] > 0
    assert len(found["left_out"]) == 4 and found["no_run"] is None


def test_a_page_and_a_sheet_are_written(photos, tmp_path):
    run(photos, "--html", "page.html", "--png", "sheet.png", *FEW)
    page = (tmp_path / "page.html").read_text()
    assert "photos &lt;b&gt;" in page and "<b>" not in page and "data:image/png;base64," in page
    assert "labelled/often/broken.png: image file is truncated" in page and "src=\"http" not in page
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert min(sheet.size) > 50


def test_a_budget_an_archive_and_folds_change_what_a_run_costs(tmp_path):
    write_classes(tmp_path / "photos", {"a": 20, "b": 20})
    pack(tmp_path / "photos", tmp_path / "photos.zip")
    found = json.loads(run("photos.zip", "--labels", 10, "--json", *FEW).stdout.splitlines()[-1])
    assert (found["cost"]["labelled"], found["cost"]["unlabelled"], found["cost"]["folds"]) == (10, 30, 5)


def test_what_no_run_can_be_made_of_is_told_and_not_refused(tmp_path):
    root = write_classes(tmp_path / "photos", {"a": 3, "b": 3})
    for file in (root / "a").iterdir():
        file.write_bytes(b"broken")
    assert "no run yet: no image of class 'a'" in run(root).stdout
    others = write_classes(tmp_path / "others", {"a": 3, "b": 3})
    assert "no run yet: --labels 100" in run(others, "--labels", 100).stdout


def test_what_cannot_be_looked_at_is_a_mistake(tmp_path):
    (tmp_path / "empty").mkdir()
    assert "holds no image" in run("empty", code=2).stderr
    assert "there is no folder" in run("nothing", code=2).stderr
    assert "arrays are what they are" in run("npz:x.npz", code=2).stderr
    assert "name a .html file" in run("empty", "--html", "x.txt", code=2).stderr
