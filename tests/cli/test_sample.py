"""The command line of `ssgan sample`: pictures and folders of generated images."""

import json

import numpy as np
import pytest
from PIL import Image

from cli.in_process import commands_in
from cli.test_run import TINY
from ssgan.evaluation import figures
from ssgan.evaluation.sample_folder import folder_names

RUN = ["train", "--dataset", "digits", "--labels", "50", *TINY, "--set", "train.epochs=1", "--json"]
DRAWN = ["--set", "pictures.steps=5", "--set", "pictures.critic_widths=[8]", "--set", "pictures.generator_widths=[8]",
         "--set", "pictures.threshold=0"]


@pytest.fixture(scope="module")
def ssgan(tmp_path_factory):
    """The command in this process, in a folder with two runs, the latest one with a picture player."""
    with commands_in(tmp_path_factory.mktemp("sampled")) as command:
        for options in ([], DRAWN):
            done = command(*RUN, *options)
            assert done.exit_code == 0, done.output
        yield lambda *arguments: command("sample", *arguments)


def run_without_pictures(ssgan) -> str:
    import sqlite3

    with sqlite3.connect("mlruns/mlflow.db") as store:
        return store.execute("select run_uuid from runs order by start_time").fetchone()[0]


def test_a_folder_of_files_is_the_pictures_of_the_sampler(ssgan, tmp_path):
    found = ssgan("latest", "-n", "45", "-o", str(tmp_path / "all"), "--json")
    assert found.exit_code == 0, found.output
    told = json.loads(found.stdout.splitlines()[-1])
    paths = sorted((tmp_path / "all").glob("*/*.png"))
    assert len(paths) == told["images"] == sum(told["counts"].values()) == 45 and told["generator"] == "pictures"
    assert {path.parent.name for path in paths} == set(told["counts"]) <= set("0123456789")
    assert sorted(int(path.stem) for path in paths) == list(range(45))
    again = ssgan("latest", "-n", "45", "-o", str(tmp_path / "again"))
    assert again.exit_code == 0
    for path in paths:
        image = Image.open(path)
        assert image.size == (8, 8) and image.mode == "L"
        other = Image.open(tmp_path / "again" / path.parent.name / path.name)
        assert np.array_equal(np.asarray(image), np.asarray(other))
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_one_class_alone(ssgan, tmp_path):
    assert ssgan("latest", "-n", "7", "--class", "3", "-o", str(tmp_path / "threes")).exit_code == 0
    assert [path.name for path in (tmp_path / "threes").iterdir()] == ["3"]
    found = ssgan("latest", "-n", "7", "--class", "3", "-o", str(tmp_path / "threes.png"), "--json")
    assert json.loads(found.stdout.splitlines()[-1])["class"] == "3" and (tmp_path / "threes.png").is_file()


def test_either_generator_can_be_asked(ssgan, tmp_path):
    made = [tmp_path / f"{name}.png" for name in ("pictures", "generator", "default")]
    for path in made:
        options = [] if path.stem == "default" else ["--generator", path.stem]
        assert ssgan("latest", "-n", "9", "-o", str(path), *options).exit_code == 0
    pictures, generator, default = (path.read_bytes() for path in made)
    assert pictures == default != generator
    assert ssgan("latest", "-n", "4", "--generator", "generator", "-o", str(tmp_path / "flat")).exit_code == 0
    assert len(list((tmp_path / "flat").glob("*.png"))) == 4


@pytest.mark.parametrize("options, expected", [
    (["--class", "ten"], "no class is called 'ten'"),
    (["--generator", "painter"], "no generator is called 'painter'"),
    (["--generator", "generator", "--class", "3"], "is told no classes"),
    (["-n", "10001"], "name a folder with -o"),
    (["-o", "x.jpg"], "as .png"),
    (["-o", "mlruns"], "it exists"),
    (["-o", "none/of/these"], "there is no folder"),
    (["-o", "none/x.png"], "in a folder that exists"),
])
def test_what_cannot_be_is_one_clear_mistake(ssgan, options, expected):
    refused = ssgan("latest", *options)
    assert refused.exit_code == 2 and expected in refused.stderr and "Traceback" not in refused.stderr
    assert len(refused.stderr.strip().splitlines()) <= 3


def test_a_class_of_a_run_whose_generator_knows_none(ssgan):
    refused = ssgan(run_without_pictures(ssgan), "--class", "3")
    assert refused.exit_code == 2 and "pictures.steps" in refused.stderr


def test_a_folder_is_whole_or_not_there(ssgan, tmp_path, monkeypatch):
    calls = []

    def failing(image):
        calls.append(1)
        if len(calls) == 5:
            raise OSError(28, "No space left on device")
        return figures.as_picture(image)

    monkeypatch.setattr("ssgan.evaluation.sample_folder.as_picture", failing)
    refused = ssgan("latest", "-n", "20", "-o", str(tmp_path / "full"))
    assert refused.exit_code == 2 and "No space left" in refused.stderr and not list(tmp_path.iterdir())


def test_names_of_classes_become_names_of_folders():
    assert folder_names(["T-shirt/top", "Bag", "..", "a\\b", "T-shirt-top"]) == \
        ["T-shirt-top", "Bag", "-", "a-b", "T-shirt-top-4"]


def test_a_run_without_a_generator_has_nothing_to_score(tmp_path):
    with commands_in(tmp_path) as command:
        made = command(*RUN, "--set", "gan.weight=0", "--set", "feature_matching.weight=0", "--set", "pictures.steps=0",
                       "--tracking-uri", "none")
        assert made.exit_code == 0, made.output
        done = command("score", "latest", "--tracking-uri", "none")
    assert done.exit_code == 2 and "was trained without a generator: there is nothing to score" in done.stderr
