"""`Trainer`: a lane group in training, step by step."""

import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ssgan.config import Recipe
from ssgan.data.images import Images
from ssgan.data.order import steps_per_epoch
from ssgan.data.splits import Split
from ssgan.models import compares_halves, couples_batch
from ssgan.models.context import Context
from ssgan.models.reference import refer, settle
from ssgan.models.sampling import Sampler
from ssgan.random_streams import torch_generator
from ssgan.techniques.technique import DISCRIMINATOR, GENERATOR, Pool
from ssgan.training import noise
from ssgan.training.compile import compiled
from ssgan.training.cuda_graph import CudaGraphs, Replay
from ssgan.training.draws import Feed
from ssgan.training.execution import Resolved
from ssgan.training.gan import Program, build, looks_at_pool, make_gan, size_of_step
from ssgan.training.lanes import stacked
from ssgan.training.numbers import Numbers
from ssgan.training.state import first_state, host_phases, put_back
from ssgan.training.update import averaged_logits, update

REFERENCE_IMAGES = 100  # with which a discriminator that couples a batch compares single images
SETTLING_IMAGES = 1000  # whose statistics it keeps in evaluation
RECORD_STEPS = 100  # steps of which one record gives the means


@dataclass(frozen=True)
class Failure:
    """The first step at which a lane's measurement was not finite, and which one it was."""

    lane: int
    step: int
    name: str


