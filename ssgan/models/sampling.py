"""Generated images: number i of a seed is the same image whenever and in whatever company it is asked for."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ssgan.models.context import Context
from ssgan.random_streams import torch_generator


@dataclass(frozen=True, eq=False)
class Sampler:
    """A trained generator and the latent vectors of a seed.

    A generator that is told classes gets drawn ones, all equally likely, or always `label`. Images come in batches of
    the training size, for batch norm may use the batch's own statistics: image i belongs to batch i // batch whatever
    is asked for.
    """

    name: str
    generator: nn.Module
    latent: int  # numbers in a latent vector
    batch: int
    seed: int
    uses: tuple[str, ...] = ("samples",)  # what the random streams are named by, after latent or classes
    normal: bool = False  # whether latent numbers are normal; else uniform on [0, 1)
    label: int | None = None
    latent_noise: float = 0.0  # standard deviation of noise on a latent vector, which it was trained with
    noisy: bool = False  # whether its layers have the noise here that they had in training

    @property
    def conditional(self) -> bool:
        """Whether the generator is told classes."""
        return self.generator.classes > 0

    @torch.no_grad()
    def images(self, start: int, count: int) -> Tensor:
        """Images number `start` to start + count: float32 [count, c, h, w] in [0, 1]."""
        device, batches = next(self.generator.parameters()).device, []
        for number in self._batches(start, count):
            z = self._latent(number).to(device)
            labels = self._labels(number).to(device) if self.conditional else None
            sites = tuple(site.to(device) for site in self._noise(number)) if self.noisy else ()
            batches.append(self.generator(z, Context(sites, labels)))
        return self._cut(batches, start, count)

    def labels(self, start: int, count: int) -> Tensor | None:
        """The classes that those images were asked for, int64 [count]; None from a generator that is told none."""
        if not self.conditional:
            return None
        return self._cut([self._labels(number) for number in self._batches(start, count)], start, count)

    def _batches(self, start: int, count: int) -> range:
        return range(start // self.batch, -(-(start + count) // self.batch))

    def _cut(self, batches: list[Tensor], start: int, count: int) -> Tensor:
        first = start % self.batch
        return torch.cat(batches)[first: first + count]

    def _latent(self, batch: int) -> Tensor:
        draw = torch.randn if self.normal else torch.rand
        z = draw(self.batch, self.latent, generator=torch_generator(self.seed, "latent", *self.uses, batch))
        if self.latent_noise:
            random = torch_generator(self.seed, "latent noise", *self.uses, batch)
            z = z + self.latent_noise * torch.randn(z.shape, generator=random)
        return z

    def _noise(self, batch: int) -> list[Tensor]:
        random = torch_generator(self.seed, "generator noise", *self.uses, batch)
        return [torch.randn(shape, generator=random) for shape in self.generator.noise_shapes(self.batch)]

    def _labels(self, batch: int) -> Tensor:
        if self.label is not None:
            return torch.full((self.batch,), self.label)
        random = torch_generator(self.seed, "classes", *self.uses, batch)
        return torch.randint(self.generator.classes, (self.batch,), generator=random)
