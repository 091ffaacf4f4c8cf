"""`LayeredDiscriminator`: what the discriminators of most families have in common."""

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ssgan.models.context import Context
from ssgan.models.reference import with_reference, without_reference

Apply = Callable[[nn.Module, Tensor], Tensor]  # what a hidden layer makes of its input


class LayeredDiscriminator(nn.Module, ABC):
    """Hidden layers, whose last activations, pooled or not, are the features; behind these the minibatch layer, noise
    and the output layer. With virtual batch norm the reference batch goes through it with every pass.

    A subclass sets `hidden`, `minibatch` (or None), `output`, `output_scale`, `noise`, whose last place is what the
    output layer is given, and `references`, with the buffer `reference` where these are not 0.
    """

    couples_batch = False

    def noise_shapes(self, n: int) -> list[tuple[int, ...]]:
        """The shapes of the normal draws that one pass over n images takes."""
        return self.noise.shapes(self.references + n)

    def forward(self, x: Tensor, context: Context = Context(),
                inner: list[Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """[n, c, h, w] in [0, 1] -> (logits [n, k], features [n, f]); `inner` as `features` has it."""
        features = self._features(x, context, inner, _plain)
        compared = features if self.minibatch is None else self.minibatch(features)
        logits = self.output(self._noisy(compared, context))
        return without_reference(self, logits), without_reference(self, features)

    def features(self, x: Tensor, context: Context = Context(), inner: list[Tensor] | None = None) -> Tensor:
        """What the minibatch and the output layer are given, before noise: [n, f]. The activations [n, ...] of every
        hidden layer, or of every group of them, are appended to `inner`, before their noise and dropout.
        """
        return without_reference(self, self._features(x, context, inner, _plain))

    def initialise(self, x: Tensor, context: Context) -> None:
        """Data-dependent initialisation, layer after layer, noise on."""
        x = self._features(x, context, None, _initialised)
        if self.minibatch is not None:
            x = self.minibatch.initialise(x)
        self.output.initialise(self._noisy(x, context), self.output_scale)

    @abstractmethod
    def _features(self, x: Tensor, context: Context, inner: list[Tensor] | None, apply: Apply) -> Tensor:
        """The features with the reference batch among the images: [m + n, f]."""

    def _with_reference(self, x: Tensor) -> Tensor:
        return with_reference(self, x)

    def _append(self, inner: list[Tensor] | None, x: Tensor) -> None:
        if inner is not None:
            inner.append(without_reference(self, x))

    def _noisy(self, x: Tensor, context: Context) -> Tensor:
        return self.noise(x, len(self.noise.places) - 1, context)


def _plain(layer: nn.Module, x: Tensor) -> Tensor:
    return layer(x)


def _initialised(layer: nn.Module, x: Tensor) -> Tensor:
    # In the plain layout, also of one channel, sums round as they did when all earlier runs' first weights were made.
    return layer.initialise(x.clone(memory_format=torch.contiguous_format))
