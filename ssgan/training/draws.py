"""`Feed`: what a step is given besides the state: images by their order, noise, latents, and what techniques draw, by
name.
"""

from typing import Any

import numpy
import torch
from torch import Tensor

from ssgan.data.class_shares import class_shares
from ssgan.data.images import Images
from ssgan.data.order import DeviceOrders, epoch_tables
from ssgan.data.splits import Split
from ssgan.models.context import Context
from ssgan.random_streams import stream
from ssgan.techniques.technique import DISCRIMINATOR, GENERATOR, Draw
from ssgan.training import noise
from ssgan.training.gan import REAL, Gan
from ssgan.training.profiled import part

# of the index tables; the generator's update looks at unlabelled images of its own
ROWS = {"labelled": 0, "unlabelled": 1, GENERATOR: 2}
Names = tuple[str | int, ...]


class Feed:
    """The draws of every step of a lane group, from named streams. Where a graph replays the step they come from one
    generator on the device.

    `draws` is a dict by player, of tuples by update, of dicts: images by part [r, n, c, h, w], labels by part [r, n],
    which images the unlabelled ones are ("index") [r, n], the same images without change ("plain"), noise by pass, a
    latent [r, n, z] with the generator's context, what each technique draws, and, the same in all of them, the class
    shares that the labels tell [r, k].
    """

    def __init__(self, gan: Gan, images: Images, splits: list[Split], seeds: tuple[int, ...], steps_per_epoch: int,
                 generator: torch.Generator | None):
        self.gan, self.images, self.splits, self.seeds, self.generator = gan, images, splits, seeds, generator
        self.steps_per_epoch, self.batch = steps_per_epoch, gan.config.batch
        shares = torch.from_numpy(numpy.stack([class_shares(images, split) for split in splits]))
        self.shares = shares.to(images.pixels.device, gan.master)  # [r, k]
        self._limits = [noise.class_limits(lane) for lane in self.shares]
        self.step, self.players, self._epoch = 0, gan.program(0).players, -1
        self.updates = max(gan.players[name].optimiser.updates for name in gan.trained)
        # The first update's orders are the seeds' own.
        self._order_seeds = [seeds] + [tuple(stream(seed, "update", i) for seed in seeds)
                                       for i in range(1, self.updates)]
        self._orders = [DeviceOrders(splits, each, steps_per_epoch, self.batch, images.pixels.device)
                        for each in self._order_seeds] if generator else []
        self._tables: list[Tensor] = []
        self._changes = {name: draw
                         for name, technique in gan.techniques.items() if (draw := technique.change(gan.size))}

    def open(self, step: int, players: tuple[str, ...]) -> None:
        """Makes ready for a step of these players: the epoch's index tables, which a graph finds where the last ones
        were, and the generator's seed.
        """
        self.step, self.players, epoch = step, players, step // self.steps_per_epoch
        if epoch != self._epoch:
            tables = [self._table(update, epoch) for update in range(self.updates)]
            if self._orders and self._tables:
                torch._foreach_copy_(self._tables, tables)
            else:
                self._tables = tables
            self._epoch = epoch
        if self.generator:
            self.generator.manual_seed(stream(self.seeds[0], *self.seeds, "step", step))

    def draw(self, numbers: dict[str, Any], states: dict[str, Any]) -> dict[str, tuple[dict[str, Any], ...]]:
        """The draws of the step that was opened; `states` are the techniques' own."""
        updates = [self._update(i, numbers, states) for i in range(self.updates)]
        return {name: tuple(update[name] for update in updates if name in update) for name in self.players}

    def _table(self, update: int, epoch: int) -> Tensor:
        if self._orders:
            return self._orders[update].epoch_tables(epoch)
        return epoch_tables(self.splits, self._order_seeds[update], epoch, self.steps_per_epoch, self.batch)

    def _update(self, i: int, numbers: dict[str, Any], states: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """Of the players that have so many updates, their draws in number i."""
        players = [name for name in self.players if self.gan.players[name].optimiser.updates > i]
        drawn: dict[str, dict[str, Any]] = {name: {"images": {}, "labels": {}, "index": {}, "plain": {}, "noise": {},
                                                   "latent": None, "context": Context(), "shares": self.shares}
                                            for name in players}
        with part("images"):
            self._put_images(i, drawn, numbers)
        with part("noise"):
            self._put_noise(i, drawn)
            self._put_latents(i, drawn)
            for name in players:
                drawn[name]["techniques"] = {key: self._technique(key, name, i) for key in self.gan.terms[name]}
        with part("images"):
            self._put_chosen(drawn, states)
        return drawn

    def _put_images(self, i: int, drawn: dict[str, dict], numbers: dict[str, Any]) -> None:
        """Those of the data set; players other than the generator look at the same ones."""
        gan, size = self.gan, self.gan.size
        others = [name for name in drawn if name != GENERATOR]
        wanted = [kind for kind in REAL if any(kind in gan.parts[name] for name in others)]
        wanted += [GENERATOR] * (GENERATOR in drawn and "unlabelled" in gan.parts[GENERATOR])
        if not wanted:
            return
        indices = self._indices(i, numbers["step"])
        index = torch.stack([indices[ROWS[name]] for name in wanted], 1)  # [r, kinds, n]
        exact = self.images.gather(index, dtype=gan.master if self._changes else gan.compute)
        found = dict(zip(wanted, exact.unbind(1)))
        if "labelled" in found:
            found["labelled"] = found["labelled"][:, :size.labelled]
        found = self._changed(found, i, numbers)
        for name in others:
            drawn[name]["images"] = {kind: found[kind] for kind in gan.parts[name] if kind in found}
            if "unlabelled" in gan.parts[name]:
                drawn[name]["index"] = {"unlabelled": index[:, wanted.index("unlabelled")]}
            if "labelled" in gan.parts[name]:
                drawn[name]["labels"] = {"labelled": self.images.labels[index[:, 0, :size.labelled]]}
        if DISCRIMINATOR in drawn:
            drawn[DISCRIMINATOR]["plain"] = {kind: exact[:, wanted.index(kind)].to(gan.compute) for kind in gan.teacher}
        if GENERATOR in found:
            drawn[GENERATOR]["images"] = {"unlabelled": found[GENERATOR]}

    def _put_chosen(self, drawn: dict[str, dict], states: dict[str, Any]) -> None:
        """Those that techniques choose, as they are."""
        for name, its in drawn.items():
            for key, technique in self.gan.terms[name].items():
                for kind, (index, labels) in technique.chosen(name, its["techniques"][key], states[key]).items():
                    its["images"][kind] = self.images.gather(index, dtype=self.gan.compute)
                    its["labels"][kind] = labels

    def _changed(self, images: dict[str, Tensor], i: int, numbers: dict[str, Any]) -> dict[str, Tensor]:
        """Images [r, n, c, h, w] by kind, each changed by draws of its own, in the type of the products."""
        lanes, most = len(self.splits), self.batch
        for name, draw in self._changes.items():
            drawn = self._uniform((len(images), most, *draw.shape), (name, *self._names(i)), self.gan.master)
            mine = {kind: drawn[:, number, :x.shape[1]].flatten(0, 1)
                    for number, (kind, x) in enumerate(images.items())}
            changed = self.gan.techniques[name].changed({kind: x.flatten(0, 1) for kind, x in images.items()}, mine,
                                                        numbers["techniques"][name])
            images = {kind: x.unflatten(0, (lanes, -1)) for kind, x in changed.items()}
        return {kind: x.to(self.gan.compute) for kind, x in images.items()}

    def views(self, index: Tensor, numbers: dict[str, Any], random: torch.Generator) -> Tensor:
        """Training images by their index [m], changed as unlabelled ones are in a step with these numbers, by draws
        from a generator on the CPU: [m, c, h, w] in the type of the products.
        """
        device = self.images.pixels.device
        x = self.images.gather(index.to(device), dtype=self.gan.master)
        for name, draw in self._changes.items():
            drawn = torch.rand((len(index), *draw.shape), generator=random).to(device, self.gan.master)
            x = self.gan.techniques[name].changed({"unlabelled": x}, {"unlabelled": drawn},
                                                  numbers["techniques"][name])["unlabelled"]
        return x.to(self.gan.compute)

    def changes(self, numbers: dict[str, Any]) -> tuple[str, ...]:
        """What `views` are changed by, with these numbers: equal where it is the same."""
        return tuple(f"{self.gan.techniques[name]} {numbers['techniques'][name]}" for name in self._changes)

    def _put_noise(self, i: int, drawn: dict[str, dict]) -> None:
        """All of an update in one block: the discriminator's passes in its own update, then those in the generator's.
        """
        template = self.gan.players[DISCRIMINATOR].layout.template
        passes = [(name, key, kinds) for name in (DISCRIMINATOR, GENERATOR) if name in drawn
                  for key, kinds in self.gan.passes[name].items()]
        counts = [[self.gan.counts[kind] for kind in kinds] for _, _, kinds in passes]
        if not passes:
            return
        shapes = [template.noise_shapes(sum(count)) for count in counts]
        sites = noise.normal_sites(sum(shapes, []), self.seeds, ("noise", *self._names(i)), self.gan.compute,
                                   self.generator)
        first = 0
        for (name, key, _), its in zip(passes, shapes):
            drawn[name]["noise"][key] = sites[first: first + len(its)]
            first += len(its)

    def _put_latents(self, i: int, drawn: dict[str, dict]) -> None:
        takers = [name for name in drawn if name == GENERATOR or "generated" in self.gan.parts[name]]
        if takers:
            shape = (len(takers), self.gan.size.generated, self.gan.size.latent)
            for name, latent in zip(takers, self._latents(shape, i).unbind(1)):
                drawn[name]["latent"] = latent
            if any(each.gives_classes for each in self.gan.techniques.values()):
                labels = self._classes(shape[:2], ("classes", *self._names(i))).unbind(1)
                for name, each in zip(takers, labels):
                    drawn[name]["context"] = Context(labels=each)
            self._put_generator_noise(i, {name: drawn[name] for name in takers})

    def _latents(self, shape: tuple[int, ...], i: int) -> Tensor:
        size, names = self.gan.size, self._names(i)
        if size.latent_kind == "uniform":
            latents = self._uniform(shape, ("latent", *names), self.gan.compute)
        else:
            latents = self._normal(shape, ("latent", *names))
        if size.latent_noise:
            latents = torch.add(latents, self._normal(shape, ("latent noise", *names)), alpha=size.latent_noise)
        return latents

    def _put_generator_noise(self, i: int, drawn: dict[str, dict]) -> None:
        shapes = self.gan.players[GENERATOR].layout.template.noise_shapes(self.gan.size.generated)
        for name, its in drawn.items() if shapes else ():
            sites = noise.normal_sites(shapes, self.seeds, ("generator noise", name, *self._names(i)), self.gan.compute,
                                       self.generator)
            its["context"] = its["context"]._replace(noise=sites)

    def _technique(self, name: str, player: str, i: int) -> dict[str, Tensor]:
        """What a technique draws for a player: from its own stream, and where it draws more than one thing from one for
        each.
        """
        technique, size = self.gan.techniques[name], self.gan.size
        wanted = technique.draws(player, size)
        alone = sum(len(technique.draws(other, size)) for other in technique.parts) == 1
        return {key: self._drawn(draw, (name, *(() if alone else (player, key)), *self._names(i)))
                for key, draw in wanted.items()}

    def _drawn(self, draw: Draw, names: Names) -> Tensor:
        if draw.kind == "normal":
            return self._normal(draw.shape, names)
        if draw.kind == "uniform":
            return self._uniform(draw.shape, names, self.gan.compute)
        if draw.kind == "exact":
            return self._uniform(draw.shape, names, torch.float32)
        assert draw.kind == "classes", draw
        return self._classes(draw.shape, names)

    def _classes(self, shape: tuple[int, ...], names: Names) -> Tensor:
        return noise.classes(shape, self.gan.size.classes, self._limits, self.seeds, names, self.generator)

    def _normal(self, shape: tuple[int, ...], names: Names) -> Tensor:
        return noise.normal_sites([shape], self.seeds, names, self.gan.compute, self.generator)[0]

    def _uniform(self, shape: tuple[int, ...], names: Names, dtype: torch.dtype) -> Tensor:
        return noise.uniform(shape, self.seeds, names, dtype, self.generator)

    def _names(self, i: int) -> Names:
        """What a stream of the step is named by besides its use; the first update's have no number."""
        return (self.step, "update", i) if i else (self.step,)

    def _indices(self, i: int, step: Tensor) -> Tensor:
        if self.generator:
            return self._tables[i].index_select(1, step % self.steps_per_epoch)[:, 0]
        return self._tables[i][:, self.step % self.steps_per_epoch]  # [3, r, n]
