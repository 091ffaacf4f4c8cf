"""The training loop: R lanes in one batched program, yielding what it measures."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ssgan import augment, checkpoints
from ssgan.config import Recipe
from ssgan.data.batches import epoch_tables, steps_per_epoch
from ssgan.data.images import Images
from ssgan.data.splits import Split
from ssgan.lanes import Stack, over_lanes
from ssgan.layers import Context
from ssgan.models import build_discriminator, build_generator
from ssgan.noise import normal_sites
from ssgan.optimisers import Adam, averaging_weight, learning_rate
from ssgan.resolve import Resolved
from ssgan.seeds import torch_generator
from ssgan.step import DiscriminatorBatch, Weights, discriminator_loss, generator_loss

RECORD_STEPS = 100  # steps of which one record gives the means
SHEETS = 8  # sample sheets in a run
SHEET_IMAGES = 100
MONITORS = 40  # looks at the validation images in a run


@dataclass(frozen=True)
class Record:
    """Means since the last record, one number a lane; `step` is the number of steps done."""

    step: int
    values: dict[str, list[float]]


@dataclass(frozen=True)
class Sheet:
    """Generated images of every lane: uint8 [r, n, c, h, w]."""

    step: int
    images: Tensor


@dataclass(frozen=True)
class Failure:
    """The first step at which a lane's measurement was not finite, and which one it was."""

    lane: int
    step: int
    name: str


class Interrupted(Exception):
    """Training was asked to stop; a checkpoint has been saved at `step`."""

    def __init__(self, step: int):
        super().__init__(f"stopped at step {step}")
        self.step = step


