"""The hand-over: three formats that answer as the original does, in processes without ssgan, and what is refused."""

import dataclasses
import json
import time
import zipfile
from pathlib import Path

import handed
import numpy as np
import pytest
import small
import torch

from ssgan.config import override
from ssgan.data.named import load
from ssgan.errors import Failed, Mistake
from ssgan.experiments.member import Member
from ssgan.experiments.progress import Progress
from ssgan.experiments.run import Setting, run_group
from ssgan.export import write as export
from ssgan.export.classifier import Classifier, Stacked, fold
from ssgan.export.load import open_model
from ssgan.export.model_card import Card, card_of
from ssgan.models import build_discriminator
from ssgan.models.context import Context
from ssgan.models.weight_norm import WeightNorm
from ssgan.random_streams import torch_generator
from ssgan.recipes import read
from ssgan.training.trained_model import TrainedModel

NAMES = {"onnx": "classifier.onnx", "pt2": "classifier.pt2", "mlflow": "classifier"}

ONNX = """
import numpy, onnxruntime, sys
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
for n in (1, 7, 360):
    logits, probabilities = session.run(["logits", "probabilities"], {"images": numpy.load(sys.argv[2])[:n]})
assert not {"torch", "mlflow", "sklearn"} & set(sys.modules)
numpy.savez(sys.argv[3], logits=logits, probabilities=probabilities)
"""
PT2 = """
import json, numpy, sys, torch
files = {"ssgan.json": ""}
module = torch.export.load(sys.argv[1], extra_files=files).module()
assert json.loads(files["ssgan.json"])["classes"] == list("0123456789")
for n in (1, 7, 360):
    logits, probabilities = module(torch.from_numpy(numpy.load(sys.argv[2])[:n]))
assert not {"mlflow", "sklearn", "onnxruntime"} & set(sys.modules)
numpy.savez(sys.argv[3], logits=logits.numpy(), probabilities=probabilities.numpy())
"""
MLFLOW = """
import mlflow, numpy, os, sys
os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
model = mlflow.pyfunc.load_model(sys.argv[1])
for n in (1, 7, 360):
    both = model.predict(numpy.load(sys.argv[2])[:n])
numpy.savez(sys.argv[3], logits=both[:, 0], probabilities=both[:, 1])
"""
ALONE = {"onnx": ONNX, "pt2": PT2, "mlflow": MLFLOW}


@pytest.fixture(scope="module")
def original() -> tuple[np.ndarray, np.ndarray]:
    """The small run's logits and probabilities on its test images, as the training's own module gives them."""
    discriminator = TrainedModel.of_run(handed.folder()).discriminator()
    with torch.no_grad():
        logits = discriminator(torch.from_numpy(handed.images_of_test()).float() / 255, Context())[0]
    return logits.numpy(), logits.double().softmax(1).numpy()


def answer(kind: str, model: Path, work: Path) -> tuple[np.ndarray, np.ndarray]:
    """Logits and probabilities of the test images by a process without ssgan."""
    np.save(work / "images.npy", handed.images_of_test())
    handed.without_ssgan(ALONE[kind], model, work / "images.npy", work / "answers.npz")
    with np.load(work / "answers.npz") as saved:
        return saved["logits"], saved["probabilities"]


@pytest.mark.parametrize("kind", ["onnx", "pt2", pytest.param("mlflow", marks=pytest.mark.slow)])
def test_a_process_without_ssgan_gives_the_evaluated_answers(kind, original, tmp_path):
    logits, probabilities = answer(kind, handed.exported(kind), tmp_path)
    assert (logits.argmax(1) == handed.evaluated()).all()
    np.testing.assert_allclose(logits, original[0], atol=1e-4)
    np.testing.assert_allclose(probabilities, original[1], atol=1e-5)
    assert len(set(handed.evaluated())) == 10, "the small run is to know all classes, or the comparison says little"


