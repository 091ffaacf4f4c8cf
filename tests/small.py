"""Small data, recipes and trainers, with which a test of the training takes milliseconds."""

import dataclasses
import functools
from pathlib import Path

import pytest
import torch

from ssgan.config import Recipe, build, override
from ssgan.data import named
from ssgan.data.dataset import Dataset
from ssgan.data.images import Images
from ssgan.data.splits import Split, make_split
from ssgan.errors import Mistake
from ssgan.techniques import TECHNIQUES
from ssgan.techniques.technique import Technique
from ssgan.training.compile import compiled
from ssgan.training.execution import Resolved
from ssgan.training.trainer import Trainer

FP64 = Resolved("cpu", "fp64", 1, torch.__version__)
FP32 = Resolved("cpu", "fp32", 1, torch.__version__)
BF16 = Resolved("cpu", "bf16", 1, torch.__version__)

MLP = build({"labels": 8, "model": {"family": "mlp", "widths": [12, 9], "generator_widths": [7, 11], "latent": 5},
             "train": {"epochs": 2, "batch": 10, "averaging_rate": 0.05, "initialise_images": 30}}, "small")
CONV = override(MLP, ["model.family=conv", "model.widths=[4, 6, 5]", "model.generator_widths=[6, 4]"])
DCGAN = override(MLP, ["model.family=dcgan", "model.widths=[5]", "model.generator_widths=[6]"])
MULTISCALE = override(MLP, ["model.family=multiscale", "model.widths=[5, 4]", "model.generator_widths=[6, 4]"])
AIRBENCH = override(CONV, ["model.family=airbench", "model.widths=[4, 6]", "model.pooling=max",
                           "model.input_noise=0.05"])


def images(count: int, shape: tuple[int, int, int], classes: int, seed: int) -> Images:
    """Random images whose brightness tells a little about their class."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % classes
    pixels = torch.randint(0, 200, (count, *shape), generator=generator) + (labels * 50 // classes).view(-1, 1, 1, 1)
    return Images.of(pixels.to(torch.uint8), labels, tuple(f"class {i}" for i in range(classes)))


@functools.cache
def dataset(count: int = 60, shape: tuple[int, int, int] = (2, 6, 8), classes: int = 4) -> Dataset:
    """A data set of random images, which are wider than they are high."""
    return Dataset("small", images(count, shape, classes, 0), images(20, shape, classes, 1))


@functools.cache
def digits() -> Dataset:
    """scikit-learn's digits."""
    return named.load("digits", Path("unused"))


def split(recipe: Recipe, data: Dataset, split_seed: int = 0, labels: int | None = None) -> Split:
    """The split that a run of the recipe makes."""
    return make_split(data, labels or recipe.labels, split_seed, recipe.split)


def trainer(recipe: Recipe, resolved: Resolved = FP64, seeds: tuple[int, ...] = (0,), data: Dataset | None = None,
            labels: tuple[int, ...] | None = None) -> Trainer:
    """A trainer of one lane a seed, which is its split seed too; `labels` are the budgets where they differ."""
    data = data or dataset()
    tables = [split(recipe, data, seed, budget) for seed, budget in zip(
        seeds, labels or [recipe.labels] * len(seeds), strict=True)]
    return Trainer(recipe, data.train, tables, list(seeds), resolved)


def recipe_with(patch: pytest.MonkeyPatch, name: str, technique: Technique) -> Recipe:
    """MLP with a made-up technique as the section of that name, while the patch lasts."""
    kind = type(technique)
    patch.setitem(TECHNIQUES, name, kind)
    extended = dataclasses.make_dataclass("Extended", [(name, kind, kind())], bases=(Recipe,), frozen=True)
    return extended(**{item.name: getattr(MLP, item.name) for item in dataclasses.fields(Recipe)}, **{name: technique})


PLAYERS = "discriminator", "generator"


def weights(trainer: Trainer, player: str = "discriminator", what: str = "weights") -> torch.Tensor:
    """A player's last weights [r, p], or their average."""
    return trainer.state["players"][player][what]


def weights_and_averages(trainer: Trainer) -> list[torch.Tensor]:
    """Of both players: the weights of each, then their averages."""
    return [weights(trainer, player, what) for what in ("weights", "average") for player in PLAYERS]


def lane_weights(trainer: Trainer, player: str, flat: torch.Tensor, lane: int) -> dict[str, torch.Tensor]:
    """One lane's tensors by name, in the type in which they are trained."""
    tensors = trainer.gan.players[player].layout.tensors(flat, trainer.state["players"][player]["buffers"])
    return {name: value[lane].detach().clone() for name, value in tensors.items()}


def spoil(trainer: Trainer, lane: int, player: str = "discriminator", value: float = float("nan")) -> None:
    """Makes all weights of a lane that value."""
    for what in ("weights", "copy"):
        weights(trainer, player, what)[lane].fill_(value)


@functools.cache
def need_compiler() -> None:
    """Skips a test where torch's compiler does not work."""
    try:
        compiled(lambda x: x.add_(1))(torch.ones(3))
    except Mistake as mistake:
        pytest.skip(f"NO COMPILED STEP IS TESTED: {mistake}")
