"""The paper's recipes for colour on made folders of images: from the first step to the served classifier."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cli.in_process import commands_in

CONV9 = ["--set", "model.widths=[4, 4, 4, 6, 6, 6, 6, 6, 6]", "--set", "model.generator_widths=[8, 6, 4]"]
IMAGENET = ["--set", "model.widths=[4, 4, 4, 5, 4, 6, 6, 9]", "--set", "model.latent=7", "--image-size", "32",
            "--set", "model.minibatch_kernels=4", "--set", "model.generator_widths=[8, 6, 4, 4]"]
RUNS = {"cifar10": CONV9, "svhn": CONV9, "imagenet128": IMAGENET}
SHORT = ["--set", "train.most_steps=6", "--set", "train.batch=10", "--set", "evaluate.supervised=false", "--set",
         "evaluate.classical=false", "--set", "evaluate.gan_off=false", "--set", "score.samples=20", "--set",
         "score.splits=2", "--set", "train.compile=no"]


def photos(folder: Path, channels: int = 3, side: int = 32) -> Path:
    """Three classes of made images in training and test folders, each class of another colour."""
    random = np.random.default_rng(0)
    for part, count in (("train", 12), ("test", 8)):
        for label in range(3):
            place = folder / part / f"class {label}"
            place.mkdir(parents=True)
            for number in range(count):
                image = random.integers(0, 120, (side, side, channels), np.uint8)
                image[..., label % channels] += 100
                Image.fromarray(image.squeeze()).save(place / f"{number}.png")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_a_paper_s_recipe_trains_goes_on_scores_and_is_handed_over(name, tmp_path):
    dataset = f"folder:{photos(tmp_path / 'photos')}"
    command = ["--recipe", f"salimans2016-{name}", "--dataset", dataset, "--labels", "12", *RUNS[name], *SHORT]
    with commands_in(tmp_path, light=True) as ssgan:
        trained = ssgan("train", *command, "--json")
        assert trained.exit_code == 0, trained.output
        done = ssgan("run", *command, "--json")
        assert done.exit_code == 0, done.output
        found = json.loads(done.stdout.splitlines()[-1])
        assert found["status"] == "FINISHED" and found["test_total"] == 24 and found["inception_score"] >= 1
        sheet = next(Path(found["folder"]).glob("train/samples-*.png"))
        with Image.open(sheet) as shown:
            assert shown.mode == "RGB"
        kinds = "onnx,pt2,mlflow" if name != "svhn" else "onnx,pt2"
        handed = ssgan("export", "latest", "--format", kinds, "-o", "handover")
        assert handed.exit_code == 0, handed.output
        assert ssgan("sample", "latest", "-n", "9", "-o", "sheet.png").exit_code == 0
        image = str(tmp_path / "photos/test/class 1/3.png")
        answers = [ssgan("predict", str(path), image, "--json") for path in sorted((tmp_path / "handover").iterdir())
                   if path.suffix in (".onnx", ".pt2")]
        assert answers and all(each.exit_code == 0 for each in answers), answers[0].output
        if "mlflow" in kinds:
            folder = next(path for path in (tmp_path / "handover").iterdir() if path.is_dir())
            example = json.loads((folder / "serving_input_example.json").read_text())
            assert np.array(example["inputs"]).shape == (2, 3, 32, 32)
            served(folder)


def served(folder: Path) -> None:
    """What MLflow's server makes of the example of a model, in a process of its own."""
    program = """
import sys
from mlflow.models import validate_serving_input
example = open(sys.argv[1] + "/serving_input_example.json").read()
print(*validate_serving_input(sys.argv[1], example).shape)
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program, str(folder)], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.split()[-3:] == ["2", "2", "3"], done.stdout + done.stderr


def test_what_does_not_fit_is_one_mistake_before_anything_is_written(tmp_path):
    small, grey = photos(tmp_path / "small", side=8), photos(tmp_path / "grey", channels=1, side=16)
    cases = [(small, "cifar10", CONV9, "9 pixels a side"), (small, "imagenet128", IMAGENET[:-1] + [
        "model.generator_widths=[8, 6, 4, 4, 3, 2, 2]"], "double a map"),
        (small, "cifar10", ["--set", "model.widths=[4, 4]"], "9 convolutions"),
        (small, "cifar10", ["--set", "colours=grey"], "for grey images")]
    with commands_in(tmp_path) as ssgan:
        for folder, name, options, told in cases:
            done = ssgan("run", "--recipe", f"salimans2016-{name}", "--dataset", f"folder:{folder}", *SHORT, *options)
            assert done.exit_code == 2 and told in done.stderr, done.output
        done = ssgan("train", "--recipe", "salimans2016-cifar10", "--dataset", f"folder:{grey}", *SHORT, *CONV9,
                     "--set", "train.most_steps=1")
        assert done.exit_code == 0 and "grey images, each taken three times" in done.stderr, done.output