@pytest.mark.parametrize("kind", NAMES)
def test_an_export_carries_its_card(kind):
    run, card = handed.folder(), open_model(handed.exported(kind)).card
    assert (card.classes, card.shape, card.colour) == (tuple("0123456789"), (1, 8, 8), "grey")
    assert (card.dataset, card.labels, card.run_id) == ("digits", 100, run.fingerprint)
    assert card.test_error == run.facts["result"]["evaluation"]["error"]


@pytest.mark.parametrize("kind", NAMES)
def test_an_export_names_no_file_of_this_machine_and_no_class_of_ssgan(kind):
    files = [path for path in [handed.exported(kind), *(handed.exported(kind)).rglob("*")] if path.is_file()]
    texts = [path.read_bytes() for path in files]
    for path in files:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                texts += [archive.read(name) for name in archive.namelist()]
    for word in (b"site-packages", str(Path(export.__file__).parents[2]).encode(), b"ssgan.models", b"Discriminator"):
        assert not any(word in text for text in texts), word


def test_onnx_takes_any_number_of_plain_images():
    import onnx

    model = onnx.load(handed.exported("onnx"))
    onnx.checker.check_model(model)
    sizes = {value.name: [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim]
             for value in (*model.graph.input, *model.graph.output)}
    assert sizes == {"images": ["n", 1, 8, 8], "logits": ["n", 10], "probabilities": ["n", 10]}
    assert model.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert not any(tensor.external_data for tensor in model.graph.initializer)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(metadata["ssgan.classes"]) == list("0123456789") and metadata["ssgan.dataset"] == "digits"


def test_the_mlflow_model_has_signature_example_and_pinned_requirements_and_no_pickle():
    import mlflow

    folder = handed.exported("mlflow")
    model = mlflow.models.Model.load(str(folder))
    assert [(spec.type.name, spec.shape) for spec in model.signature.inputs] == [("uint8", (-1, 1, 8, 8))]
    assert [spec.shape for spec in model.signature.outputs] == [(-1, 2, 10)]
    assert np.array(json.loads((folder / "serving_input_example.json").read_text())["inputs"]).shape == (2, 1, 8, 8)
    requirements = (folder / "requirements.txt").read_text().split()
    assert {line.partition("==")[0] for line in requirements} == {"mlflow", "torch", "numpy"}
    assert all("==" in line and "+" not in line for line in requirements)
    assert model.model_size_bytes == pytest.approx(export.size(folder), abs=200)  # the figure's own digits
    assert not [path for path in folder.rglob("*") if path.suffix in (".pth", ".pkl", ".py")]


@pytest.mark.parametrize("recipe", [small.MLP, small.CONV], ids=["mlp", "conv"])
def test_folding_keeps_the_answers_and_leaves_plain_layers(recipe):
    discriminator = build_discriminator(recipe.model, (3, 6, 8), 4, torch_generator(3)).double()
    x = torch.rand(50, 3, 6, 8, dtype=torch.float64, generator=torch_generator(4))
    discriminator.initialise(x, Context())
    with torch.no_grad():
        before = discriminator(x, Context())[0]
        folded = fold(discriminator)
        torch.testing.assert_close(folded(x, Context())[0], before, rtol=1e-10, atol=1e-10)
    assert not any(isinstance(module, WeightNorm) for module in folded.modules())
    assert any(isinstance(module, WeightNorm) for module in discriminator.modules()), "the original stays as it is"


def test_the_classifier_scales_bytes_and_gives_probabilities():
    classifier = Classifier(build_discriminator(small.MLP.model, (2, 6, 8), 4, torch_generator(3)))
    images = torch.randint(0, 256, (5, 2, 6, 8), dtype=torch.uint8, generator=torch_generator(4))
    logits, probabilities = classifier(images)
    torch.testing.assert_close(logits, classifier.network(images / 255, Context())[0])
    torch.testing.assert_close(probabilities, logits.exp() / logits.exp().sum(1, keepdim=True))
    torch.testing.assert_close(Stacked(classifier)(images), torch.stack((logits, probabilities), 1))


