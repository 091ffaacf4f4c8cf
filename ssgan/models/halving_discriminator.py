"""`HalvingDiscriminator`: what discriminators have in common whose convolutions of stride 2 halve the map."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ssgan.models.activation import activation
from ssgan.models.context import Context
from ssgan.models.functional import signed
from ssgan.models.layer_noise import LayerNoise, Place
from ssgan.models.output import hidden_layer, minibatch_layer, output_layer, references
from ssgan.models.plain_layer import PlainLayer
from ssgan.models.reference import without_reference
from ssgan.models.settings import ModelConfig
from ssgan.models.small_conv import channels_last, pooled


class Convolution(NamedTuple):
    """One of its layers."""

    inputs: int  # channels, as the next
    outputs: int
    sides: tuple[int, int]  # of its map
    kernel: int = 4
    stride: int = 2

    @property
    def products(self) -> int:
        """Multiply-adds of one image."""
        return self.kernel**2 * self.inputs * self.outputs * math.prod(self.sides)


class HalvingDiscriminator(nn.Module, ABC):
    """Convolutions with a norm and leaky ReLU 0.2, or the recipe's activation; under batch norm the first, which sees
    the images, has no norm.

    The features are the last map's mean over its pixels, its largest values, or all of it, by `pooling`. Noise, dropout
    and the minibatch layer stand where those of `small_conv` do.
    """

    couples_batch = False

    def __init__(self, config: ModelConfig, image: tuple[int, int, int], shape: tuple[int, int, int],
                 layers: list[Convolution], classes: int, generator: torch.Generator | None):
        """`image` [c, h, w] is what the first layer sees, `shape` what the network is given."""
        super().__init__()
        self.output_scale, self.image_range = config.output_scale, config.image_range
        self.activation, self.pooling = activation(config.activation, "leaky"), config.pooling
        self.references = references(config)
        if self.references:
            self.register_buffer("reference", torch.zeros(self.references, *shape))
        self.hidden = nn.ModuleList(_layer(config, layer, number == 0, generator)
                                    for number, layer in enumerate(layers))
        self.width = layers[-1].outputs * (math.prod(layers[-1].sides) if self.pooling == "none" else 1)
        self.products = sum(layer.products for layer in layers) + self.width * (
            classes + config.minibatch_kernels * config.minibatch_dimensions) + config.minibatch_kernels * classes
        self.minibatch = minibatch_layer(config, self.width, generator)
        self.width += config.minibatch_kernels
        self.output = output_layer(config, self.width, classes, generator)
        self.noise = LayerNoise([Place(image, config.input_noise, config.input_dropout),
                                 *(Place((layer.outputs, *layer.sides), dropout=config.dropout * (layer.stride > 1))
                                   for layer in layers),
                                 Place((self.width,), config.hidden_noise)])

    @abstractmethod
    def scales(self, x: Tensor) -> list[Tensor]:
        """What the first layer sees of images [n, ...] in [0, 1], and what every further one sees beside the map of the
        layer before it.
        """

    def noise_shapes(self, n: int) -> list[tuple[int, ...]]:
        """The shapes of the normal draws that one pass over n images takes."""
        return self.noise.shapes(self.references + n)

    def forward(self, x: Tensor, context: Context = Context(),
                inner: list[Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """[n, c, h, w] in [0, 1] -> (logits [n, k], features [n, f]); `inner` as `features` has it."""
        features = self._features(x, context, inner)
        compared = features if self.minibatch is None else self.minibatch(features)
        logits = self.output(self.noise(compared, len(self.hidden) + 1, context))
        return without_reference(self, logits), without_reference(self, features)

    def features(self, x: Tensor, context: Context = Context(), inner: list[Tensor] | None = None) -> Tensor:
        """What the minibatch and the output layer are given, before their noise: [n, f]. Every layer's activations
        [n, c, h, w], before their dropout, are appended to `inner`.
        """
        return without_reference(self, self._features(x, context, inner))

    def initialise(self, x: Tensor, context: Context) -> None:
        """Data-dependent initialisation, layer after layer, noise on."""
        x = self._features(x, context, None, lambda layer, x: layer.initialise(x))
        if self.minibatch is not None:
            x = self.minibatch.initialise(x)
        self.output.initialise(self.noise(x, len(self.hidden) + 1, context), self.output_scale)

    def _features(self, x: Tensor, context: Context, inner: list[Tensor] | None,
                  apply: Callable[[nn.Module, Tensor], Tensor] = lambda layer, x: layer(x)) -> Tensor:
        """With the reference batch among the images."""
        scales = self.scales(x)
        if self.references:
            scales = [torch.cat(pair) for pair in zip(self.scales(self.reference.to(x.dtype)), scales, strict=True)]
        whole, *smaller = (signed(scale, self.image_range) for scale in scales)
        x = self.noise(channels_last(whole), 0, context)
        for place, layer in enumerate(self.hidden, 1):
            x = self.activation(apply(layer, x))
            if inner is not None:
                inner.append(without_reference(self, x))
            x = self.noise(x, place, context)
            if smaller:
                x = torch.cat([x, smaller.pop(0)], 1)
        return pooled(channels_last(x), self.pooling)  # as in small_conv: so does its gradient lie in memory


def _layer(config: ModelConfig, its: Convolution, first: bool, generator: torch.Generator | None) -> nn.Module:
    how = {"kernel": its.kernel, "stride": its.stride, "padding": (its.kernel - 1) // 2}
    if first and config.norm in ("batch", "virtual"):
        return PlainLayer(its.inputs, its.outputs, config.initial_scale, generator, **how)
    return hidden_layer(config, its.inputs, its.outputs, generator, **how)
