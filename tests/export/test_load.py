"""Exported classifiers opened by their runtimes, and every damaged or foreign file as a mistake."""

import shutil
import sys
import zipfile
from pathlib import Path

import handed
import numpy as np
import pytest

from ssgan.errors import Mistake
from ssgan.export.load import Model, open_model


def foreign_onnx(path: Path) -> Path:
    """A sound ONNX file that somebody else made."""
    from onnx import TensorProto, helper, save

    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "other", values[:1], values[1:])
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_files_that_are_no_export_are_mistakes(tmp_path):
    whole = handed.exported("onnx").read_bytes()
    contents = {"text.onnx": b"hello", "empty.onnx": b"", "half.onnx": whole[: len(whole) // 2], "text.pt2": b"hello",
                "empty.pt2": b""}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(Mistake, match=f"{name} cannot be read as a classifier"):
            open_model(tmp_path / name)
    with pytest.raises(Mistake, match="other.onnx was not written by `ssgan export`"):
        open_model(foreign_onnx(tmp_path / "other.onnx"))
    with zipfile.ZipFile(tmp_path / "other.pt2", "w") as archive:
        archive.writestr("other/version", "3")
    with pytest.raises(Mistake, match="other.pt2 was not written"):
        open_model(tmp_path / "other.pt2")
    (tmp_path / "empty").mkdir()
    (tmp_path / "model.pkl").write_bytes(b"x")
    for name, said in (("gone.onnx", "there is no such file"), ("model.pkl", "no exported classifier, by its name"),
                       ("empty", "a folder without an MLmodel")):
        with pytest.raises(Mistake, match=said):
            open_model(tmp_path / name)


def test_an_onnx_file_whose_card_lies_is_refused(tmp_path):
    import onnx

    model = onnx.load(handed.exported("onnx"))
    for entry in model.metadata_props:
        if entry.key == "ssgan.height":
            entry.value = "28"
    onnx.save(model, tmp_path / "lie.onnx")
    with pytest.raises(Mistake, match="lie.onnx was not written"):
        open_model(tmp_path / "lie.onnx")


def test_a_damaged_pt2_file_is_a_mistake(tmp_path):
    content = bytearray(handed.exported("pt2").read_bytes())
    with zipfile.ZipFile(handed.exported("pt2")) as archive:
        weights = max(archive.infolist(), key=lambda entry: entry.file_size)
    content[weights.header_offset + weights.file_size // 2] ^= 1
    (tmp_path / "flipped.pt2").write_bytes(content)
    with pytest.raises(Mistake, match="flipped.pt2 cannot be read"):
        open_model(tmp_path / "flipped.pt2")
    (tmp_path / "half.pt2").write_bytes(content[: len(content) // 2])
    with pytest.raises(Mistake, match="half.pt2 cannot be read"):
        open_model(tmp_path / "half.pt2")


def test_a_damaged_or_foreign_mlflow_folder_is_a_mistake(tmp_path):
    for name, damage, said in (
            ("no-data", lambda folder: shutil.rmtree(folder / "data"), "cannot be read as a classifier"),
            ("no-yaml", lambda folder: (folder / "MLmodel").write_text("{: ["), "cannot be read as a classifier"),
            ("other", lambda folder: (folder / "MLmodel").write_text("flavors: {sklearn: {}}\nmodel_uuid: x\n"),
             "was not written by")):
        shutil.copytree(handed.exported("mlflow"), tmp_path / name)
        damage(tmp_path / name)
        with pytest.raises(Mistake, match=said):
            open_model(tmp_path / name)


def test_without_its_runtime_a_file_says_what_to_install(monkeypatch):
    path = handed.exported("onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(Mistake, match=r"needs the package onnxruntime, which is not installed: pip install "
                                      "onnxruntime$"):
        open_model(path)


def test_a_model_is_a_card_and_an_answer():
    model = open_model(handed.exported("onnx"))
    assert isinstance(model, Model)
    for n in (1, 3):
        logits, probabilities = model.answer(handed.images_of_test()[:n])
        assert logits.shape == probabilities.shape == (n, 10) and logits.dtype == probabilities.dtype == np.float32
        np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
