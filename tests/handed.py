"""A finished small run on digits, trained once for all tests of what is handed over, and processes that have no
ssgan.
"""

import functools
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import small
from PIL import Image

from ssgan.config import override
from ssgan.experiments.member import Member
from ssgan.experiments.progress import Progress
from ssgan.experiments.run import Setting, run_group
from ssgan.export import write as export
from ssgan.export.model_card import card_of
from ssgan.recipes import read
from ssgan.tracking.workfolder import WorkFolder
from ssgan.training.trained_model import TrainedModel

RECIPE = override(read("digits").recipe, [
    "train.epochs=6", "model.widths=[60, 40]", "model.generator_widths=[20, 20]", "evaluate.supervised=false",
    "evaluate.classical=false", "pictures.steps=0"])
KEPT = tempfile.TemporaryDirectory(prefix="ssgan-tests-")  # until the tests end

# Put before a program: any import of ssgan fails in it, as on a machine that has none.
BLOCKER = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "ssgan":
            raise ModuleNotFoundError("there is no ssgan here", name=name)
sys.meta_path.insert(0, Blocker())
try:
    import ssgan
except ModuleNotFoundError:
    pass
else:
    sys.exit("ssgan is here")
"""


@functools.cache
def place() -> Path:
    """The folder in which `ssgan run` was typed: the run is under mlruns/work."""
    setting = Setting(Path(KEPT.name) / "mlruns" / "work", None, device="cpu", progress=Progress(quiet=True))
    run_group([Member(RECIPE, 0, 0, "digits")], small.digits(), setting, until="evaluate")
    return Path(KEPT.name)


def folder() -> WorkFolder:
    """The run's work folder."""
    found, = WorkFolder.all(place() / "mlruns" / "work")
    return found


def evaluated() -> np.ndarray:
    """What `ssgan evaluate` answered on the test images: [n]."""
    with np.load(folder().path / "evaluate" / "test.npz", allow_pickle=False) as saved:
        assert (saved["index"] == np.arange(len(saved["index"]))).all()
        return saved["probabilities"].argmax(1)


@functools.cache
def exported(kind: str) -> Path:
    """The run's classifier in a format, for tests that only read it."""
    path, trained = Path(KEPT.name) / {"onnx": "classifier.onnx", "pt2": "classifier.pt2", "mlflow": "classifier"}[
        kind], TrainedModel.of_run(folder())
    export.export_classifier(trained.discriminator(), card_of(trained), kind, path, images_of_test())
    return path


def images_of_test() -> np.ndarray:
    """The run's test images, uint8 [n, c, h, w]."""
    return small.digits().test.pixels.numpy()


def write_pictures(into: Path, images: np.ndarray) -> list[Path]:
    """The images [n, 1, h, w] as PNG files, named in their order."""
    paths = [into / f"{number:05}.png" for number in range(len(images))]
    for path, image in zip(paths, images):
        Image.fromarray(image[0]).save(path)
    return paths


def without_ssgan(program: str, *arguments: object) -> str:
    """The stdout of a program in an isolated process that cannot import ssgan."""
    done = subprocess.run([sys.executable, "-I", "-c", BLOCKER + program, *map(str, arguments)], capture_output=True,
                          text=True, timeout=120, cwd=tempfile.gettempdir())
    assert done.returncode == 0, done.stderr
    return done.stdout