class Trainer:
    """R lanes of one recipe: what does not change (`gan`), what an update changes (`state`), what it is given (`feed`,
    `numbers`). A `trial` makes steps for what they take alone: the host's work before them is left out.

    Raises Mistake where the recipe's techniques cannot be combined.
    """

    def __init__(self, recipe: Recipe, images: Images, splits: list[Split], seeds: list[int], resolved: Resolved, *,
                 trial: bool = False):
        self.recipe, self.config, self.splits, self.seeds = recipe, recipe.train, splits, tuple(seeds)
        self.trial = trial
        self.device = torch.device(resolved.device)
        self.master = torch.promote_types(resolved.dtype, torch.float32)
        self.images = images.to(self.device)
        self.steps_per_epoch = steps_per_epoch(splits[0], self.config.batch)
        self.done = self.first = 0  # steps made, in all and before this process
        self.seconds = 0.0  # spent in steps, over all processes
        # Where a graph replays the step, draws come from one generator on the device, seeded anew for each step.
        generator = torch.Generator(self.device) if replayed(self.device) else None
        epochs = -(-RECORD_STEPS // self.steps_per_epoch)
        self.record_steps = RECORD_STEPS if generator is None else epochs * self.steps_per_epoch

        layouts, weights, buffers = self._first_players()
        size = size_of_step(recipe, images.shape, len(images.classes), len(images))
        self.gan = make_gan(recipe, size, layouts, step_count(recipe, splits[0]), (self.master, resolved.dtype),
                            resolved.compiled)
        self.waiting = ("",) * len(seeds)  # by lane, why it makes no further steps of techniques' own players
        self.state = first_state(self.gan, weights, buffers)
        # Python's numbers as they are; in the type of the weights where compiled code or a device reads them.
        exact = torch.float64 if generator is None and not resolved.compiled else self.master
        self._numbers = Numbers(self.gan.numbers(0), self.device, exact)
        self.feed = Feed(self.gan, self.images, splits, self.seeds, self.steps_per_epoch, generator)
        # A few programs, chosen here: nothing in one of them depends on the step.
        self._compiled = functools.cache(self._compile) if resolved.compiled else None
        self._program = functools.cache(lambda program: self._replay(program, generator)) if generator else self._plain

    @property
    def numbers(self) -> dict[str, Any]:
        """What changes with the step, as the next update is given it."""
        return self._numbers.tree

    @property
    def names(self) -> tuple[str, ...]:
        """What a step measures, in order."""
        return self.gan.measured

    @property
    def sums(self) -> Tensor:
        """What was measured since the last reading, summed: [r, m]."""
        return self.state["sums"]

    @property
    def steps(self) -> int:
        """How many steps are made in all: with further ones of techniques' own players, where a lane can make them."""
        return self.gan.steps if all(self.waiting) else self.gan.total

    @property
    def record_due(self) -> bool:
        """Whether a record ends here, of steps that measured the same."""
        return self.done % self.record_steps == 0 or self.done in (self.gan.steps, self.steps)

    def step(self) -> None:
        """One update of every player that is trained in this step."""
        if self.done < self.gan.steps and not self.trial:
            host_phases(self.gan, self.state, self.done, self._pool)
        program = self.gan.program(self.done)
        self._numbers.fill(self.gan.numbers(self.done))
        self.feed.open(self.done, program.players)
        self._program(program)()
        self.done += 1
        if self.done == self.gan.steps:  # now, so that a checkpoint knows how it goes on
            host_phases(self.gan, self.state, self.done, self._pool)
            self._see_waiting()

    def read(self) -> dict[str, list[float]]:
        """The means since the last record; one read from the device."""
        last = max((self.done - 1) // self.record_steps * self.record_steps,
                   self.gan.steps if self.gan.steps < self.done else 0)
        means = dict(zip(self.names, (self.sums / (self.done - last)).T.tolist()))
        self.sums.zero_()
        return {name: means[name] for name in self.gan.measured_of(self.gan.program(self.done - 1).players)}

    def failures(self) -> list[Failure]:
        """The lanes that have met a value that was not finite, in a loss or in their weights, with the first one of
        each.
        """
        # [r]
        sound = torch.stack([player["weights"].isfinite().all(1) for player in self.state["players"].values()]).all(0)
        first_bad = self.state["first_bad"]
        late = first_bad[:, -1]
        late.copy_(torch.where((late < 0) & ~sound, self.done - 1, late))
        found = []
        for lane, row in enumerate(first_bad.tolist()):
            bad = [(step, i) for i, step in enumerate(row) if step >= 0]
            if bad:
                step, i = min(bad)
                found.append(Failure(lane, step, [*self.names, "weights"][i]))
        return found

    def lane(self, player: str, lane: int, *, average: bool = True) -> dict[str, Tensor]:
        """One lane of a player, with averaged or last weights, as a state dict of float32 on the CPU; of a
        discriminator that couples a batch with its reference.
        """
        mine, layout = self.state["players"][player], self.gan.players[player].layout
        state = layout.lane(lane, mine["average" if average else "weights"], mine["buffers"])
        return state if not couples_batch(layout.template) else self._referring(state, lane).state_dict()

    def averaged_logits(self, x: Tensor) -> Tensor:
        """The averaged discriminators' logits of images [r, n, c, h, w], noise off: [r, n, k]; what they say of
        an image does not depend on the others.
        """
        if not couples_batch(self.gan.players[DISCRIMINATOR].layout.template):
            return averaged_logits(self.gan, self.state, x)
        return torch.stack([self._averaged_of(lane)(each) for lane, each in enumerate(x)])

    def _averaged_of(self, lane: int) -> Callable[[Tensor], Tensor]:
        """The same of one lane: images [n, c, h, w] -> logits [n, k]."""
        if couples_batch(self.gan.players[DISCRIMINATOR].layout.template):
            module = self._referring(self.lane(DISCRIMINATOR, lane), lane)
            return lambda x: module.to(x)(x)[0]
        its = self.state["players"][DISCRIMINATOR]
        alone = {"average": its["average"][lane: lane + 1],
                 "buffers": {name: value[lane: lane + 1] for name, value in its["buffers"].items()}}
        state = {"players": {DISCRIMINATOR: alone}}
        return lambda x: averaged_logits(self.gan, state, x[None])[0]

    def _referring(self, state: dict[str, Tensor], lane: int) -> nn.Module:
        """The discriminator of a state dict, which compares images with some that this recipe may see."""
        make = build(self.recipe, self.images.shape, len(self.images.classes))[DISCRIMINATOR]
        module = make(torch_generator(0))
        module.load_state_dict(state)
        if compares_halves(module):
            images, generated = self._both_kinds(lane, REFERENCE_IMAGES)
            settle(module, images, generated)
            refer(module, images, generated)
        else:
            settle(module, self._drawn_images(lane, "batch statistics", SETTLING_IMAGES))
            refer(module, self._drawn_images(lane, "minibatch reference", REFERENCE_IMAGES))
        return module

    def _both_kinds(self, lane: int, count: int) -> tuple[Tensor, int]:
        """Up to so many images that this recipe may see [n, c, h, w], and behind them as many of the averaged generator
        of the lane, where one is trained; how many these are.
        """
        real = self._drawn_images(lane, "minibatch reference", count)
        if GENERATOR not in self.gan.trained:
            return real, 0
        module = build(self.recipe, self.images.shape, len(self.images.classes))[GENERATOR](torch_generator(0))
        module.load_state_dict(self.lane(GENERATOR, lane))
        size = self.gan.size
        sampler = Sampler(GENERATOR, module, size.latent, size.generated, self.seeds[lane], ("minibatch reference",),
                          normal=size.latent_kind == "normal", latent_noise=size.latent_noise)
        return torch.cat([real, sampler.images(0, len(real))]), len(real)

    def checkpoint(self) -> dict[str, Any]:
        """Everything that a resumed run needs: the state, and plain numbers."""
        return {**self.state, "done": self.done, "seconds": self.seconds}

    def restore(self, saved: dict[str, Any]) -> None:
        """Puts a checkpoint back, in place."""
        self.done = self.first = saved["done"]
        self.seconds = saved["seconds"]
        put_back(self.state, saved)
        if self.done >= self.gan.steps:
            self._see_waiting()

    def _see_waiting(self) -> None:
        self.waiting = tuple(self.gan.waiting(self.state["techniques"], lane) for lane in range(len(self.seeds)))

    def _pool(self, lane: int) -> Pool:
        """What a lane is trained on, with its averaged classifier's answers."""
        split = self.splits[lane]
        index = torch.from_numpy(np.union1d(split.labelled, split.unlabelled))
        labels = torch.full_like(index, -1)
        known = torch.from_numpy(split.labelled)
        labels[torch.searchsorted(index, known)] = self.images.labels[known.to(self.device)].cpu()

        def images(index: Tensor) -> Tensor:
            return self.images.gather(index.to(self.device), dtype=self.master)

        def answers() -> Tensor:
            logits_of = self._averaged_of(lane)
            return torch.cat([logits_of(images(part))
                              for part in index.split(1000)]).softmax(1).cpu()

        def views(index: Tensor, random: torch.Generator) -> Tensor:
            return self.feed.views(index, self.numbers, random)

        computed = self.images.sha256, self.seeds[lane], str(self.device), self.master, self.gan.compute
        labelled = hashlib.sha256(torch.stack([index, labels]).numpy()).hexdigest()
        origin = (*computed, torch.get_num_threads(), labelled, *self.feed.changes(self.gan.numbers(self.done)))
        return Pool(index, labels, answers, lambda index: images(index).cpu(), views, self.seeds[lane], origin)

    def _compile(self, program: Program) -> Callable[[Any], None]:
        return compiled(lambda trees: update(self.gan, *trees, program))

    def _plain(self, program: Program) -> Callable[[], None]:
        return functools.partial(self._draw_and_update, program)

    def _replay(self, program: Program, generator: torch.Generator) -> Callable[[], None]:
        return Replay(self._plain(program), CudaGraphs(self.device, generator))

    def _draw_and_update(self, program: Program | None = None) -> None:
        self._update(self._draw(), program or self.gan.program(0))

    def _draw(self) -> dict[str, Any]:
        return self.feed.draw(self.numbers, self.state["techniques"])

    def _update(self, draws: dict[str, Any], program: Program) -> None:
        trees = self.state, draws, self.numbers
        self._compiled(program)(trees) if self._compiled else update(self.gan, *trees, program)

    def _first_players(self) -> tuple[dict, dict, dict]:
        """By player, its layout, its first weights [r, p] and its buffers."""
        layouts, weights, buffers = {}, {}, {}
        for name, make in build(self.recipe, self.images.shape, len(self.images.classes)).items():
            modules = [make(torch_generator(seed, f"{name} weights")) for seed in self.seeds]
            if name == DISCRIMINATOR:
                for lane, module in enumerate(modules):
                    if module.references:
                        module.reference.copy_(self._reference_batch(lane, module.references))
                    self._initialise(module, lane)
            layouts[name], flat, fixed = stacked(modules)
            weights[name] = flat.to(self.device, self.master)
            buffers[name] = {key: value.to(self.device, self.master) for key, value in fixed.items()}
        return layouts, weights, buffers

    def _initialise(self, discriminator: nn.Module, lane: int) -> None:
        """The data-dependent initialisation, in the type of the weights, on random images of all that this recipe may
        see, noise on.
        """
        if self.config.initialise_images == 0:
            return
        x = self._drawn_images(lane, "initialisation images", self.config.initialise_images).to(self.master)
        sites = noise.normal_sites(discriminator.noise_shapes(len(x)), (self.seeds[lane],), ("initialisation noise",),
                                   torch.float32)
        discriminator.to(self.master).initialise(x, Context(tuple(site[0].to(self.master) for site in sites)))

    def _reference_batch(self, lane: int, count: int) -> Tensor:
        """So many images, the same in all of training, again and again where this recipe may see fewer."""
        images = self._drawn_images(lane, "reference batch", count)
        return images[torch.arange(count) % len(images)]

    def _drawn_images(self, lane: int, use: str, count: int) -> Tensor:
        """Up to so many images of all that this recipe may see, drawn by the stream of that use: [n, c, h, w]."""
        split = self.splits[lane]
        pool = torch.from_numpy(split.unlabelled if looks_at_pool(self.recipe) else split.labelled)
        order = torch.randperm(len(pool), generator=torch_generator(self.seeds[lane], use))
        return self.images.gather(pool[order[:count]]).cpu()


def replayed(device: torch.device) -> bool:
    """Whether a step on that device is captured once as a graph and replayed."""
    return device.type == "cuda"


def step_count(recipe: Recipe, split: Split) -> int:
    """In how many steps a run of the recipe trains its discriminator and generator."""
    return recipe.train.steps_of(steps_per_epoch(split, recipe.train.batch))
