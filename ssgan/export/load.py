"""Exported classifiers, opened each by its own runtime: ONNX by onnxruntime, pt2 by torch, a folder by MLflow."""

import json
import os
import stat
import warnings
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ssgan.errors import Mistake
from ssgan.export.model_card import Card, foreign, of_strings, of_table
from ssgan.files import reading

CARD_FILE = "ssgan.json"  # in a .pt2 archive
PACKAGES = {"yaml": "pyyaml"}  # of modules that are not called like theirs
EXPORTS = "an exported classifier is a file.onnx, a file.pt2 or a folder with an MLmodel in it"


@dataclass(frozen=True)
class Model:
    """A classifier that is ready: `answer(images uint8 [n, c, h, w])` gives float32 (logits [n, k], probabilities [n,
    k]).
    """

    card: Card
    answer: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def is_export(text: str) -> bool:
    """Whether a word on the command line names an exported classifier, there or not, rather than a run."""
    return os.path.lexists(text) or Path(text).suffix.lower() in OPENERS or os.sep in text


def open_model(path: Path) -> Model:
    """The exported classifier at a path. Raises Mistake."""
    with reading(path):
        try:
            folder = stat.S_ISDIR(path.stat().st_mode)
        except (FileNotFoundError, NotADirectoryError):
            raise Mistake(f"{path}: there is no such file; {EXPORTS}.") from None
        for file in path.rglob("*") if folder else [path]:
            if not file.is_dir():
                file.open("rb").close()  # what may not be read is not to be taken for damaged
    if folder:
        if not (path / "MLmodel").exists():
            raise Mistake(f"{path} is a folder without an MLmodel; {EXPORTS}.")
        return _open_mlflow(path)
    opener = OPENERS.get(path.suffix.lower())
    if opener is None:
        raise Mistake(f"{path} is no exported classifier, by its name; {EXPORTS}.")
    return opener(path)


def _open_onnx(path: Path) -> Model:
    try:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as faults
    except ImportError as error:
        raise _missing(path, error) from None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what is wrong is said once, by us
    options.intra_op_num_threads = len(os.sched_getaffinity(0))
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except (faults.InvalidProtobuf, faults.InvalidArgument, faults.InvalidGraph, faults.Fail, faults.NotImplemented,
            faults.RuntimeException, faults.NoSuchFile, RuntimeError) as error:
        raise _damaged(path, str(error)) from None
    card = of_strings(session.get_modelmeta().custom_metadata_map, str(path))
    inputs = [(each.type, list(each.shape[1:])) for each in session.get_inputs()]
    names = [each.name for each in session.get_outputs()]
    if inputs != [("tensor(uint8)", list(card.shape))] or names != ["logits", "probabilities"]:
        raise foreign(str(path))
    name = session.get_inputs()[0].name
    return Model(card, lambda images: tuple(session.run(names, {name: images})))


def _open_pt2(path: Path) -> Model:
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # torch does not look at the check sums
            texts = [archive.read(name) for name in archive.namelist() if name.endswith(f"extra/{CARD_FILE}")]
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError) as error:
        raise _damaged(path, str(error)) from None
    if damaged:
        raise _damaged(path, damaged)
    if not texts:
        raise foreign(str(path))
    try:
        card = of_table(json.loads(texts[0]), str(path))
    except ValueError:
        raise foreign(str(path)) from None
    try:
        import torch

        module = torch.export.load(path).module()
    except ImportError as error:
        raise _missing(path, error) from None
    except (RuntimeError, ValueError, KeyError, AttributeError, TypeError, AssertionError) as error:
        raise _damaged(path, str(error)) from None

    def answer(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with torch.no_grad():
            return tuple(each.numpy() for each in module(torch.from_numpy(images)))

    return Model(card, answer)


def _open_mlflow(path: Path) -> Model:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")  # of a model from elsewhere too
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's about itself
        try:
            import mlflow
            from mlflow.exceptions import MlflowException
            from yaml import YAMLError
        except ImportError as error:
            raise _missing(path, error) from None
        try:
            card = of_table((mlflow.models.Model.load(str(path)).metadata or {}).get("ssgan"), str(path))
            model = mlflow.pyfunc.load_model(str(path))
        except ImportError as error:
            raise _missing(path, error) from None
        except (MlflowException, YAMLError, OSError, RuntimeError, ValueError, KeyError, AttributeError,
                TypeError) as error:
            raise _damaged(path, str(error)) from None

    def answer(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        both = model.predict(images)  # [n, 2, k]: MLflow lets a torch model answer with one tensor only
        return both[:, 0], both[:, 1]

    return Model(card, answer)


def _missing(path: Path, error: ImportError) -> Mistake:
    return Mistake(f"{path} needs the package {error.name}, which is not installed: pip install "
                   f"{PACKAGES.get(error.name, error.name)}")


def _damaged(path: Path, found: str) -> Mistake:
    reason = (found.splitlines() or ["nothing more is known"])[0]
    return Mistake(f"{path} cannot be read as a classifier: it is damaged or something else ({reason[:160]}).\nExport "
                   f"it anew: ssgan export RUN")


OPENERS = {".onnx": _open_onnx, ".pt2": _open_pt2}
