"""`HalvingDiscriminator`: what discriminators have in common whose convolutions of stride 2 halve the map."""

import math
from abc import abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ssgan.models.activation import activation
from ssgan.models.context import Context
from ssgan.models.functional import signed
from ssgan.models.layer_noise import LayerNoise, Place
from ssgan.models.layered_discriminator import Apply, LayeredDiscriminator
from ssgan.models.output import hidden_layer, minibatch_layer, output_layer, references
from ssgan.models.plain_layer import PlainLayer
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


class HalvingDiscriminator(LayeredDiscriminator):
    """Convolutions with a norm and leaky ReLU 0.2, or the recipe's activation; under batch norm the first, which sees
    the images, has no norm.

    The features are the last map's mean over its pixels, its largest values, or all of it, by `pooling`. Noise, dropout
    and the minibatch layer stand where those of `small_conv` do.
    """

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

    def _features(self, x: Tensor, context: Context, inner: list[Tensor] | None, apply: Apply) -> Tensor:
        """The last map, pooled or not."""
        scales = self.scales(x)
        if self.references:
            scales = [torch.cat(pair) for pair in zip(self.scales(self.reference.to(x.dtype)), scales, strict=True)]
        whole, *smaller = (signed(scale, self.image_range) for scale in scales)
        x = self.noise(channels_last(whole), 0, context)
        for place, layer in enumerate(self.hidden, 1):
            x = self.activation(apply(layer, x))
            self._append(inner, x)
            x = self.noise(x, place, context)
            if smaller:
                x = torch.cat([x, smaller.pop(0)], 1)
        return pooled(channels_last(x), self.pooling)  # as in small_conv: so does its gradient lie in memory


def _layer(config: ModelConfig, its: Convolution, first: bool, generator: torch.Generator | None) -> nn.Module:
    how = {"kernel": its.kernel, "stride": its.stride, "padding": (its.kernel - 1) // 2}
    if first and config.norm in ("batch", "virtual"):
        return PlainLayer(its.inputs, its.outputs, config.initial_scale, generator, **how)
    return hidden_layer(config, its.inputs, its.outputs, generator, **how)
