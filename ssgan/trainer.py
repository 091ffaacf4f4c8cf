"""`Trainer`: everything that changes in training a lane group, and the update that changes it."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.profiler import record_function

from ssgan import augment, noise
from ssgan.config import Recipe
from ssgan.data.batches import epoch_tables, steps_per_epoch
from ssgan.data.images import Images
from ssgan.data.splits import Split
from ssgan.graphs import Replay
from ssgan.lanes import Stack, over_lanes
from ssgan.layers import Context
from ssgan.models import build_discriminator, build_generator
from ssgan.optimisers import Adam, averaging_weight, learning_rate
from ssgan.resolve import Resolved
from ssgan.sampling import sample_images
from ssgan.seeds import torch_generator
from ssgan.step import DiscriminatorBatch, Weights, discriminator_loss, generator_loss

RECORD_STEPS = 100  # steps of which one record gives the means


@dataclass(frozen=True)
class Failure:
    """The first step at which a lane's measurement was not finite, and which one it was."""

    lane: int
    step: int
    name: str


class Draws(NamedTuple):
    """All that is random in one step, on the device; images are [r, n, c, h, w], and None where no loss needs them."""

    labelled: Tensor
    labels: Tensor  # [r, n]
    unlabelled: Tensor | None
    plain: Tensor | None  # the unlabelled images without augmentation, for the teacher
    for_generator: Tensor | None
    latents: tuple[Tensor, Tensor] | None  # [r, n, z] for the discriminator's step, and for the generator's
    context: Context
    generator_contexts: tuple[Context, Context] | None  # for real images, and for generated ones
    teach: Tensor  # [] 1 where consistency has begun


