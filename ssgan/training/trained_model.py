"""`TrainedModel`: a trained pair of networks with what it was made from."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ssgan.config import Recipe
from ssgan.config import build as build_recipe
from ssgan.errors import Mistake
from ssgan.models import build_discriminator
from ssgan.models.context import Context
from ssgan.models.sampling import Sampler
from ssgan.random_streams import torch_generator
from ssgan.techniques import active
from ssgan.techniques.technique import DISCRIMINATOR, GENERATOR
from ssgan.tracking import run_ids
from ssgan.tracking.workfolder import WorkFolder
from ssgan.training import checkpoint
from ssgan.training.gan import build

if TYPE_CHECKING:
    from ssgan.training.trainer import Trainer

# of the state dicts; the discriminator's is the averaged one
NAMES = ("discriminator", "generator_average", "generator_last")


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """The weights of a pair, on the CPU, and what they were trained with."""

    recipe: Recipe
    seed: int
    shape: tuple[int, int, int]  # of an image: c, h, w
    classes: tuple[str, ...]
    weights: dict[str, dict[str, Tensor]]  # state dicts by NAMES
    run_id: str = ""
    name: str = ""  # of the run
    test_error: float | None = None

    @classmethod
    def of_trainer(cls, trainer: "Trainer", lane: int = 0) -> "TrainedModel":
        """One lane's pair as it is now."""
        states = (trainer.lane(DISCRIMINATOR, lane), trainer.lane(GENERATOR, lane),
                  trainer.lane(GENERATOR, lane, average=False))
        return cls(trainer.recipe, trainer.seeds[lane], trainer.images.shape, trainer.images.classes,
                   dict(zip(NAMES, states)))

    @classmethod
    def of_run(cls, folder: WorkFolder) -> "TrainedModel":
        """The trained pair of a run. Raises Mistake for a run without a trained classifier."""
        saved, facts = _read(folder), folder.facts
        if "settings" not in facts:
            raise Mistake(f"{folder.path} has no settings of a run: it carries a report, or was made by something "
                          f"else.")
        recipe = build_recipe(facts["settings"]["recipe"], f"the settings of {facts.get('name')}")
        ids = run_ids(folder)
        return cls(recipe, facts["seed"], tuple(saved["shape"]), tuple(saved["classes"]),
                   {name: saved[name] for name in NAMES}, ids[-1] if ids else folder.fingerprint,
                   f"run {facts.get('name')}", facts.get("result", {}).get("evaluation", {}).get("error"))

    def save(self, folder: WorkFolder) -> None:
        """Writes the weights as the run's train/model.pt. Raises Mistake."""
        about = {"shape": list(self.shape), "classes": list(self.classes)}
        checkpoint.save(folder.stage_folder("train") / "model.pt", about | self.weights)

    def discriminator(self) -> nn.Module:
        """The discriminator with averaged weights: module(x in [0, 1], Context()) -> (logits, features)."""
        module = build_discriminator(self.recipe.model, self.shape, len(self.classes), torch_generator(0))
        return _filled(module, self.weights["discriminator"])

    def generator(self, *, average: bool = True) -> nn.Module:
        """The generator with averaged or last weights: module(latent [n, z], Context()) -> images [n, c, h, w]."""
        weights = self.weights["generator_average" if average else "generator_last"]
        return _filled(build(self.recipe, self.shape, len(self.classes))[GENERATOR](torch_generator(0)), weights)

    def classifier(self, device: str | torch.device = "cpu") -> Callable[[Tensor], Tensor]:
        """Images [n, c, h, w] in [0, 1] -> logits [n, k], with averaged weights, in fp32, without noise."""
        module = self.discriminator().to(device)

        @torch.no_grad()
        def logits_of(x: Tensor) -> Tensor:
            return module(x.to(device), Context())[0]

        return logits_of

    def samplers(self, device: str | torch.device = "cpu", *, average: bool = True, seed: int | None = None,
                 label: int | None = None) -> dict[str, Sampler]:
        """The generators that were trained, by name, the one first whose images stand for the model: each with the
        latent vectors of the seed (None: the training's), and told always `label` where it is told classes.
        """
        if GENERATOR not in _trained(self.recipe):
            return {}
        module, recipe = self.generator(average=average).to(device), self.recipe
        latents = self.seed if seed is None else seed
        return {GENERATOR: Sampler(GENERATOR, module, recipe.model.latent, recipe.train.generated_images, latents,
                                   label=label)}

    def sampler(self, device: str | torch.device = "cpu", *, average: bool = True, seed: int | None = None,
                label: int | None = None) -> Sampler:
        """The first of `samplers`. Raises Mistake where no generator was trained."""
        found = self.samplers(device, average=average, seed=seed, label=label)
        if not found:
            raise Mistake(f"{self.name or 'this model'} was trained without a generator (gan.weight = "
                          f"{self.recipe.gan.weight:g}): there is nothing to sample.")
        return next(iter(found.values()))


def _trained(recipe: Recipe) -> Collection[str]:
    """The players that a recipe trains."""
    return {player for technique in active(recipe).values() for player in technique.parts}


def _filled(module: nn.Module, weights: dict[str, Tensor]) -> nn.Module:
    module.load_state_dict(weights)
    return module.eval()


def _read(folder: WorkFolder) -> dict[str, Any]:
    """What training saved. Raises Mistake for a run without a trained classifier."""
    path = folder.path / "train" / "model.pt"
    if not path.exists():
        status = folder.facts.get("status", "unknown")
        raise Mistake(f"run {folder.facts.get('name', folder.fingerprint)} has no trained classifier (its state: "
                      f"{status}).\n"
                      f"Finish it first, with the command that began it, or name another run.")
    return checkpoint.load(path)