@pytest.mark.parametrize("kind", ["onnx", "pt2"])
def test_a_convolutional_classifier_of_colour_images_is_exported(kind, tmp_path):
    discriminator, card = conv(), Card(("a", "b", "c", "d"), 3, 6, 8, "small", 8, None, "none", "0")
    path = tmp_path / NAMES[kind]
    agreement = export.export_classifier(discriminator, card, kind, path, export.random_images(card, 1200))
    assert agreement.sound and agreement.images == 1200 and open_model(path).card == card


def conv() -> torch.nn.Module:
    """A discriminator of colour images, after its initialisation."""
    discriminator = build_discriminator(small.CONV.model, (3, 6, 8), 4, torch_generator(3))
    discriminator.initialise(torch.rand(50, 3, 6, 8, generator=torch_generator(4)), Context())
    return discriminator


CARD = Card(("a", "b", "c", "d"), 3, 6, 8, "small", 8, 0.25, "run", "0")


@pytest.mark.parametrize("change", [0.5, float("nan")])
def test_an_export_that_answers_otherwise_is_not_written(change, tmp_path, monkeypatch):
    def write_wrong(classifier, card, path):
        classifier.network.output.bias[0] += change
        real.write(classifier, card, path)

    real = export.FORMATS["pt2"]
    monkeypatch.setitem(export.FORMATS, "pt2", dataclasses.replace(real, write=write_wrong))
    with pytest.raises(Failed, match="agrees with the original on"):
        export.export_classifier(conv(), CARD, "pt2", tmp_path / "x.pt2", export.random_images(CARD))
    assert list(tmp_path.iterdir()) == []


def test_the_comparison_counts_and_measures():
    discriminator, images = conv(), export.random_images(CARD, 30)
    logits, probabilities = (each.numpy() for each in Classifier(discriminator)(torch.from_numpy(images)))
    swapped = logits.copy()
    swapped[0] = swapped[0][::-1]

    class Model:
        card = CARD

        def __init__(self):
            self.done = 0

        def answer(self, part):
            rows = slice(self.done, self.done + len(part))
            self.done += len(part)
            return swapped[rows], probabilities[rows] + 0.125

    agreement = export.compare(discriminator, Model(), images)
    assert (agreement.images, agreement.equal, agreement.sound) == (30, 29, False)
    assert agreement.logits == pytest.approx(np.abs(swapped - logits).max(), rel=1e-5)
    assert agreement.probabilities == pytest.approx(0.125, abs=1e-5)
    probabilities[3] = np.nan
    assert not export.compare(discriminator, Model(), images).sound


def test_a_path_that_exists_is_replaced_by_force_alone(tmp_path):
    for kind, name in (("pt2", "x.pt2"), ("mlflow", "x")):
        path = tmp_path / name
        export.export_classifier(conv(), CARD, kind, path, export.random_images(CARD, 10))
        with pytest.raises(Mistake, match="exists already; type --force"):
            export.export_classifier(conv(), CARD, kind, path, export.random_images(CARD, 10))
        new = dataclasses.replace(CARD, labels=4000)
        export.export_classifier(conv(), new, kind, path, export.random_images(CARD, 10), force=True)
        assert open_model(path).card == new
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x", "x.pt2"]


