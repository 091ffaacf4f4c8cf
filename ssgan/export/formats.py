"""The formats of a handed-over classifier, and how each is written: ONNX, torch's pt2, an MLflow model."""

import importlib.util
import json
import logging
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch
from torch import nn
from torch.export import ExportedProgram

from ssgan.errors import Mistake
from ssgan.export.classifier import Classifier, Stacked
from ssgan.export.load import CARD_FILE
from ssgan.export.model_card import Card


@dataclass(frozen=True)
class Format:
    """How a format's files are called, and what writes one."""

    ending: str  # of the file's name; empty: a folder
    write: Callable[[Classifier, Card, Path], None]


def write_onnx(classifier: Classifier, card: Card, path: Path) -> None:
    """One ONNX file with the weights in it and the card as its metadata. Raises Mistake without the packages."""
    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if importlib.util.find_spec(name) is None]
    if missing:
        raise Mistake(f"--format onnx needs the package {' and '.join(missing)}: pip install {' '.join(missing)}")
    batch = {0: torch.export.Dim("n")}
    program = torch.onnx.export(_trace(classifier, card), dynamo=True, verbose=False, input_names=["images"],
                                output_names=["logits", "probabilities"], dynamic_shapes=(batch,))
    for node in program.model.graph:
        node.metadata_props.clear()  # of the way it was traced
    program.model.metadata_props.update(card.strings())
    program.save(path, external_data=False)


def write_pt2(classifier: Classifier, card: Card, path: Path) -> None:
    """A program of torch.export with the card as an extra file; no Python class is in it."""
    torch.export.save(_trace(classifier, card), path, extra_files={CARD_FILE: json.dumps(card.table(), indent=1)})


def write_mlflow(classifier: Classifier, card: Card, path: Path) -> None:
    """An MLflow model folder: pt2, signature, an example of two images, pinned requirements. It answers [n, 2, k], see
    `Stacked`.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's about itself
        import mlflow
        import numpy
        from mlflow.models import Model, ModelSignature
        from mlflow.types import Schema, TensorSpec

        logging.getLogger("mlflow").setLevel(logging.WARNING)
        images = TensorSpec(numpy.dtype("uint8"), (-1, *card.shape))
        answers = TensorSpec(numpy.dtype("float32"), (-1, 2, len(card.classes)))
        stacked = Stacked(classifier)
        mlflow.pytorch.save_model(
            stacked, str(path), serialization_format="pt2", signature=ModelSignature(
                Schema([images]), Schema([answers])),
            input_example=_example(card).numpy(), metadata={"ssgan": card.table()},
            pip_requirements=[f"{name}=={version(name).partition('+')[0]}" for name in ("mlflow", "torch", "numpy")])
        # MLflow's own trace names the files of this machine.
        torch.export.save(_trace(stacked, card), path / "data" / "model.pt2")
        model = Model.load(str(path))
        model.model_size_bytes = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
        model.save(str(path / "MLmodel"))


FORMATS = {"onnx": Format(".onnx", write_onnx), "pt2": Format(".pt2", write_pt2), "mlflow": Format("", write_mlflow)}


def _trace(module: nn.Module, card: Card) -> ExportedProgram:
    """The module as torch.export's program for any number of images, without the names of this machine's files."""
    program = torch.export.export(module, (_example(card),), dynamic_shapes=({0: torch.export.Dim("n", min=1)},))
    for node in program.graph.nodes:
        for key in ("stack_trace", "nn_module_stack", "source_fn_stack", "torch_fn", "from_node"):
            node.meta.pop(key, None)
    return program


def _example(card: Card) -> torch.Tensor:
    """Two images: with one, torch would fix the size of the batch."""
    return torch.randint(0, 256, (2, *card.shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