class Trainer:
    """Everything that changes in training a lane group, and the update that changes it."""

    def __init__(self, recipe: Recipe, images: Images, splits: list[Split], seeds: list[int], resolved: Resolved):
        self.recipe, self.config, self.splits, self.seeds = recipe, recipe.train, splits, seeds
        self.device, self.compute = torch.device(resolved.device), resolved.dtype
        self.master = torch.promote_types(self.compute, torch.float32)
        self.images = images.to(self.device)
        self.steps_per_epoch = steps_per_epoch(splits[0], self.config.batch)
        self.steps = max(1, math.ceil(self.config.epochs * self.steps_per_epoch))
        self.weights = Weights(recipe.gan.weight, recipe.consistency.weight)
        self.done = self.first = 0  # steps made, in all and before this process
        self.seconds = 0.0  # spent in steps, over all processes
        self._table_epoch, self._tables = -1, torch.empty(0)

        shape, classes = tuple(images.pixels.shape[1:]), len(images.classes)
        discriminators = [self._initialised(lane, shape, classes) for lane in range(len(seeds))]
        self.noise_shapes = discriminators[0].noise_shapes
        self.discriminator = Stack(discriminators).to(self.device, self.master)
        self.generator = Stack([build_generator(recipe.model, shape, torch_generator(seed, "generator weights"))
                                for seed in seeds]).to(self.device, self.master)
        self.adams = [Adam(stack.flat, self.config) for stack in (self.discriminator, self.generator)]
        corrected = self.config.averaging == "corrected"
        self.averages = [stack.flat.clone() if corrected else torch.zeros_like(stack.flat)
                         for stack in (self.discriminator, self.generator)]
        self.names = self._measured()
        self.sums = torch.zeros(len(seeds), len(self.names), dtype=self.master, device=self.device)
        self.first_bad = torch.full((len(seeds), len(self.names)), -1, dtype=torch.int64, device=self.device)

    @property
    def with_generator(self) -> bool:
        """Whether a generator is trained at all."""
        return self.weights.unlabelled > 0

    def step(self) -> None:
        """One update of the discriminator, one of the generator, one of both averages."""
        labelled, unlabelled, for_generator = self._indices()
        batch = self._discriminator_batch(labelled, unlabelled)
        rate = learning_rate(self.config, self.done, self.steps)
        weight = averaging_weight(self.config, self.done + 1)

        # Update the discriminator.
        leaf = self._compute_copy(self.discriminator)
        present = sum(x is not None for x in (batch.labelled, batch.unlabelled, batch.generated))
        context = self._context("discriminator noise", present * self.config.batch)
        losses, parts = over_lanes(self._discriminator_loss, self.discriminator.tensors(leaf), batch, context)
        self.adams[0].step(self._gradient(losses, leaf), rate)
        self.averages[0].lerp_(self.discriminator.flat, weight)

        # Update the generator against the new discriminator.
        if self.with_generator:
            real = self._real(for_generator, "generator")
            leaf = self._compute_copy(self.generator)
            contexts = self._context("real noise", self.config.batch), self._context("generated noise", self.config.batch)
            fixed = self.discriminator.tensors(self.discriminator.flat.to(self.compute))
            losses = over_lanes(self._generator_loss, self.generator.tensors(leaf), fixed, self._latent("generator"), real, contexts)
            self.adams[1].step(self._gradient(losses, leaf), rate)
            self.averages[1].lerp_(self.generator.flat, weight)
            parts["generator_loss"] = losses.detach()

        self._measure(parts)
        self.done += 1

    def read(self) -> dict[str, list[float]]:
        """The means since the last call; one read from the device."""
        count = (self.done - 1) % RECORD_STEPS + 1
        means = (self.sums / count).T.tolist()
        self.sums.zero_()
        return dict(zip(self.names, means))

    def failures(self) -> list[Failure]:
        """The lanes that have met a value that was not finite, with the first one of each."""
        found = []
        for lane, row in enumerate(self.first_bad.tolist()):
            bad = [(step, i) for i, step in enumerate(row) if step >= 0]
            if bad:
                step, i = min(bad)
                found.append(Failure(lane, step, self.names[i]))
        return found

    @torch.no_grad()
    def sample(self, lane: int, start: int, count: int, *, average: bool) -> Tensor:
        """Generated images [count, c, h, w], float32 in [0, 1]; drawn in batches of the training size, see `sample_images`."""
        flat = self.averages[1] if average else self.generator.flat
        module = build_generator(self.recipe.model, self.images.shape, torch_generator(0))
        module.load_state_dict(self.generator.state(lane, flat))
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
            "flat": [self.discriminator.flat, self.generator.flat], "fixed": self.discriminator.fixed,
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

    def _discriminator_loss(self, tensors, batch: DiscriminatorBatch, context: Context):
        return discriminator_loss(lambda x, c: self.discriminator.call(tensors, x, c), batch, context, self.weights)

    def _generator_loss(self, tensors, fixed, latent: Tensor, real: Tensor, contexts: tuple[Context, Context]):
        generated = self.generator.call(tensors, latent)
        return generator_loss(lambda x, c: self.discriminator.call(fixed, x, c), real, generated, *contexts)

    def _discriminator_batch(self, labelled: Tensor, unlabelled: Tensor) -> DiscriminatorBatch:
        teach = self.weights.consistency > 0 and self.done >= self.recipe.consistency.start * self.steps
        real = generated = targets = confident = None
        if self.with_generator or self.weights.consistency > 0:
            real = self._real(unlabelled, "unlabelled")
        if self.with_generator:
            with torch.no_grad():
                tensors = self.generator.tensors(self.generator.flat.to(self.compute))
                generated = over_lanes(self.generator.call, tensors, self._latent("discriminator"))
        if self.weights.consistency > 0:
            plain = self.images.gather(unlabelled, dtype=self.compute)
            probability, targets = self.averaged_logits(plain).float().softmax(-1).max(-1)
            confident = (probability >= self.recipe.consistency.threshold).to(self.master) * teach
        return DiscriminatorBatch(self._real(labelled, "labelled"), self.images.labels[labelled], real, generated, targets, confident)

    def _real(self, index: Tensor, name: str) -> Tensor:
        if not augment.is_on(self.recipe.augment):
            return self.images.gather(index, dtype=self.compute)
        x = self.images.gather(index, dtype=self.master)  # [r, n, c, h, w]
        draw = [augment.draws(x.shape[1], torch_generator(seed, "augment", name, self.done)) for seed in self.seeds]
        changed = augment.affine(x.flatten(0, 1), torch.cat(draw).to(x), self.recipe.augment)
        return changed.to(self.compute).unflatten(0, x.shape[:2])

    def _latent(self, name: str) -> Tensor:
        shape = self.config.batch, self.recipe.model.latent
        draws = [torch.rand(shape, generator=torch_generator(seed, "latent", name, self.done)) for seed in self.seeds]
        return torch.stack(draws).to(self.device, self.compute)

    def _context(self, name: str, n: int) -> Context:
        sites = normal_sites(self.noise_shapes(n), tuple(self.seeds), (name, self.done), self.compute)
        return Context(tuple(site.to(self.device) for site in sites))

    def _indices(self) -> Tensor:
        epoch, within = divmod(self.done, self.steps_per_epoch)
        if epoch != self._table_epoch:
            tables = epoch_tables(self.splits, self.seeds, epoch, self.steps_per_epoch, self.config.batch)
            self._table_epoch, self._tables = epoch, tables.to(self.device)
        return self._tables[:, within]  # [3, r, n]

    def _compute_copy(self, stack: Stack) -> Tensor:
        return stack.flat.to(self.compute, copy=True).requires_grad_()

    def _gradient(self, losses: Tensor, leaf: Tensor) -> Tensor:
        return torch.autograd.grad(losses.sum(), leaf)[0].to(self.master)

    def _measured(self) -> list[str]:
        names = ["labelled_loss"]
        names += ["unlabelled_loss"] * self.with_generator + ["consistency_loss", "confident"] * (self.weights.consistency > 0)
        return names + ["labelled_error"] + ["generator_loss"] * self.with_generator

    def _measure(self, parts: dict[str, Tensor]) -> None:
        values = torch.stack([parts[name].to(self.master) for name in self.names], 1)  # [r, m]
        self.sums += values
        self.first_bad.masked_fill_((self.first_bad < 0) & ~values.isfinite(), self.done)

    def _initialised(self, lane: int, shape, classes: int):
        """A discriminator after the data-dependent initialisation on random images of the whole pool, noise on."""
        seed, split = self.seeds[lane], self.splits[lane]
        module = build_discriminator(self.recipe.model, shape, classes, torch_generator(seed, "discriminator weights"))
        pool = torch.from_numpy(split.unlabelled)
        order = torch.randperm(len(pool), generator=torch_generator(seed, "initialisation images"))
        index = pool[order[: self.config.initialise_images]].to(self.device)
        x = self.images.gather(index).float().cpu()
        noise = normal_sites(module.noise_shapes(len(x)), (seed,), ("initialisation noise",), torch.float32)
        module.initialise(x, Context(tuple(site[0] for site in noise)))
        return module