def test_force_replaces_nothing_that_is_no_export(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.png").write_bytes(b"dear")
    with pytest.raises(Mistake, match="no MLflow model"):
        export.export_classifier(conv(), CARD, "mlflow", tmp_path / "photos", export.random_images(CARD, 10),
                                 force=True)
    (tmp_path / "x.onnx").mkdir()
    with pytest.raises(Mistake, match="is a folder"):
        export.export_classifier(conv(), CARD, "onnx", tmp_path / "x.onnx", export.random_images(CARD, 10), force=True)
    assert (tmp_path / "photos" / "one.png").read_bytes() == b"dear"


@pytest.mark.parametrize(("kind", "path", "said"), [
    ("onnx", "nowhere/x.onnx", "there is no folder"),
    ("onnx", "x.pt2", "makes a file that ends in .onnx; try -o .*x.pt2.onnx"),
    ("pt2", "v1.2", "try -o .*v1.2.pt2"),
    ("mlflow", "x.onnx", "makes a folder; try -o .*x"),
    ("pt2", "/proc/x.pt2", "/proc")])
def test_a_place_that_cannot_be_written_is_a_mistake(kind, path, said, tmp_path):
    with pytest.raises(Mistake, match=said):
        export.export_classifier(conv(), CARD, kind, tmp_path / path, export.random_images(CARD, 10))
    assert list(tmp_path.iterdir()) == []


def test_a_discriminator_that_couples_a_batch_is_refused(tmp_path):
    discriminator = conv()
    discriminator.hidden[0].couples_batch = True
    with pytest.raises(Mistake, match="couples the images of a batch"):
        export.export_classifier(discriminator, CARD, "pt2", tmp_path / "x.pt2", export.random_images(CARD, 10))
    assert list(tmp_path.iterdir()) == []


def test_without_the_packages_for_onnx_the_cure_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(Mistake, match=r"onnx and onnxscript and onnxruntime: pip install onnx onnxscript onnxruntime"):
        export.export_classifier(conv(), CARD, "onnx", tmp_path / "x.onnx", export.random_images(CARD, 10))


@pytest.mark.slow
def test_the_papers_perceptron_is_under_8_mb_and_as_fast_as_torch(tmp_path):
    discriminator = build_discriminator(read("salimans2016-mnist").recipe.model, (1, 28, 28), 10, torch_generator(0))
    card = dataclasses.replace(CARD, classes=tuple("0123456789"), channels=1, height=28, width=28)
    discriminator.initialise(torch.rand(500, 1, 28, 28, generator=torch_generator(1)), Context())
    export.export_classifier(discriminator, card, "onnx", tmp_path / "x.onnx", export.random_images(card))
    assert (tmp_path / "x.onnx").stat().st_size < 8e6
    images, model, classifier = export.random_images(card), open_model(tmp_path / "x.onnx"), Classifier(discriminator)
    tensor = torch.from_numpy(images)
    times = {"onnx": [], "torch": []}
    for _ in range(40):  # side by side, so that both meet the same company; so often that each has a quiet moment
        for name, run in (("onnx", lambda: model.answer(images)), ("torch", lambda: classifier(tensor))):
            began = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - began)
    assert min(times["onnx"]) <= min(times["torch"]), times


@pytest.mark.slow
@pytest.mark.mnist
def test_mnist_from_one_run_three_exports_answer_as_evaluated(tmp_path, data_dir):
    recipe = override(read("mnist").recipe, ["train.epochs=0.05", "contrastive.steps=2", "contrastive.grouping_steps=2",
                                             "evaluate.supervised=false", "evaluate.classical=false"])
    dataset = load("mnist", data_dir)
    folder, = run_group([Member(recipe, 0, 0, "mnist")], dataset,
                        Setting(tmp_path / "work", None, device="cpu", progress=Progress(quiet=True)), until="evaluate")
    with np.load(folder.path / "evaluate" / "test.npz") as saved:
        evaluated = saved["probabilities"].argmax(1)
    trained, images = TrainedModel.of_run(folder), dataset.test.pixels.numpy()
    np.save(tmp_path / "images.npy", images)
    for kind, name in NAMES.items():
        export.export_classifier(trained.discriminator(), card_of(trained), kind, tmp_path / name, images)
        handed.without_ssgan(ALONE[kind].replace("360", "10000"), tmp_path / name, tmp_path / "images.npy",
                             tmp_path / "answers.npz")
        with np.load(tmp_path / "answers.npz") as saved:
            assert (saved["logits"].argmax(1) == evaluated).all(), kind
    assert (tmp_path / NAMES["onnx"]).stat().st_size < 8e6
