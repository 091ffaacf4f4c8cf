"""`TrainedModel`: a trained pair of networks with what it was made from."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ssgan.config import Recipe
from ssgan.config import build as build_recipe
from ssgan.errors import Mistake, unknown
from ssgan.models import latent_numbers
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
ABOUT = ("shape", "classes")  # what is saved beside them
SETTLING = 4096  # generated images, of which a technique's own generator keeps batch norm's statistics
SAMPLED = 100  # images of such a generator at once


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
    error_from: str = "none"  # test, or cross-validation where there was no test part

    @classmethod
    def of_trainer(cls, trainer: "Trainer", lane: int = 0) -> "TrainedModel":
        """One lane's pair as it is now."""
        states = (trainer.lane(DISCRIMINATOR, lane), trainer.lane(GENERATOR, lane),
                  trainer.lane(GENERATOR, lane, average=False))
        model = cls(trainer.recipe, trainer.seeds[lane], trainer.images.shape, trainer.images.classes,
                    dict(zip(NAMES, states)))
        if trainer.done > trainer.gan.steps and not trainer.waiting[lane]:
            for player in model._further():
                for average in (True, False):
                    state = trainer.lane(player, lane, average=average)
                    model.weights[_key(player, average)] = model._settled(player, state)
        return model

    @classmethod
    def of_run(cls, folder: WorkFolder) -> "TrainedModel":
        """The trained pair of a run. Raises Mistake for a run without a trained classifier."""
        saved, facts = _read(folder), folder.facts
        if "settings" not in facts:
            raise Mistake(f"{folder.path} has no settings of a run: it carries a report, or was made by something "
                          f"else.")
        recipe = build_recipe(facts["settings"]["recipe"], f"the settings of {facts.get('name')}")
        ids = run_ids(folder)
        weights = {name: state for name, state in saved.items() if name not in ABOUT}
        evaluation = facts.get("result", {}).get("evaluation", {})
        return cls(recipe, facts["seed"], tuple(saved["shape"]), tuple(saved["classes"]), weights,
                   ids[-1] if ids else folder.fingerprint,
                   f"run {facts.get('name')}", evaluation.get("error"),
                   evaluation.get("error_from", "test" if evaluation else "none"))

    def save(self, folder: WorkFolder) -> None:
        """Writes the weights as the run's train/model.pt. Raises Mistake."""
        about = dict(zip(ABOUT, (list(self.shape), list(self.classes))))
        checkpoint.save(folder.stage_folder("train") / "model.pt", about | self.weights)

    def discriminator(self) -> nn.Module:
        """The discriminator with averaged weights: module(x in [0, 1], Context()) -> (logits, features)."""
        return self._filled(DISCRIMINATOR, self.weights["discriminator"])

    def generator(self, *, average: bool = True) -> nn.Module:
        """The generator with averaged or last weights: module(latent [n, z], Context()) -> images [n, c, h, w]."""
        return self._filled(GENERATOR, self.weights[_key(GENERATOR, average)])

    def further_generator(self, player: str, *, average: bool = True) -> nn.Module:
        """A technique's own generator: module(latent [n, z], Context(labels=classes [n])) -> images [n, c, h, w]."""
        return self._filled(player, self.weights[_key(player, average)])

    def _further(self) -> list[str]:
        """The techniques' own generators."""
        return [player for technique in active(self.recipe).values() for player in technique.generates]

    def _settled(self, player: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """The state dict of a technique's own generator with batch norm's statistics, of classes in turn."""
        module = self._filled(player, state)
        latent = torch.randn(SETTLING, module.latent, generator=torch_generator(self.seed, "latent", "settling"))
        module.settle(latent, Context(labels=torch.arange(SETTLING) % len(self.classes)))
        return module.state_dict()

    def _filled(self, player: str, weights: dict[str, Tensor]) -> nn.Module:
        module = build(self.recipe, self.shape, len(self.classes))[player](torch_generator(0))
        module.load_state_dict(weights)
        return module.eval()

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
        recipe, seed, found = self.recipe, self.seed if seed is None else seed, {}
        for player in self._further():
            if _key(player, average) in self.weights:
                module = self.further_generator(player, average=average).to(device)
                found[player] = Sampler(player, module, module.latent, SAMPLED, seed, (player, "samples"), normal=True,
                                        label=label)
        if any(GENERATOR in technique.parts for technique in active(recipe).values()):
            module = self.generator(average=average).to(device)
            found[GENERATOR] = Sampler(GENERATOR, module, latent_numbers(recipe.model, self.shape),
                                       recipe.train.generated_images, seed, normal=recipe.model.latent_kind == "normal",
                                       label=label, latent_noise=recipe.model.latent_noise,
                                       noisy=recipe.model.generator_dropout_sampling)
        return found

    def sampler(self, device: str | torch.device = "cpu", *, average: bool = True, seed: int | None = None,
                label: int | None = None, name: str | None = None) -> Sampler:
        """One of `samplers`: the first, or that of the name. Raises Mistake where there is none, or none such."""
        found = self.samplers(device, average=average, seed=seed, label=label)
        if not found:
            raise Mistake(f"{self.name or 'this model'} was trained without a generator (gan.weight = "
                          f"{self.recipe.gan.weight:g}): there is nothing to sample.")
        if name is not None and name not in found:
            raise unknown("generator", name, found)
        return found[name or next(iter(found))]


def _key(generator: str, average: bool) -> str:
    """The name of a generator's state dict."""
    return f"{generator}_{'average' if average else 'last'}"


def _read(folder: WorkFolder) -> dict[str, Any]:
    """What training saved. Raises Mistake for a run without a trained classifier."""
    path = folder.path / "train" / "model.pt"
    if not path.exists():
        status = folder.facts.get("status", "unknown")
        raise Mistake(f"run {folder.facts.get('name', folder.fingerprint)} has no trained classifier (its state: "
                      f"{status}).\n"
                      f"Finish it first, with the command that began it, or name another run.")
    return checkpoint.load(path)
