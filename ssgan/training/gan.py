"""`Gan`: all that does not change in training a lane group: the players, what each update of theirs looks at, and how
large it is.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch

from ssgan.config import Recipe, TrainConfig
from ssgan.models import build_discriminator, build_generator, couples_batch, joins_batches
from ssgan.techniques import active, check
from ssgan.techniques.technique import DISCRIMINATOR, GENERATOR, Moment, Optimiser, Size, Technique
from ssgan.training.lanes import Layout
from ssgan.training.optimisers import adam_numbers, averaging_weight, learning_rate

REAL = ("labelled", "unlabelled")  # parts that the data set gives
PAIR = ("unlabelled", "generated")  # parts that a joint batch is of, in the updates of both players


@dataclass(frozen=True, eq=False)
class Player:
    """One network: where its weights lie, how it is trained, and in which of the run's steps."""

    layout: Layout
    optimiser: Optimiser
    first: int
    steps: int


class Program(NamedTuple):
    """What makes the update of one step another function than that of another."""

    players: tuple[str, ...]  # that are updated, in order
    resting: frozenset[str] = frozenset()  # techniques whose terms are left out


@dataclass(frozen=True, eq=False)
class Gan:
    """A recipe's players and techniques, for any number of lanes. Players are updated in the order of `trained`."""

    config: TrainConfig
    techniques: Mapping[str, Technique]
    players: Mapping[str, Player]
    trained: tuple[str, ...]
    size: Size
    steps: int  # of the discriminator and the generator; techniques' own players may be trained further
    compiled: bool  # the update is written down for a compiler
    master: torch.dtype  # of weights, moments and measurements
    compute: torch.dtype  # of the products

    @functools.cached_property
    def parts(self) -> dict[str, tuple[str, ...]]:
        """By player, the parts that the terms of its loss look at, in one order."""
        return parts_of(self.techniques, self.players)

    @functools.cached_property
    def passes(self) -> dict[str, dict[str, tuple[str, ...]]]:
        """By player, the discriminator's passes in one of its updates, by name: which parts go through it together.

        One concatenated pass is the speed of three. A discriminator that couples a batch takes a pass a part, or one
        for a joint batch and one for each other part, as does an update of the generator, whose parts have a gradient
        or none.
        """
        template = self.players[DISCRIMINATOR].layout.template
        joint = PAIR if joins_batches(template) else ()
        return {DISCRIMINATOR: _passes(self.parts[DISCRIMINATOR], couples_batch(template), joint),
                GENERATOR: _passes(self.parts[GENERATOR], True, joint)}

    @functools.cached_property
    def counts(self) -> dict[str, int]:
        """Images of each part in an update."""
        found = {"labelled": self.size.labelled, "unlabelled": self.size.unlabelled, "generated": self.size.generated}
        for technique in self.techniques.values():
            found |= technique.adds(self.size)
        return found

    @functools.cached_property
    def terms(self) -> dict[str, dict[str, Technique]]:
        """By player, the techniques that add to its loss, by name."""
        return {name: {key: each for key, each in self.techniques.items() if name in each.parts}
                for name in self.players}

    @functools.cached_property
    def beside(self) -> dict[str, tuple[str, ...]]:
        """By player, the other networks that an update of it may look at."""
        own = {DISCRIMINATOR: (), GENERATOR: (DISCRIMINATOR,)}
        brought = {player: {other for each in self.terms[player].values()
                            for other in (*each.players(self.size), *each.calls.get(player, ()))} for player in own}
        return {name: tuple(other for other in self.trained if other != name
                            and (name not in own or other in own[name] or other in brought.get(name, ())))
                for name in self.trained}

    @functools.cached_property
    def teacher(self) -> tuple[str, ...]:
        """The parts for which the averaged discriminator is asked."""
        asked = {part for each in self.techniques.values() for part in each.teacher}
        return tuple(part for part in REAL if part in asked)

    @functools.cached_property
    def measured(self) -> tuple[str, ...]:
        """The names of what the steps of a run measure, in order."""
        return self.measured_of(self.trained)

    def measured_of(self, players: tuple[str, ...]) -> tuple[str, ...]:
        """Those of a step that updates these players."""
        names = [name for each in self.techniques.values() if not each.parts.keys().isdisjoint(players)
                 for name in each.measures]
        own = ["labelled_error"] * (DISCRIMINATOR in players)
        return (*names, *own, *(f"{name}_loss" for name in players if name != DISCRIMINATOR))

    @functools.cached_property
    def total(self) -> int:
        """The steps of a run, further ones and all."""
        return max(player.first + player.steps for player in self.players.values())

    def program(self, done: int) -> Program:
        """Of the step after so many; of one beyond the last, the last one's."""
        done = min(done, self.total - 1)
        playing = tuple(name for name in self.trained
                        if 0 <= done - self.players[name].first < self.players[name].steps)
        return Program(playing, frozenset(name for name, each in self.techniques.items() if done % each.period()))

    def waiting(self, states: Mapping[str, Mapping[str, torch.Tensor]], lane: int) -> str:
        """Why a lane cannot make its further steps, by the techniques' states; empty where it can."""
        return " ".join(said for name, each in self.techniques.items()
                        if (said := each.waits({key: value[lane] for key, value in states[name].items()})))

    @functools.cached_property
    def phases(self) -> dict[int, tuple[str, ...]]:
        """By step, the techniques that work on the host before it."""
        found: dict[int, tuple[str, ...]] = {}
        for name, technique in self.techniques.items():
            for step in {*technique.phases(self.steps), *([self.steps] if technique.further_steps() else ())}:
                found[step] = (*found.get(step, ()), name)
        return found

    def moment(self, done: int) -> Moment:
        """The step after so many."""
        return Moment(done, self.steps, self.config.decay_from)

    def numbers(self, done: int) -> dict:
        """What changes with the step, as a tree of plain numbers, in a run that has made so many steps."""
        moment = self.moment(min(done, self.steps - 1))
        return {"step": done, "players": {name: self._player_numbers(self.players[name], done)
                                          for name in self.trained},
                "techniques": {name: technique.numbers(moment) for name, technique in self.techniques.items()}}

    def _player_numbers(self, player: Player, done: int) -> tuple[dict[str, float], ...]:
        """Of each update of a step."""
        its, done = player.optimiser, min(max(done - player.first, 0), player.steps - 1)
        rate = learning_rate(self.config, done, player.steps, its.learning_rate)
        first = done * its.updates + 1
        return tuple(adam_numbers(its, rate, update) | {"share": averaging_weight(its, update)}
                     for update in range(first, first + its.updates))


