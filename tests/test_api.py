"""The public names: lazy, complete, and enough for a notebook, as README's examples show, which are run here."""

import os
import re
import subprocess
import sys
from pathlib import Path

import handed
import numpy as np
import pytest
import small

import ssgan
from ssgan.evaluation import domain_classifier
from ssgan.export.load import open_model
from ssgan.training import in_memory

ROOT = Path(ssgan.__file__).parent.parent
EXAMPLES = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"),
                      re.MULTILINE | re.DOTALL)
SLOW = "SSGANClassifier("  # trains the whole recipe


def test_importing_ssgan_imports_nothing_else():
    program = ("import sys, ssgan; print(*sorted(name for name in sys.modules if name.startswith(('ssgan', 'torch', "
               "'numpy', 'sklearn', 'mlflow'))))")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert done.stdout.split() == ["ssgan"], done.stderr


def test_every_public_name_is_there_and_said():
    for name in ssgan.__all__:
        assert getattr(ssgan, name) is not None and name in dir(ssgan)
        assert name == "__version__" or getattr(ssgan, name).__doc__
    with pytest.raises(AttributeError, match="module 'ssgan' has no attribute 'trian'"):
        ssgan.trian  # noqa: B018
    assert not hasattr(ssgan, "__path_of_something__")


def test_no_public_name_hides_a_module():
    modules = {path.stem for path in (ROOT / "ssgan").glob("*.py")} | {
        path.parent.name for path in (ROOT / "ssgan").glob("*/__init__.py")}
    assert not modules & set(ssgan.__all__)


def test_from_data_to_an_exported_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    seen = []
    data = ssgan.load_data("digits")
    recipe = ssgan.read_recipe("digits", "train.epochs=8", "model.widths=[60, 40]", "model.generator_widths=[20, 20]",
                               "pictures.steps=0", labels=50)
    split = ssgan.make_split(data, recipe, seed=3)
    model = ssgan.train(recipe, data, split, seed=3, device="cpu",
                        callback=lambda step, values: seen.append((step, values)))
    assert (recipe.labels, len(split.labelled)) == (50, 50)
    assert ([step for step, _ in seen] == [100, 200, 224]
            and all(np.isfinite(list(values.values())).all() for _, values in seen))
    assert {"labelled_loss", "generator_loss"} <= set(seen[0][1])
    found = ssgan.evaluate(model, data)
    assert found.total == 360 and found.error < 0.4
    agreement = ssgan.export_model(model, tmp_path / "digits.pt2", data)
    assert agreement.sound and agreement.images == 360
    exported = open_model(tmp_path / "digits.pt2")
    assert (exported.answer(data.test.pixels.numpy())[1].argmax(1) == found.predictions).all()
    assert (exported.card.labels, exported.card.test_error, exported.card.dataset) == (50, found.error, "digits")
    assert ssgan.export_model(model, "without-data.pt2").images == 1000
    assert sorted(os.listdir()) == ["digits.pt2", "without-data.pt2"]


def test_training_twice_gives_the_same_weights():
    recipe = ssgan.read_recipe("digits", "train.epochs=0.5", "model.widths=[20, 10]", "train.precision=fp32",
                               "pictures.steps=0")
    data = ssgan.load_data("digits")
    first, second = (ssgan.train(recipe, data, ssgan.make_split(data, recipe), device="cpu") for _ in range(2))
    assert all(value.equal(second.weights["discriminator"][name])
               for name, value in first.weights["discriminator"].items())


def test_the_score_of_a_generator(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setitem(domain_classifier.SETTINGS, "most_steps", 2)
    model = ssgan.load_run(folder=handed.place() / "mlruns" / "work", tracking_uri="none")
    found = ssgan.score(model, small.digits(), device="cpu")
    assert 1 <= found.inception_score <= 10 and 1 <= found.real.inception_score <= 10
    assert found.fid == found.frechet_distance > found.real.fid and list(found.generators) == ["generator"]


def test_a_run_comes_back_as_it_was_evaluated():
    model = ssgan.load_run(handed.folder().fingerprint[:6], folder=handed.place() / "mlruns" / "work",
                           tracking_uri="none")
    assert (ssgan.evaluate(model, small.digits()).predictions == handed.evaluated()).all()
    assert model.run_id == handed.folder().fingerprint and model.recipe == handed.RECIPE
    with pytest.raises(ssgan.Mistake, match="no run is called 'nothing'"):
        ssgan.load_run("nothing", folder=handed.place() / "mlruns" / "work", tracking_uri="none")


def test_a_split_of_other_data_is_a_mistake():
    data = ssgan.load_data("digits")
    with pytest.raises(ssgan.Mistake, match="the split was made from"):
        ssgan.train(handed.RECIPE, small.dataset(), ssgan.make_split(data, handed.RECIPE))


def test_a_loss_that_is_not_finite_ends_the_training(monkeypatch):
    class Broken(in_memory.Trainer):
        def step(self):
            super().step()
            if self.done == 3:
                small.spoil(self, 0)

    monkeypatch.setattr(in_memory, "Trainer", Broken)
    data = ssgan.load_data("digits")
    with pytest.raises(ssgan.Failed, match=r"loss was not finite at step \d; try a smaller step, train.learning_rate = "
                                           r"0.001"):
        ssgan.train(handed.RECIPE, data, ssgan.make_split(data, handed.RECIPE), device="cpu")


def test_readme_shows_the_api_and_the_estimator():
    assert any("ssgan.load_data" in text for text in EXAMPLES) and any(SLOW in text for text in EXAMPLES)


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_of_readme_runs(example, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    exec(compile(example, "README.md", "exec"), {"__name__": "__main__"})