@torch.no_grad()
def sample_images(generator: torch.nn.Module, recipe: Recipe, seed: int, start: int, count: int) -> Tensor:
    """Generated images number `start` to start + count of a seed: float32 [count, c, h, w] in [0, 1].

    Batch norm uses batch statistics, so they come in batches of the training size: image i belongs to batch i // size whatever is asked for.
    """
    size, device = recipe.train.batch, next(generator.parameters()).device
    batches = []
    for number in range(start // size, -(-(start + count) // size)):
        latent = torch.rand(size, recipe.model.latent, generator=torch_generator(seed, "latent", "samples", number))
        batches.append(generator(latent.to(device)))
    first = start % size
    return torch.cat(batches)[first: first + count]


def train(trainer: Trainer, checkpoint: Path, *, checkpoint_seconds: float = 30.0,
          should_stop: Callable[[], bool] = lambda: False, before_save: Callable[[], object] = lambda: None) -> Iterator[Record | Sheet | Failure]:
    """Runs the trainer to its last step, yielding records, sheets and failures; goes on from the checkpoint if there is one.

    A failed lane keeps its rows of the last good checkpoint and the others go on; with no lane left the loop ends.
    `before_save` brings to the disk what was yielded. Raises Interrupted after saving when `should_stop` says so.
    """
    if checkpoint.exists():
        trainer.restore(checkpoints.load(checkpoint))
    known: set[int] = set()
    saved = time.monotonic()
    monitor_steps, sheet_steps = (_multiple(trainer.steps / parts) for parts in (MONITORS, SHEETS))
    clock = time.monotonic()
    while trainer.done < trainer.steps:
        trainer.step()
        trainer.seconds, clock = trainer.seconds + time.monotonic() - clock, time.monotonic()
        last = trainer.done == trainer.steps
        if trainer.done % RECORD_STEPS == 0 or last:
            failures = [failure for failure in trainer.failures() if failure.lane not in known]
            yield Record(trainer.done, trainer.read())
            yield from failures
            known |= {failure.lane for failure in failures}
            if len(known) == len(trainer.seeds):
                return
        if trainer.done % monitor_steps == 0 or last:
            yield from _monitor(trainer)
        if trainer.with_generator and (trainer.done % sheet_steps == 0 or last):
            yield Sheet(trainer.done, _sheet(trainer))
        stop = should_stop()
        if stop or time.monotonic() - saved > checkpoint_seconds:
            before_save()
            save(trainer, checkpoint)
            saved = time.monotonic()
        if stop:
            raise Interrupted(trainer.done)


def pair_size(recipe: Recipe, images: Images) -> int:
    """The number of trained parameters of the pair, found without allocating them."""
    with torch.device("meta"):
        pair = (build_discriminator(recipe.model, images.shape, len(images.classes), None), build_generator(recipe.model, images.shape, None))
    return sum(value.numel() for module in pair for value in module.parameters())


def save(trainer: Trainer, path: Path) -> None:
    """Saves the trainer; rows of lanes that have failed stay as the last good checkpoint has them."""
    state = trainer.state()
    bad = [failure.lane for failure in trainer.failures()]
    if bad and path.exists():
        good = checkpoints.load(path)
        state = {**state, **{key: [_rows(new, old, bad) for new, old in zip(state[key], good[key])] for key in ("averages", "flat")}}
    if len(bad) < len(trainer.seeds):
        checkpoints.save(path, state)


def _rows(new: Tensor, old: Tensor, lanes: list[int]) -> Tensor:
    kept = new.cpu().clone()
    kept[lanes] = old[lanes]
    return kept


def _multiple(steps: float) -> int:
    """The steps as a multiple of the record's, so that looks fall together."""
    return max(1, round(steps / RECORD_STEPS)) * RECORD_STEPS


def _monitor(trainer: Trainer) -> Iterator[Record]:
    """The averaged classifiers' error on the validation images of each lane, where there are any."""
    if not len(trainer.splits[0].validation):
        return
    index = torch.stack([torch.from_numpy(split.validation) for split in trainer.splits]).to(trainer.device)
    wrong = torch.zeros(len(trainer.seeds), device=trainer.device)
    for part in index.split(1000, 1):
        logits = trainer.averaged_logits(trainer.images.gather(part, dtype=trainer.master))
        wrong += (logits.argmax(-1) != trainer.images.labels[part]).sum(1)
    yield Record(trainer.done, {"val/error": (wrong / index.shape[1]).tolist()})


def _sheet(trainer: Trainer) -> Tensor:
    lanes = [trainer.sample(lane, 0, SHEET_IMAGES, average=True) for lane in range(len(trainer.seeds))]
    return (torch.stack(lanes) * 255).round().to(torch.uint8).cpu()
