"""`ssgan predict` from outside: tables, CSV and JSON, lists and folders, doubts, files that cannot be read, and how
fast and light it is.
"""

import csv
import io
import json
import subprocess
import sys
import time
from pathlib import Path

import handed
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from ssgan.cli import main
from ssgan.export.load import open_model


@pytest.fixture(scope="module")
def model() -> Path:
    """The small run's classifier as an ONNX file."""
    return handed.exported("onnx")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """A folder with 30 test images as PNG files."""
    folder = tmp_path_factory.mktemp("pictures")
    handed.write_pictures(folder, handed.images_of_test()[:30])
    return folder


@pytest.fixture(scope="module")
def probabilities(model) -> np.ndarray:
    """What the model says of the 30 images in memory: [n, k]."""
    return open_model(model).answer(handed.images_of_test()[:30])[1]


def run(*words: object, code: int = 0, stdin: str = ""):
    """What `ssgan predict` prints, its exit code checked."""
    result = CliRunner().invoke(main, ["predict", *map(str, words)], input=stdin)
    assert result.exit_code == code, result.output
    return result


def test_a_table_has_label_probability_and_path(model, pictures, probabilities):
    lines = run(model, pictures, "--batch", 7).stdout.splitlines()
    assert [line.split()[0] for line in lines] == [str(answer) for answer in handed.evaluated()[:30]]
    assert [line.split("  ")[-1] for line in lines] == [str(path) for path in sorted(pictures.iterdir())]
    assert [float(line.split()[1]) for line in lines] == pytest.approx(100 * probabilities.max(1), abs=0.006)


def test_csv_has_a_line_of_names_and_the_best_classes(model, pictures, probabilities):
    rows = list(csv.DictReader(io.StringIO(run(model, pictures, "--csv", "--top-k", 2).stdout)))
    assert list(rows[0]) == ["path", "label", "class_1", "probability_1", "class_2", "probability_2"]
    assert [int(row["label"]) for row in rows] == [int(row["class_1"]) for row in rows] == handed.evaluated()[
        :30].tolist()
    assert [float(row["probability_2"]) for row in rows] == pytest.approx(np.sort(probabilities)[:, -2], abs=1e-6)
    assert [Path(row["path"]) for row in rows] == sorted(pictures.iterdir())


def test_json_is_one_object_on_the_last_line(model, pictures, probabilities):
    output = run(model, pictures, pictures / "gone.png", "--json", "--top-k", 99, code=1).stdout
    assert output.count("\n") == 1
    found = json.loads(output)
    assert (found["model"] == str(model)
            and found["unreadable"] == [{"path": str(pictures / "gone.png"), "reason": "there is no such file"}])
    assert [int(row["label"]) for row in found["predictions"]] == handed.evaluated()[:30].tolist()
    for row, expected in zip(found["predictions"], probabilities):
        assert [each["probability"] for each in row["top"]] == pytest.approx(np.sort(expected)[::-1], abs=1e-6)


def test_below_the_threshold_it_is_unsure(model, pictures, probabilities):
    threshold = float(np.sort(probabilities.max(1))[10:12].mean())
    rows = json.loads(run(model, pictures, "--json", "--threshold", threshold).stdout)["predictions"]
    assert [row["label"] == "unsure" for row in rows] == (probabilities.max(1) < threshold).tolist()
    lines = run(model, pictures, "--threshold", threshold).stdout.splitlines()
    doubtful = [line for line in lines if line.startswith("unsure")]
    assert len(lines) == 30 and len(doubtful) == 11 and all("?" in line for line in doubtful)


def test_a_list_on_stdin_and_patterns(model, pictures):
    listed = run(model, "-", "--csv", stdin="".join(f"{pictures}/0000{i}.png\n" for i in (5, 3)))
    assert [row["path"] for row in csv.DictReader(io.StringIO(listed.stdout))] == [
        f"{pictures}/0000{i}.png" for i in (5, 3)]
    assert len(run(model, f"{pictures}/0001*.png").stdout.splitlines()) == 10


def test_unreadable_files_are_listed_at_the_end_and_stop_nothing(model, pictures, tmp_path):
    (tmp_path / "bad.png").write_text("no image")
    (tmp_path / "empty").mkdir()
    result = run(model, tmp_path / "bad.png", tmp_path / "empty", pictures / "00000.png", tmp_path / "gone.png", code=1)
    assert result.stdout.split() == [str(handed.evaluated()[0]), result.stdout.split()[1], "%",
                                     str(pictures / "00000.png")]
    assert result.stderr.splitlines() == [
        f"ssgan: no answer for {tmp_path}/bad.png: it is no image", f"ssgan: no answer for {tmp_path}/empty: there is "
                                                                    f"no image in this folder",
        f"ssgan: no answer for {tmp_path}/gone.png: there is no such file"]


def test_a_conversion_is_said_once_on_stderr(model, tmp_path):
    for name in ("a.png", "b.png"):
        Image.new("RGBA", (30, 20), (255, 0, 0, 99)).save(tmp_path / name)
    assert run(model, tmp_path).stderr.splitlines() == [
        f"ssgan: transparent parts become black (first: {tmp_path}/a.png)",
        f"ssgan: RGB colours are converted to grey (first: {tmp_path}/a.png)",
        f"ssgan: resized to 8x8 (first: {tmp_path}/a.png, 30x20)"]


def test_a_run_answers_as_its_export(pictures, monkeypatch):
    monkeypatch.chdir(handed.place())
    result = run("latest", pictures, "--csv", "--tracking-uri", "none")
    assert [int(row["label"]) for row in csv.DictReader(io.StringIO(result.stdout))] == handed.evaluated()[:30].tolist()


@pytest.mark.parametrize(("words", "said"), [
    (("gone.onnx", "x.png"), "gone.onnx: there is no such file; an exported classifier is a file.onnx"),
    (("text.onnx", "x.png"), "text.onnx cannot be read as a classifier: it is damaged or something else"),
    ((".", "x.png"), "is a folder without an MLmodel"),
    (("gone1", "x.png", "--tracking-uri", "none"), "there is no run yet"),
    (("text.onnx", "x.png", "--csv", "--json"), "choose one")])
def test_a_wrong_model_is_a_mistake(words, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("text.onnx").write_text("hello")
    result = run(*words, code=2)
    assert said in result.stderr and result.stdout == ""


def test_an_onnx_answer_comes_in_two_seconds_without_torch(model, pictures):
    program = """
import sys
from ssgan.cli import main
try:
    main(sys.argv[1:])
finally:
    heavy = {"torch", "torchvision", "mlflow", "sklearn", "scipy", "matplotlib", "pandas", "onnx"} & set(sys.modules)
    assert not heavy, heavy
"""
    seconds = []
    for _ in range(2):  # the second time without a cold disk
        began = time.monotonic()
        done = subprocess.run([sys.executable, "-c", program, "predict", str(model), str(pictures / "00000.png")],
                              capture_output=True, text=True, timeout=60)
        seconds.append(time.monotonic() - began)
        assert done.returncode == 0 and done.stdout.startswith(f"{handed.evaluated()[0]} "), done.stderr
    assert min(seconds) < 2