def build(recipe: Recipe, shape: tuple[int, int, int], classes: int) -> dict:
    """By player, what makes its module from a generator of random numbers (None: without numbers). Raises Mistake."""
    check(recipe, classes)
    size, made = size_of_step(recipe, shape, classes), {}
    made[DISCRIMINATOR] = lambda random: build_discriminator(recipe.model, shape, classes, random)
    told = classes if any(each.gives_classes for each in active(recipe).values()) else 0
    made[GENERATOR] = lambda random: build_generator(recipe.model, shape, random, told)
    for technique in active(recipe).values():
        made |= technique.players(size)
    return made


def size_of_step(recipe: Recipe, shape: tuple[int, int, int], classes: int, images: int = 0) -> Size:
    """How large a step of the recipe is, and how many training images there are."""
    config = recipe.train
    return Size(tuple(shape), classes, config.labelled_images, config.batch, config.generated_images,
                recipe.model.latent, images=images, latent_kind=recipe.model.latent_kind,
                latent_noise=recipe.model.latent_noise)


def make_gan(recipe: Recipe, size: Size, layouts: dict[str, Layout], steps: int,
             dtypes: tuple[torch.dtype, torch.dtype], compiled: bool) -> Gan:
    """The recipe's players on these layouts; `steps` are the discriminator's and the generator's, `dtypes` are of the
    weights and of the products.
    """
    config, techniques = recipe.train, active(recipe)
    own = _optimisers(config, techniques, size)
    further = {name: each.further_steps() for each in techniques.values() for name in each.players(size)
               if each.further_steps()}
    players = {name: Player(layout, own[name], steps if name in further else 0, further.get(name, steps))
               for name, layout in layouts.items()}
    trained = tuple(name for name in players if any(name in each.parts for each in techniques.values()))
    size = size._replace(parameters={name: sum(layout.sizes) for name, layout in layouts.items()})
    return Gan(config, techniques, players, trained, size, steps, compiled, *dtypes)


def _optimisers(config: TrainConfig, techniques: Mapping[str, Technique], size: Size) -> dict[str, Optimiser]:
    """By player."""
    usual = Optimiser(config.learning_rate, 1, config.clip, config.beta1, config.beta2, config.epsilon, config.adam,
                      config.averaging, config.averaging_rate)
    found = {DISCRIMINATOR: usual._replace(updates=config.discriminator_updates),
             GENERATOR: usual._replace(updates=config.generator_updates,
                                       learning_rate=config.generator_learning_rate or config.learning_rate)}
    for each in techniques.values():
        found |= {name: each.optimiser(name, usual) for name in each.players(size)}
    return found


def parts_of(techniques: Mapping[str, Technique], players) -> dict[str, tuple[str, ...]]:
    """By player, the parts that the terms of its loss look at, in one order: of the data set, generated, a technique's
    own.
    """
    found = {}
    for player in players:
        asked = dict.fromkeys(part for each in techniques.values() for part in each.parts.get(player, ()))
        known = (*REAL, "generated")
        found[player] = (*(part for part in known if part in asked), *(part for part in asked if part not in known))
    return found


def looks_at_pool(recipe: Recipe) -> bool:
    """Whether any update but the generator's looks at unlabelled images."""
    return any("unlabelled" in parts for each in active(recipe).values()
               for player, parts in each.parts.items() if player != GENERATOR)


def _passes(parts: tuple[str, ...], apart: bool, joint: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    groups = [tuple(part for part in parts if not apart or part in joint)]
    groups += [(part,) for part in parts if part not in groups[0]]
    return {"+".join(group): group for group in groups if group}
