"""`Trainer`: everything that changes in training a lane group, and the update that changes it."""

import contextlib
import copy
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ssgan.techniques import augmentation
from ssgan.training import noise
from ssgan.training.compile import compiled
from ssgan.config import Recipe
from ssgan.data.order import DeviceOrders, epoch_tables, steps_per_epoch
from ssgan.data.images import Images
from ssgan.data.splits import Split
from ssgan.training.draws import Draws
from ssgan.training.cuda_graph import CudaGraphs, Replay
from ssgan.training.lanes import Stack, over_lanes
from ssgan.models.context import Context
from ssgan.training.player import Player
from ssgan.models import build_discriminator, build_generator
from ssgan.training.optimisers import Adam, averaging_weight, learning_rate
from ssgan.training.execution import Resolved
from ssgan.random_streams import stream, torch_generator
from ssgan.training.passes import DiscriminatorBatch, Weights, discriminator_loss, generator_loss

RECORD_STEPS = 100  # steps of which one record gives the means


@dataclass(frozen=True)
class Failure:
    """The first step at which a lane's measurement was not finite, and which one it was."""

    lane: int
    step: int
    name: str


class Trainer:
    """R lanes of one recipe. `step()` is one update of the discriminators, the generators and both averages."""

    def __init__(self, recipe: Recipe, images: Images, splits: list[Split], seeds: list[int], resolved: Resolved):
        self.recipe, self.config, self.splits, self.seeds = recipe, recipe.train, splits, tuple(seeds)
        self.device, self.compute = torch.device(resolved.device), resolved.dtype
        self.master = torch.promote_types(self.compute, torch.float32)
        self.images = images.to(self.device)
        self.steps_per_epoch = steps_per_epoch(splits[0], self.config.batch)
        self.steps = step_count(recipe, splits[0])
        self.weights = Weights(recipe.gan.weight, recipe.consistency.weight, recipe.class_balance.weight, recipe.entropy.weight,
                               recipe.vat.weight, recipe.vat.epsilon)
        self.with_generator, self.with_consistency = recipe.gan.weight > 0, recipe.consistency.weight > 0
        self.with_vat = recipe.vat.weight > 0
        # Unlabelled images are in the pass.
        self.with_pool = self.with_generator or self.with_consistency or self.weights.balance > 0 or self.weights.entropy > 0 or self.with_vat
        self.done = self.first = 0  # steps made, in all and before this process
        self.seconds = 0.0  # spent in steps, over all processes
        # Where a graph replays the step, draws come from one generator on the device, seeded anew for each step.
        self._generator = torch.Generator(self.device) if replayed(self.device) else None
        self.record_steps = RECORD_STEPS if self._generator is None else -(-RECORD_STEPS // self.steps_per_epoch) * self.steps_per_epoch
        self._orders = DeviceOrders(splits, self.seeds, self.steps_per_epoch, self.config.batch, self.device) if self._generator else None
        self._table_epoch, self._tables = -1, torch.empty(0)

        discriminators = [self._initialised(lane) for lane in range(len(seeds))]
        generators = [build_generator(recipe.model, images.shape, torch_generator(seed, "generator weights")) for seed in seeds]
        self._noise_shapes, self._sites_per_pass = self._noise_of_a_step(discriminators[0])
        self.players = [Player(Stack(modules).to(self.device, self.master), self.config, self.compute,
                                 replayed=self._generator is not None, compiled=resolved.compiled) for modules in (discriminators, generators)]
        # Numbers that change with the step: read from the device where a graph replays it, or compiled code.
        numbers = [torch.zeros((), device=self.device, dtype=self.master) for _ in range(2)]
        self._averaging = numbers[0] if self._generator or resolved.compiled else 0.0
        self._strength = numbers[1] if self._generator else 0.0
        self._number = torch.zeros((), device=self.device, dtype=torch.int64)  # of the step, for the device
        self.names = self._measured()
        self.sums = torch.zeros(len(seeds), len(self.names), dtype=self.master, device=self.device)
        self.first_bad = torch.full((len(seeds), len(self.names) + 1), -1, dtype=torch.int64, device=self.device)
        self._compiled = compiled(self._update_on) if resolved.compiled else None
        self._program = Replay(self._draw_and_update, CudaGraphs(self.device, self._generator)) if self._generator else self._draw_and_update

    @property
    def stacks(self) -> list[Stack]:
        """The discriminators' stack, and the generators'."""
        return [player.stack for player in self.players]

    @property
    def discriminator(self) -> Stack:
        """The discriminators."""
        return self.players[0].stack

    @property
    def generator(self) -> Stack:
        """The generators."""
        return self.players[1].stack

    @property
    def adams(self) -> list[Adam]:
        """The optimisers of both."""
        return [player.adam for player in self.players]

    @property
    def averages(self) -> list[Tensor]:
        """The averaged weights of both: [r, p]."""
        return [player.average for player in self.players]

    def step(self) -> None:
        """One update of everything."""
        rate = learning_rate(self.config, self.done, self.steps)
        for adam in self.adams:
            adam.set_rate(rate)
        self._set("_averaging", averaging_weight(self.config, self.done + 1))
        self._set("_strength", augmentation.strength(self.recipe.augment, self.config.decay_from, self.done, self.steps))
        self._number.fill_(self.done)
        self._open_epoch()
        if self._generator:
            self._generator.manual_seed(stream(self.seeds[0], *self.seeds, "step", self.done))
        self._program()
        self.done += 1

    def read(self) -> dict[str, list[float]]:
        """The means since the last call; one read from the device."""
        count = (self.done - 1) % self.record_steps + 1
        means = (self.sums / count).T.tolist()
        self.sums.zero_()
        return dict(zip(self.names, means))

    def failures(self) -> list[Failure]:
        """The lanes that have met a value that was not finite, in a loss or in their weights, with the first one of each."""
        sound = torch.stack([stack.flat.isfinite().all(1) for stack in self.stacks]).all(0)  # [r]
        late = self.first_bad[:, -1]
        late.copy_(torch.where((late < 0) & ~sound, self.done - 1, late))
        found = []
        for lane, row in enumerate(self.first_bad.tolist()):
            bad = [(step, i) for i, step in enumerate(row) if step >= 0]
            if bad:
                step, i = min(bad)
                found.append(Failure(lane, step, [*self.names, "weights"][i]))
        return found

    def discriminator_state(self, lane: int, *, average: bool = True) -> dict[str, Tensor]:
        """One lane's discriminator, with averaged or last weights, as a state dict of float32 on the CPU."""
        return self.discriminator.state(lane, self.averages[0] if average else self.discriminator.flat)

    def generator_state(self, lane: int, *, average: bool = True) -> dict[str, Tensor]:
        """One lane's generator, likewise."""
        return self.generator.state(lane, self.averages[1] if average else self.generator.flat)

    @torch.no_grad()
    def averaged_logits(self, x: Tensor) -> Tensor:
        """The averaged discriminators' logits of images [r, n, c, h, w], noise off: [r, n, k]."""
        tensors = self.discriminator.tensors(self.averages[0].to(x.dtype))
        return over_lanes(lambda t, x: self.discriminator.call(t, x, Context())[0], tensors, x)

    def state(self) -> dict:
        """Everything that a resumed run needs: tensors and plain values."""
        return {
            "done": self.done, "seconds": self.seconds, "sums": self.sums, "first_bad": self.first_bad, "averages": self.averages,
            "flat": [stack.flat for stack in self.stacks], "fixed": self.discriminator.fixed,
            "adam": [dict(adam.state) for adam in self.adams]}

    def restore(self, state: dict) -> None:
        """Puts a saved state back, in place."""
        self.done = self.first = state["done"]
        self.seconds = state["seconds"]
        mine = self.state()
        for key in ("sums", "first_bad"):
            mine[key].copy_(state[key])
        for key in ("averages", "flat"):
            for target, saved in zip(mine[key], state[key]):
                target.copy_(saved)
        for adam, saved in zip(self.adams, state["adam"]):
            for name, target in adam.state.items():
                target.copy_(saved[name])
        self.players[0].take_fixed(state["fixed"])
        for player in self.players:
            player.refresh()

    def _draw_and_update(self) -> None:
        draws = self._draw()
        if self._compiled:
            self._compiled((self._held(), draws))
        else:
            self._update(draws)

    def _held(self) -> dict[str, Any]:
        """All that an update reads or changes besides the draws."""
        return {"players": tuple(player.held() for player in self.players[: 1 + self.with_generator]), "sums": self.sums,
                "first_bad": self.first_bad, "number": self._number, "averaging": self._averaging}

    def _update_on(self, tensors: tuple[dict[str, Any], Draws]) -> None:
        """The update of a twin that holds these tensors, as the compiler's tracing gives them."""
        held, draws = tensors
        twin = copy.copy(self)
        twin.players = [player.on(its) for player, its in zip(self.players, held["players"])]
        twin.sums, twin.first_bad, twin._number, twin._averaging = (held[name] for name in ("sums", "first_bad", "number", "averaging"))
        twin._update(draws)

    def _update(self, draws: Draws) -> None:
        """The update as a program of tensors alone: nothing is drawn, nothing is read back, nothing depends on Python's numbers."""
        # Update the discriminator.
        batch = self._discriminator_batch(draws)
        with part("discriminator pass"):
            losses, parts = over_lanes(self._discriminator_loss, self.players[0].tensors | self.players[0].leaves, batch, draws.context)
        self._descend(0, losses)

        # Update the generator against the new discriminator.
        if self.with_generator:
            with part("generator pass"):
                losses = over_lanes(self._generator_loss, self.players[1].tensors | self.players[1].leaves, self.players[0].tensors,
                                    draws.latents[1], draws.for_generator, draws.generator_contexts)
            self._descend(1, losses)
            parts["generator_loss"] = losses.detach()

        # Measure, and note the first value of each lane that is not finite.
        values = torch.stack([parts[name].to(self.master) for name in self.names], 1)  # [r, m]
        self.sums += values
        seen = self.first_bad[:, :-1]
        seen.copy_(torch.where((seen < 0) & ~values.isfinite(), self._number, seen))

    def _descend(self, which: int, losses: Tensor) -> None:
        """One Adam step of the discriminators (0) or the generators (1), and of their average."""
        player = self.players[which]
        with part("backward"):
            gradient = player.gradients(losses)
        with part("adam"):
            player.adam.step(gradient)
        with part("averaging"):
            player.average.lerp_(player.stack.flat, self._averaging)
        with part("cast"):
            player.refresh()

    def _set(self, name: str, value: float) -> None:
        held = getattr(self, name)
        if isinstance(held, Tensor):
            held.fill_(value)
        else:
            setattr(self, name, value)

    def _discriminator_loss(self, tensors, batch: DiscriminatorBatch, context: Context):
        with self.discriminator.of(tensors, trained=True) as discriminator:
            return discriminator_loss(discriminator, batch, context, self.weights)

    def _generator_loss(self, tensors, fixed, latent: Tensor, real: Tensor, contexts: tuple[Context, Context]):
        with self.generator.of(tensors, trained=True) as generator, self.discriminator.of(fixed) as discriminator:
            return generator_loss(discriminator.features, real, generator(latent), *contexts, self.recipe.pull_away.weight)

    def _discriminator_batch(self, draws: Draws) -> DiscriminatorBatch:
        generated = targets = confident = None
        if self.with_generator:
            with torch.no_grad(), part("generated images"):
                generated = over_lanes(self.generator.call, self.players[1].tensors, draws.latents[0])
        if self.with_consistency:
            with part("teacher"):
                probability, targets = self.averaged_logits(draws.plain).to(self.master).softmax(-1).max(-1)
                confident = (probability >= self.recipe.consistency.threshold) * draws.teach
        return DiscriminatorBatch(draws.labelled, draws.labels, draws.unlabelled, generated, targets, confident, draws.directions)

    def _draw(self) -> Draws:
        made, pool, gan = self.config.generated_images, self.with_pool, self.with_generator
        index = self._indices()[: 1 + pool + gan].transpose(0, 1)  # [r, 1 to 3, n]
        with part("images"):
            exact = self.images.gather(index, dtype=self.master if augmentation.is_on(self.recipe.augment) else self.compute)
            images = self._augmented(exact).unbind(1)
            plain = exact[:, 1].to(self.compute) if self.with_consistency else None
            labelled, unlabelled, for_generator = (*images, None, None)[:3]
            few = self.config.labelled_images
            labelled, labels = labelled[:, :few], self.images.labels[index[:, 0, :few]]
        with part("noise"):
            sites = noise.normal_sites(self._noise_shapes, self.seeds, ("noise", self.done), self.compute, self._generator)
            contexts = [Context(sites[i: i + self._sites_per_pass]) for i in range(0, len(sites), self._sites_per_pass)]
            latents = None
            if gan:
                latents = noise.uniform((2, made, self.recipe.model.latent), self.seeds, ("latent", self.done), self.compute, self._generator).unbind(1)
            directions = None
            if self.with_vat:
                shape = (max(1, round(self.recipe.vat.share * self.config.batch)), *self.images.shape)
                directions = noise.normal_sites([shape], self.seeds, ("vat", self.done), self.compute, self._generator)[0]
        teach = self._number >= math.ceil(self.recipe.consistency.start * self.steps)
        return Draws(labelled, labels, unlabelled, plain, for_generator, latents, contexts[0], tuple(contexts[1:]) or None,
                     teach.to(self.master), directions)

    def _augmented(self, x: Tensor) -> Tensor:
        """Images [r, kinds, n, c, h, w], each changed by a draw of its own, in the type of the products."""
        if not augmentation.is_on(self.recipe.augment):
            return x
        draw = noise.uniform((*x.shape[1:3], augmentation.draw_size(self.recipe.augment)), self.seeds, ("augment", self.done), self.master, self._generator) * 2 - 1
        if self.recipe.augment.end != 1:
            draw = draw * self._strength
        changed = augmentation.warp(x.flatten(0, 2), draw.flatten(0, 2), self.recipe.augment)
        return changed.to(self.compute).unflatten(0, x.shape[:3])

    def _open_epoch(self) -> None:
        """Makes the epoch's index tables; a graph finds them where the last ones were."""
        epoch = self.done // self.steps_per_epoch
        if epoch != self._table_epoch:
            tables = self._orders.epoch_tables(epoch) if self._orders else epoch_tables(self.splits, self.seeds, epoch, self.steps_per_epoch, self.config.batch)
            self._tables = self._tables.copy_(tables) if self._orders and len(self._tables) else tables
            self._table_epoch = epoch

    def _indices(self) -> Tensor:
        self._open_epoch()
        if self._generator:
            return self._tables.index_select(1, self._number % self.steps_per_epoch)[:, 0]
        return self._tables[:, self.done % self.steps_per_epoch]  # [3, r, n]

    def _noise_of_a_step(self, discriminator) -> tuple[list[tuple[int, ...]], int]:
        """The shapes of all noise of one step, and how many of them a pass takes: the discriminator's, then the generator's real and generated one."""
        n, made, gan = self.config.batch, self.config.generated_images, self.with_generator
        passes = [self.config.labelled_images + n * self.with_pool + made * gan, *(n, made) * gan]
        shapes = [discriminator.noise_shapes(count) for count in passes]
        return sum(shapes, []), len(shapes[0])

    def _measured(self) -> list[str]:
        names = ["labelled_loss"]
        names += ["unlabelled_loss"] * self.with_generator + ["consistency_loss", "confident"] * self.with_consistency
        names += ["balance_loss"] * (self.weights.balance > 0) + ["entropy_loss"] * (self.weights.entropy > 0) + ["vat_loss"] * self.with_vat
        return names + ["labelled_error"] + ["generator_loss"] * self.with_generator

    def _initialised(self, lane: int):
        """A discriminator after the data-dependent initialisation on random images of all that this recipe may see, noise on."""
        seed, split = self.seeds[lane], self.splits[lane]
        pool = torch.from_numpy(split.unlabelled if self.with_pool else split.labelled)
        module = build_discriminator(self.recipe.model, self.images.shape, len(self.images.classes), torch_generator(seed, "discriminator weights"))
        order = torch.randperm(len(pool), generator=torch_generator(seed, "initialisation images"))
        x = self.images.gather(pool[order[: self.config.initialise_images]]).cpu()
        sites = noise.normal_sites(module.noise_shapes(len(x)), (seed,), ("initialisation noise",), torch.float32)
        module.initialise(x, Context(tuple(site[0] for site in sites)))
        return module


def replayed(device: torch.device) -> bool:
    """Whether a step on that device is captured once as a graph and replayed."""
    return device.type == "cuda"


def step_count(recipe: Recipe, split: Split) -> int:
    """How many steps a run of the recipe takes."""
    return max(1, math.ceil(round(recipe.train.epochs * steps_per_epoch(split, recipe.train.batch), 6)))


def part(name: str) -> contextlib.AbstractContextManager:
    """Names what happens inside for torch's profiler; where none is looking it costs nothing."""
    return torch.profiler.record_function(name) if torch.autograd._profiler_enabled() else contextlib.nullcontext()
