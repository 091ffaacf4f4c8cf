"""A fast pair for small colour images: a discriminator after airbench (Jordan 2024), and the small convolutional
generator.
"""

import functools
import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from ssgan.errors import Mistake
from ssgan.models.activation import activation
from ssgan.models.context import Context
from ssgan.models.functional import signed
from ssgan.models.layer_noise import LayerNoise, Place
from ssgan.models.layered_discriminator import Apply, LayeredDiscriminator
from ssgan.models.output import hidden_layer, minibatch_layer, output_layer, references
from ssgan.models.settings import ModelConfig
from ssgan.models.small_conv import Generator as ConvGenerator
from ssgan.models.small_conv import channels_last, pooled
from ssgan.models.weight_norm import WeightNorm
from ssgan.models.whitening import SIDE, filters_of, whitening

Generator = functools.partial(ConvGenerator, pixelwise=True)  # otherwise that of `conv`


class Discriminator(LayeredDiscriminator):
    """A fixed 2x2 whitening convolution, then a group for each of `widths`: convolution, max pool of 2, leaky ReLU,
    convolution, leaky ReLU; all 3x3, with the recipe's norm, and its activation in place of leaky ReLU 0.1.

    The features are the last map's largest values, its mean, or all of it, by `pooling`. The whitening is that of the
    images of the data-dependent initialisation. Convolutions begin as the identity in as many channels as they have
    inputs. Gaussian noise falls on the input and on the features, dropout on the input and behind every group.
    """

    def __init__(self, config: ModelConfig, shape: tuple[int, int, int], classes: int, generator: torch.Generator):
        super().__init__()
        self.output_scale, self.image_range = config.output_scale, config.image_range
        self.shape, self.pooling = shape, config.pooling
        self.activation = activation(config.activation, "leaky 0.1")  # half the time of GELU on a CPU in bf16
        maps = maps_of(shape, len(config.widths))
        self.references = references(config)
        if self.references:
            self.register_buffer("reference", torch.zeros(self.references, *shape))
        first = filters_of(shape[0])
        self.register_buffer("whitening", torch.zeros(first, shape[0], SIDE, SIDE))
        self.whitening_bias = nn.Parameter(torch.zeros(first))
        channels = [first, *(width for width in config.widths for _ in range(2))]
        self.hidden = nn.ModuleList(hidden_layer(config, a, b, generator, kernel=3, padding=1)
                                    for a, b in zip(channels, channels[1:]))
        if generator is not None:
            for layer in self.hidden:
                begin_as_identity(layer, config.initial_scale)
        last = maps[-1][0] * maps[-1][1]
        self.width = config.widths[-1] * (last if self.pooling == "none" else 1)
        places = [side[0] * side[1] for pair in zip(maps, maps[1:]) for side in pair]  # of each convolution's outputs
        self.products = filters_of(shape[0]) * shape[0] * SIDE**2 * places[0] + sum(
            9 * a * b * count for a, b, count in zip(channels, channels[1:], places)) + self.width * classes
        self.minibatch = minibatch_layer(config, self.width, generator)
        self.products += self.width * config.minibatch_kernels * config.minibatch_dimensions
        self.width += config.minibatch_kernels
        self.output = output_layer(config, self.width, classes, generator)
        # The input, behind every group, and what the output layer is given.
        self.noise = LayerNoise([Place(shape, config.input_noise or None, config.input_dropout),
                                 *(Place((width, *sides), dropout=config.dropout)
                                   for width, sides in zip(config.widths, maps[1:])),
                                 Place((self.width,), config.hidden_noise or None)])

    def initialise(self, x: Tensor, context: Context) -> None:
        """The whitening by images without noise, then the data-dependent initialisation."""
        with torch.no_grad():
            for own, found in zip((self.whitening, self.whitening_bias), whitening(signed(x, self.image_range))):
                own.copy_(found)
        super().initialise(x, context)

    def _features(self, x: Tensor, context: Context, inner: list[Tensor] | None, apply: Apply) -> Tensor:
        """The last map, pooled or not."""
        x = self._whitened(self.noise(signed(self._with_reference(x), self.image_range), 0, context))
        for place, (wider, further) in enumerate(self._groups(), 1):
            x = self.activation(apply(further, self.activation(halved(apply(wider, x)))))
            self._append(inner, x)
            x = self.noise(x, place, context)
        return pooled(x, self.pooling)

    def _groups(self) -> Iterator[tuple[nn.Module, nn.Module]]:
        """The two convolutions of each."""
        return zip(self.hidden[::2], self.hidden[1::2])

    def _whitened(self, x: Tensor) -> Tensor:
        return self.activation(functional.conv2d(channels_last(x), self.whitening, self.whitening_bias))


def halved(x: Tensor) -> Tensor:
    """The largest value of every 2x2 pixels: [n, c, h, w] -> [n, c, h // 2, w // 2]."""
    return functional.max_pool2d(x, 2)


def maps_of(shape: tuple[int, int, int], groups: int) -> list[tuple[int, int]]:
    """Height and width of the whitened map, and behind each group. Raises Mistake where nothing would be left."""
    maps = [(shape[1] - SIDE + 1, shape[2] - SIDE + 1)]
    for _ in range(groups):
        maps.append((maps[-1][0] // 2, maps[-1][1] // 2))
    if min(maps[-1]) < 1:
        raise Mistake(f"model.family = airbench halves the images' map once for each of its {groups} widths, and of "
                      f"{shape[2]}x{shape[1]} pixels nothing is left:\nset fewer model.widths, or another "
                      f"model.family.")
    return maps


@torch.no_grad()
def begin_as_identity(layer: nn.Module, std: float) -> None:
    """As many of a convolution's outputs as it has inputs are these inputs, in a length that rows of normal numbers of
    that deviation have.
    """
    weight = layer.direction if isinstance(layer, WeightNorm) else layer.weight
    outputs, inputs = weight.shape[:2]
    kept = min(outputs, inputs)
    weight[:kept] = nn.init.dirac_(torch.empty_like(weight[:kept])) * std * math.sqrt(weight[0].numel())