class Trainer:
    """R lanes of one recipe. `step()` is one update of the discriminators, the generators and both averages."""

    def __init__(self, recipe: Recipe, images: Images, splits: list[Split], seeds: list[int], resolved: Resolved):
        self.recipe, self.config, self.splits, self.seeds = recipe, recipe.train, splits, tuple(seeds)
        self.device, self.compute = torch.device(resolved.device), resolved.dtype
        self.master = torch.promote_types(self.compute, torch.float32)
        self.images = images.to(self.device)
        self.steps_per_epoch = steps_per_epoch(splits[0], self.config.batch)
        self.steps = max(1, math.ceil(round(self.config.epochs * self.steps_per_epoch, 6)))
        self.weights = Weights(recipe.gan.weight, recipe.consistency.weight)
        self.with_generator, self.with_consistency = recipe.gan.weight > 0, recipe.consistency.weight > 0
        self.done = self.first = 0  # steps made, in all and before this process
        self.seconds = 0.0  # spent in steps, over all processes
        self._table_epoch, self._tables = -1, torch.empty(0)

        discriminators = [self._initialised(lane) for lane in range(len(seeds))]
        generators = [build_generator(recipe.model, images.shape, torch_generator(seed, "generator weights")) for seed in seeds]
        self.noise_shapes = discriminators[0].noise_shapes
        self.discriminator, self.generator = self.stacks = [
            Stack(modules).to(self.device, self.master) for modules in (discriminators, generators)]
        self.adams = [Adam(stack.flat, self.config) for stack in self.stacks]
        corrected = self.config.averaging == "corrected"
        self.averages = [stack.flat.clone() if corrected else torch.zeros_like(stack.flat) for stack in self.stacks]
        # The weights in the type of the products, made anew after each update and used until the next.
        self._copies = [stack.flat.to(self.compute) for stack in self.stacks]
        self._averaging = torch.zeros((), device=self.device, dtype=self.master) if self.device.type == "cuda" else 0.0
        self._number = torch.zeros((), device=self.device, dtype=torch.int64)  # of the step, for the device
        self.names = self._measured()
        self.sums = torch.zeros(len(seeds), len(self.names), dtype=self.master, device=self.device)
        self.first_bad = torch.full((len(seeds), len(self.names) + 1), -1, dtype=torch.int64, device=self.device)
        self._replay = Replay(self._update) if self.device.type == "cuda" else self._update

    def step(self) -> None:
        """One update of everything."""
        rate = learning_rate(self.config, self.done, self.steps)
        for adam in self.adams:
            adam.set_rate(rate)
        self._set_averaging(averaging_weight(self.config, self.done + 1))
        self._number.fill_(self.done)
        self._replay(self._draw())
        self.done += 1

    def read(self) -> dict[str, list[float]]:
        """The means since the last call; one read from the device."""
        count = (self.done - 1) % RECORD_STEPS + 1
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

    def sample(self, lane: int, start: int, count: int, *, average: bool) -> Tensor:
        """Generated images [count, c, h, w] of one lane, float32 in [0, 1], on the CPU."""
        module = build_generator(self.recipe.model, self.images.shape, torch_generator(0))
        module.load_state_dict(self.generator_state(lane, average=average))
        return sample_images(module, self.recipe, self.seeds[lane], start, count)

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
        for name, target in self.discriminator.fixed.items():
            target.copy_(state["fixed"][name])
        for adam, saved in zip(self.adams, state["adam"]):
            for name, target in adam.state.items():
                target.copy_(saved[name])
        for i in range(len(self.stacks)):
            self._refresh(i)

    def _update(self, draws: Draws) -> None:
        """The update as a program of tensors alone: nothing is drawn, nothing is read back, nothing depends on Python's numbers."""
        # Update the discriminator.
        batch = self._discriminator_batch(draws)
        leaf = self._leaf(0)
        with record_function("discriminator pass"):
            losses, parts = over_lanes(self._discriminator_loss, self.discriminator.tensors(leaf), batch, draws.context)
        self._descend(0, losses, leaf)

        # Update the generator against the new discriminator.
        if self.with_generator:
            leaf = self._leaf(1)
            with record_function("generator pass"):
                losses = over_lanes(self._generator_loss, self.generator.tensors(leaf), self.discriminator.tensors(self._copies[0]),
                                    draws.latents[1], draws.for_generator, draws.generator_contexts)
            self._descend(1, losses, leaf)
            parts["generator_loss"] = losses.detach()

        # Measure, and note the first value of each lane that is not finite.
        values = torch.stack([parts[name].to(self.master) for name in self.names], 1)  # [r, m]
        self.sums += values
        seen = self.first_bad[:, :-1]
        seen.copy_(torch.where((seen < 0) & ~values.isfinite(), self._number, seen))

    def _descend(self, which: int, losses: Tensor, leaf: Tensor) -> None:
        """One Adam step of the discriminators (0) or the generators (1), and of their average."""
        with record_function("backward"):
            gradient = torch.autograd.grad(losses.sum(), leaf)[0].to(self.master)
        with record_function("adam"):
            self.adams[which].step(gradient)
        with record_function("averaging"):
            self.averages[which].lerp_(self.stacks[which].flat, self._averaging)
        self._refresh(which)

    def _set_averaging(self, weight: float) -> None:
        if isinstance(self._averaging, Tensor):  # read from the device where a graph replays the step
            self._averaging.fill_(weight)
        else:
            self._averaging = weight

    def _leaf(self, which: int) -> Tensor:
        return self._copies[which].detach().requires_grad_()

    def _refresh(self, which: int) -> None:
        with record_function("cast"):
            self._copies[which].copy_(self.stacks[which].flat)

    def _discriminator_loss(self, tensors, batch: DiscriminatorBatch, context: Context):
        return discriminator_loss(lambda x, c: self.discriminator.call(tensors, x, c), batch, context, self.weights)

    def _generator_loss(self, tensors, fixed, latent: Tensor, real: Tensor, contexts: tuple[Context, Context]):
        generated = self.generator.call(tensors, latent)
        return generator_loss(lambda x, c: self.discriminator.call(fixed, x, c, method="features"), real, generated, *contexts)

    def _discriminator_batch(self, draws: Draws) -> DiscriminatorBatch:
        generated = targets = confident = None
        if self.with_generator:
            with torch.no_grad(), record_function("generated images"):
                generated = over_lanes(self.generator.call, self.generator.tensors(self._copies[1]), draws.latents[0])
        if self.with_consistency:
            with record_function("teacher"):
                probability, targets = self.averaged_logits(draws.plain).to(self.master).softmax(-1).max(-1)
                confident = (probability >= self.recipe.consistency.threshold) * draws.teach
        return DiscriminatorBatch(draws.labelled, draws.labels, draws.unlabelled, generated, targets, confident)

    def _draw(self) -> Draws:
        labelled, unlabelled, for_generator = self._indices()
        n, pool = self.config.batch, self.with_generator or self.with_consistency
        with record_function("images"):
            images = (
                self._real(labelled, "labelled"), self.images.labels[labelled],
                self._real(unlabelled, "unlabelled") if pool else None,
                self.images.gather(unlabelled, dtype=self.compute) if self.with_consistency else None,
                self._real(for_generator, "generator") if self.with_generator else None)
        with record_function("noise"):
            latents = contexts = None
            if self.with_generator:
                latents = self._latent("discriminator"), self._latent("generator")
                contexts = self._context("real noise", n), self._context("generated noise", n)
            context = self._context("discriminator noise", n * (1 + pool + self.with_generator))
        teach = self.done >= self.recipe.consistency.start * self.steps
        return Draws(*images, latents, context, contexts, torch.tensor(float(teach), dtype=self.master, device=self.device))

    def _real(self, index: Tensor, name: str) -> Tensor:
        if not augment.is_on(self.recipe.augment):
            return self.images.gather(index, dtype=self.compute)
        x = self.images.gather(index, dtype=self.master)  # [r, n, c, h, w]
        draw = noise.uniform((x.shape[1], 6), self.seeds, ("augment", name, self.done), self.master, self.device) * 2 - 1
        changed = augment.affine(x.flatten(0, 1), draw.flatten(0, 1), self.recipe.augment)
        return changed.to(self.compute).unflatten(0, x.shape[:2])

    def _latent(self, name: str) -> Tensor:
        return noise.uniform((self.config.batch, self.recipe.model.latent), self.seeds, ("latent", name, self.done), self.compute, self.device)

    def _context(self, name: str, n: int) -> Context:
        return Context(noise.normal_sites(self.noise_shapes(n), self.seeds, (name, self.done), self.compute, self.device))

    def _indices(self) -> Tensor:
        epoch, within = divmod(self.done, self.steps_per_epoch)
        if epoch != self._table_epoch:
            self._tables = epoch_tables(self.splits, self.seeds, epoch, self.steps_per_epoch, self.config.batch, self.device)
            self._table_epoch = epoch
        return self._tables[:, within]  # [3, r, n]

    def _measured(self) -> list[str]:
        names = ["labelled_loss"]
        names += ["unlabelled_loss"] * self.with_generator + ["consistency_loss", "confident"] * self.with_consistency
        return names + ["labelled_error"] + ["generator_loss"] * self.with_generator

    def _initialised(self, lane: int):
        """A discriminator after the data-dependent initialisation on random images of all that this recipe may see, noise on."""
        seed, split = self.seeds[lane], self.splits[lane]
        pool = torch.from_numpy(split.unlabelled if self.with_generator or self.with_consistency else split.labelled)
        module = build_discriminator(self.recipe.model, self.images.shape, len(self.images.classes), torch_generator(seed, "discriminator weights"))
        order = torch.randperm(len(pool), generator=torch_generator(seed, "initialisation images"))
        x = self.images.gather(pool[order[: self.config.initialise_images]]).cpu()
        sites = noise.normal_sites(module.noise_shapes(len(x)), (seed,), ("initialisation noise",), torch.float32)
        module.initialise(x, Context(tuple(site[0] for site in sites)))
        return module


def pair_size(recipe: Recipe, images: Images) -> int:
    """The number of trained parameters of the pair, found without allocating them."""
    with torch.device("meta"):
        pair = (build_discriminator(recipe.model, images.shape, len(images.classes), None), build_generator(recipe.model, images.shape, None))
    return sum(value.numel() for module in pair for value in module.parameters())
