"""A small convolutional pair for images of 8 to 64 pixels: strided convolutions or average pooling down,
nearest-neighbour upsampling or transposed convolutions up.
"""

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from ssgan.models.activation import activation
from ssgan.models.context import Context
from ssgan.models.functional import as_images, signed, with_classes
from ssgan.models.generator_layers import doubling, enlarged, fill, norm, product, reference_latents
from ssgan.models.generator_layers import with_reference as with_latents
from ssgan.models.layer_noise import LayerNoise, Place
from ssgan.models.layered_discriminator import Apply, LayeredDiscriminator
from ssgan.models.output import hidden_layer, minibatch_layer, output_layer, references
from ssgan.models.settings import ModelConfig
from ssgan.models.weight_norm import WeightNorm

SMALLEST_MAP = 7.5  # pixels a side to which strides that are not given bring images of 16, 28, 32 or 64


class Discriminator(LayeredDiscriminator):
    """3x3 convolutions with the recipe's norm and strides, leaky ReLU 0.2 or the recipe's activation; `widths` are the
    channels. With `downsampling = "average"` a map is as large as its convolution's input, and the mean over squares of
    a stride's side is taken behind the activation.

    The features are the last map's mean over its pixels, or its largest values, or with `pooling = "none"` all of the
    map, which knows where things are. Gaussian noise falls on the input and on the features, dropout on the input and
    on the maps behind convolutions with a stride; with `minibatch_kernels` the minibatch layer stands between the
    features and their noise.
    """

    def __init__(self, config: ModelConfig, shape: tuple[int, int, int], classes: int, generator: torch.Generator):
        super().__init__()
        self.output_scale, self.image_range = config.output_scale, config.image_range
        self.shape, self.pooling = shape, config.pooling
        channels = [shape[0], *config.widths]
        strides = strides_of(config, shape)
        self.activation, averaged = activation(config.activation, "leaky"), config.downsampling == "average"
        self.squares = strides if averaged else [1] * len(strides)  # over which a mean is taken
        maps = list(itertools.accumulate(strides, lambda sides, stride: [-(-side // stride) for side in sides],
                                         initial=shape[1:]))[1:]
        self.width = channels[-1] * (math.prod(maps[-1]) if self.pooling == "none" else 1)
        self.products = sum(9 * a * b * math.prod(sides) for a, b, sides in zip(
            channels, channels[1:], [shape[1:], *maps] if averaged else maps)) + self.width * classes
        self.references = references(config)
        if self.references:
            self.register_buffer("reference", torch.zeros(self.references, *shape))
        self.hidden = nn.ModuleList(
            hidden_layer(config, a, b, generator, kernel=3, stride=1 if averaged else stride, padding=1)
            for a, b, stride in zip(channels, channels[1:], strides))
        self.minibatch = minibatch_layer(config, self.width, generator)
        self.products += self.width * config.minibatch_kernels * config.minibatch_dimensions
        self.width += config.minibatch_kernels
        self.output = output_layer(config, self.width, classes, generator)
        # The input, every map, and what the output layer is given.
        self.noise = LayerNoise([Place(shape, config.input_noise, config.input_dropout),
                                 *(Place((width, *sides), dropout=config.dropout if stride > 1 else 0.0)
                                   for width, sides, stride in zip(config.widths, maps, strides)),
                                 Place((self.width,), config.hidden_noise)])

    def _features(self, x: Tensor, context: Context, inner: list[Tensor] | None, apply: Apply) -> Tensor:
        """The last map, pooled or not."""
        x = channels_last(self.noise(signed(self._with_reference(x), self.image_range), 0, context))
        for place, layer in enumerate(self.hidden, 1):
            x = self._smaller(self.activation(apply(layer, x)), place)
            self._append(inner, x)
            x = self.noise(x, place, context)
        return self._pooled(x)

    def _smaller(self, x: Tensor, place: int) -> Tensor:
        """A map behind the layer of that number, from 1: its mean over squares, at the edges over what is there."""
        square = self.squares[place - 1]
        return x if square == 1 else functional.avg_pool2d(x, square, ceil_mode=True, count_include_pad=False)

    def _pooled(self, x: Tensor) -> Tensor:
        # copies nothing, but its gradient then lies in memory as the map does: leaky ReLU's backward takes a twentieth
        # of the time
        x = channels_last(x)
        return pooled(x, self.pooling)


def pooled(x: Tensor, how: str) -> Tensor:
    """`model.pooling`: a map's mean or largest values, or all of it: [n, c, h, w] -> [n, f]."""
    if how == "none":
        return x.flatten(1)
    return x.mean((2, 3)) if how == "mean" else x.amax((2, 3))


def channels_last(x: Tensor) -> Tensor:
    """The same images [n, c, h, w], in memory pixel by pixel: convolutions with few channels take two thirds of the
    time so.

    Written with views, as under vmap, which knows no memory formats; strides say the format of a single channel too.
    """
    return x.movedim(1, -1).flatten().view(x.shape[0], *x.shape[2:], x.shape[1]).movedim(-1, 1)


def strides_of(config: ModelConfig, shape: tuple[int, int, int]) -> list[int]:
    """The stride of each convolution of a discriminator of images of that shape."""
    count = len(config.widths)
    if 0 in config.strides:
        halvings = min(count, max(0, round(math.log2(max(shape[1:]) / SMALLEST_MAP))))
        return [2] * halvings + [1] * (count - halvings)
    return list(itertools.islice(itertools.cycle(config.strides), count))


class Generator(nn.Module):
    """A dense layer to a small map, then 3x3 convolutions behind nearest-neighbour upsampling, or transposed ones, that
    double its size, batch norm and ReLU, or the recipe's norm and activation, and dropout; `generator_widths` are the
    channels.

    `pixelwise`: whether its maps lie in memory pixel by pixel, which on a CPU with products in bf16 halves its time.
    """

    def __init__(self, config: ModelConfig, shape: tuple[int, int, int], generator: torch.Generator | None,
                 classes: int = 0, *, pixelwise: bool = False):
        super().__init__()
        self.pixelwise = pixelwise
        self.shape, self.classes, self.image_range = shape, classes, config.image_range
        self.upsampling = config.upsampling
        self.activation, widths = activation(config.generator_activation, "relu"), config.generator_widths
        self.start = [math.ceil(side / 2 ** (len(widths) - 1)) for side in shape[1:]]
        inputs, places = config.latent + classes, [math.prod(self.start) * 4**i for i in range(len(widths))]
        self.dense = product(config, inputs, widths[0] * places[0], generator)
        self.noise = LayerNoise([Place((width, *(side * 2**doublings for side in self.start)),
                                       dropout=config.generator_dropout) for doublings, width in enumerate(widths)])
        self.norms = nn.ModuleList(norm(config, width) for width in widths)
        self.hidden = nn.ModuleList(doubling(config, a, b, generator) for a, b in zip(widths, widths[1:]))
        fill((self.dense, *self.hidden), generator)
        self.output = WeightNorm(widths[-1], shape[0], 0.1, generator, kernel=3, padding=1, train_scale=True)
        self.register_buffer("reference", reference_latents(config, generator))
        self.references = 0 if self.reference is None else len(self.reference)
        taps = 4 if config.upsampling == "transposed" else 9  # of a pixel of a doubled map
        self.products = inputs * widths[0] * places[0] + 9 * widths[-1] * shape[0] * places[-1]
        self.products += sum(taps * a * b * count for a, b, count in zip(widths, widths[1:], places[1:]))

    def forward(self, latent: Tensor, context: Context = Context()) -> Tensor:
        """[n, z], and classes in the context where it is told them -> images [n, c, h, w] in [0, 1]."""
        latent, context = with_latents(self.reference, self.classes, latent, context)
        x = self.dense(with_classes(latent, context.labels, self.classes)).unflatten(1, (-1, *self.start))
        x = channels_last(x) if self.pixelwise else x
        x = self.noise(self.activation(self.norms[0](x)), 0, context)
        for place, (layer, normed) in enumerate(zip(self.hidden, self.norms[1:]), 1):
            x = self.noise(self.activation(normed(layer(enlarged(x, self.upsampling)))), place, context)
        height, width = self.shape[1:]
        return as_images(self.output(x[self.references:])[:, :, :height, :width], self.image_range)

    def noise_shapes(self, n: int) -> list[tuple[int, ...]]:
        """The shapes of the normal draws that one pass over n latent vectors takes."""
        return self.noise.shapes(self.references + n)
