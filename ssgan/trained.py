"""`Trained`: a trained pair of networks with what it was made from, read from a run's work folder or trained here."""

import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from torch import Tensor, nn

from ssgan import training
from ssgan.config import Recipe, build
from ssgan.data.images import Images
from ssgan.data.splits import Split
from ssgan.errors import Failed, Mistake
from ssgan.models import build_discriminator, build_generator
from ssgan.predict.card import Card
from ssgan.resolve import pinned
from ssgan.seeds import torch_generator
from ssgan.stages import load_model
from ssgan.tracking import run_ids
from ssgan.trainer import Trainer, resolved_for
from ssgan.workfolder import WorkFolder


@dataclass(frozen=True, eq=False)
class Trained:
    """The weights of a pair, on the CPU, and what they were trained with."""

    recipe: Recipe
    seed: int
    shape: tuple[int, int, int]  # of an image: c, h, w
    classes: tuple[str, ...]
    weights: dict[str, dict[str, Tensor]]  # state dicts: discriminator (averaged), generator_average, generator_last
    run_id: str = ""
    test_error: float | None = None

    def discriminator(self) -> nn.Module:
        """The discriminator with averaged weights: module(x in [0, 1], Context()) -> (logits, features)."""
        return _filled(build_discriminator(self.recipe.model, self.shape, len(self.classes), torch_generator(0)), self.weights["discriminator"])

    def generator(self, *, average: bool = True) -> nn.Module:
        """The generator with averaged or last weights: module(latent [n, z]) -> images [n, c, h, w]."""
        weights = self.weights["generator_average" if average else "generator_last"]
        return _filled(build_generator(self.recipe.model, self.shape, torch_generator(0)), weights)

    def card(self) -> Card:
        """What the exported classifier says of itself."""
        return Card(self.classes, *self.shape, self.recipe.dataset, self.recipe.labels, self.test_error, self.run_id, _version())


def of_run(folder: WorkFolder) -> Trained:
    """The trained pair of a run. Raises Mistake for a run without a trained classifier."""
    model, facts = load_model(folder), folder.facts
    if "settings" not in facts:
        raise Mistake(f"{folder.path} has no settings of a run: it carries a report, or was made by something else.")
    recipe = build(facts["settings"]["recipe"], f"the settings of {facts.get('name')}")
    ids = run_ids(folder)
    return Trained(recipe, facts["seed"], tuple(model["shape"]), tuple(model["classes"]),
                   {name: model[name] for name in ("discriminator", "generator_average", "generator_last")},
                   ids[-1] if ids else folder.fingerprint, facts.get("result", {}).get("evaluation", {}).get("error"))


def train(recipe: Recipe, images: Images, split: Split, seed: int = 0, *, device: str = "auto",
          callback: Callable[[int, dict[str, float]], object] = lambda step, values: None) -> Trained:
    """Trains a pair in memory; nothing is written or tracked. `callback(step, {name: mean since the last call})` comes every 100 steps.

    Raises Mistake, and Failed where a loss is not finite.
    """
    resolved = resolved_for(recipe, images, device)
    with tempfile.TemporaryDirectory() as folder, pinned(resolved):
        trainer = Trainer(recipe, images, [split], [seed], resolved)
        for event in training.train(trainer, Path(folder) / "checkpoint.pt", checkpoint_seconds=math.inf):
            if isinstance(event, training.Failure):
                raise Failed(f"training failed: {event.name} was not finite at step {event.step}; "
                             f"try a smaller step, train.learning_rate = {recipe.train.learning_rate / 3:.2g}.")
            if isinstance(event, training.Record):
                callback(event.step, {name: values[0] for name, values in event.values.items()})
    weights = {"discriminator": trainer.discriminator_state(0), "generator_average": trainer.generator_state(0),
               "generator_last": trainer.generator_state(0, average=False)}
    return Trained(recipe, seed, images.shape, images.classes, weights)


def _filled(module: nn.Module, weights: dict[str, Tensor]) -> nn.Module:
    module.load_state_dict(weights)
    return module.eval()


def _version() -> str:
    try:
        return version("ssgan")
    except PackageNotFoundError:  # a bare checkout
        return "unknown"
