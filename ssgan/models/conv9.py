"""The paper's pair for CIFAR-10 and SVHN: nine convolutions, and a generator of three deconvolutions (Salimans et al.
2016, section 6.2, and the authors' scripts).
"""

import math

import torch
from torch import Tensor, nn

from ssgan.errors import Mistake
from ssgan.models.activation import activation
from ssgan.models.context import Context
from ssgan.models.deconvolution import deconvolution
from ssgan.models.functional import as_images, signed, standardising, with_classes
from ssgan.models.generator_layers import fill, norm, product, reference_latents
from ssgan.models.generator_layers import with_reference as with_latents
from ssgan.models.layer_noise import LayerNoise, Place
from ssgan.models.layered_discriminator import Apply, LayeredDiscriminator
from ssgan.models.output import hidden_layer, minibatch_layer, output_layer, references
from ssgan.models.settings import ModelConfig
from ssgan.models.small_conv import channels_last
from ssgan.models.weight_norm import WeightNorm

LAYERS = ((3, 1, 1), (3, 1, 1), (3, 2, 1),  # kernel, stride, padding
          (3, 1, 1), (3, 1, 1), (3, 2, 1),
          (3, 1, 0), (1, 1, 0), (1, 1, 0))
SMALLEST = 9  # pixels a side that leave the unpadded convolution a map of 3
GENERATOR_SCALE = 0.05  # standard deviation of the generator's first weights
FIRST_DEVIATION, FIRST_IMAGES = 0.1, 100  # of its first outputs before tanh, over so many images


class Discriminator(LayeredDiscriminator):
    """Nine convolutions, the third and sixth with stride 2, the seventh unpadded, the last two 1x1; leaky ReLU 0.2, or
    the recipe's activation, the map's mean, and a dense layer. `widths` are the nine channels: 96 three times, 192 six
    times in the paper's for CIFAR-10, 64 and 128 for SVHN.

    `model.norm`, the minibatch layer and Gaussian noise are as in the family conv; dropout stands on the input and
    behind the two convolutions with a stride. Nothing is drawn for noise that is 0. Raises Mistake for another
    number of widths and for images below 9 pixels a side.
    """

    def __init__(self, config: ModelConfig, shape: tuple[int, int, int], classes: int, generator: torch.Generator):
        super().__init__()
        _check(config, shape)
        self.output_scale, self.image_range = config.output_scale, config.image_range
        self.activation = activation(config.activation, "leaky")
        channels, maps = [shape[0], *config.widths], [shape[1:]]
        for kernel, stride, padding in LAYERS:
            maps.append(tuple((side + 2 * padding - kernel) // stride + 1 for side in maps[-1]))
        self.references = references(config)
        if self.references:
            self.register_buffer("reference", torch.zeros(self.references, *shape))
        self.hidden = nn.ModuleList(
            hidden_layer(config, a, b, generator, kernel=kernel, stride=stride, padding=padding)
            for a, b, (kernel, stride, padding) in zip(channels, channels[1:], LAYERS))
        self.minibatch = minibatch_layer(config, channels[-1], generator)
        self.width = channels[-1] + config.minibatch_kernels
        self.output = output_layer(config, self.width, classes, generator)
        self.noise = LayerNoise([Place(shape, config.input_noise or None, config.input_dropout),
                                 *(Place((width, *sides), dropout=config.dropout if stride > 1 else 0.0)
                                   for width, sides, (_, stride, _) in zip(config.widths, maps[1:], LAYERS)),
                                 Place((self.width,), config.hidden_noise or None)])
        self.products = sum(kernel ** 2 * a * b * math.prod(sides) for a, b, sides, (kernel, _, _) in zip(
            channels, channels[1:], maps[1:], LAYERS)) + self.width * classes
        self.products += channels[-1] * config.minibatch_kernels * config.minibatch_dimensions

    def _features(self, x: Tensor, context: Context, inner: list[Tensor] | None, apply: Apply) -> Tensor:
        """The last map's mean."""
        x = channels_last(self.noise(signed(self._with_reference(x), self.image_range), 0, context))
        for place, layer in enumerate(self.hidden, 1):
            x = self.activation(apply(layer, x))
            self._append(inner, x)
            x = self.noise(x, place, context)
        return channels_last(x).mean((2, 3))  # so that its gradient lies in memory as the map does


def _check(config: ModelConfig, shape: tuple[int, int, int]) -> None:
    if len(config.widths) != len(LAYERS):
        raise Mistake(f"model.widths = {list(config.widths)}: the family conv9 wants the widths of {len(LAYERS)} "
                      f"convolutions,\nas [96, 96, 96, 192, 192, 192, 192, 192, 192].")
    if min(shape[1:]) < SMALLEST:
        raise Mistake(f"model.family = conv9 wants images of {SMALLEST} pixels a side at least, of which its strides "
                      f"leave 3, and these have {shape[1]}x{shape[2]}.\nTake a recipe of another family, as mnist.")


class Generator(nn.Module):
    """A dense layer to a small map, 5x5 deconvolutions that double its size, batch norm without gain and ReLU, or the
    recipe's norm and activation, and dropout; the last deconvolution has weight norm with a trained scale.

    `generator_widths` are the channels: 512, 256, 128 in the paper's, from 4x4 to 32x32 pixels. Batch norm behind the
    dense layer is by unit, not by channel. Scale and bias of the output are set on generated images, so that before
    tanh they have mean 0 and standard deviation 0.1.
    """

    def __init__(self, config: ModelConfig, shape: tuple[int, int, int], generator: torch.Generator | None,
                 classes: int = 0):
        super().__init__()
        self.shape, self.classes, self.image_range = shape, classes, config.image_range
        self.activation, widths = activation(config.generator_activation, "relu"), config.generator_widths
        self.start = [math.ceil(side / 2 ** len(widths)) for side in shape[1:]]
        units = widths[0] * math.prod(self.start)
        self.dense = product(config, config.latent + classes, units, generator)
        self.hidden = nn.ModuleList(product(config, a, b, generator, kernel=5, padding=2)
                                    for a, b in zip(widths, widths[1:]))
        self.norms = nn.ModuleList(norm(config, width) for width in (units, *widths[1:]))
        self.noise = LayerNoise([Place((width, *(side * 2**doublings for side in self.start)),
                                       dropout=config.generator_dropout) for doublings, width in enumerate(widths)])
        fill((self.dense, *self.hidden), generator, GENERATOR_SCALE)
        self.output = WeightNorm(widths[-1], shape[0], GENERATOR_SCALE, generator, kernel=5, padding=2,
                                 train_scale=True)
        self.register_buffer("reference", reference_latents(config, generator))
        self.references = 0 if self.reference is None else len(self.reference)
        places = [math.prod(self.start) * 4**doublings for doublings in range(len(widths))]
        self.products = (config.latent + classes) * units + sum(
            25 * a * b * count for a, b, count in zip(widths, (*widths[1:], shape[0]), places))
        if generator is not None:
            self._initialise(config, generator)

    def forward(self, latent: Tensor, context: Context = Context()) -> Tensor:
        """[n, z], and classes in the context where it is told them -> images [n, c, h, w] in [0, 1]."""
        latent, context = with_latents(self.reference, self.classes, latent, context)
        return as_images(self._pixels(latent, context), self.image_range)

    def noise_shapes(self, n: int) -> list[tuple[int, ...]]:
        """The shapes of the normal draws that one pass over n latent vectors takes."""
        return self.noise.shapes(self.references + n)

    def _pixels(self, latent: Tensor, context: Context) -> Tensor:
        """Before tanh: latent vectors [m + n, z] with the reference batch's in front -> [n, c, h, w]."""
        x = self.norms[0](self.dense(with_classes(latent, context.labels, self.classes)))
        x = self.noise(self.activation(x).unflatten(1, (-1, *self.start)), 0, context)
        for place, (layer, normed) in enumerate(zip(self.hidden, self.norms[1:]), 1):
            x = self.noise(self.activation(normed(deconvolution(layer, x))), place, context)
        return deconvolution(self.output, x[self.references:])[:, :, :self.shape[1], :self.shape[2]]

    @torch.no_grad()
    def _initialise(self, config: ModelConfig, generator: torch.Generator) -> None:
        """The output layer's data-dependent initialisation, on images of drawn latent vectors, their classes in turn.
        """
        draw = torch.rand if config.latent_kind == "uniform" else torch.randn
        labels = torch.arange(FIRST_IMAGES) % self.classes if self.classes else None
        latent, context = with_latents(self.reference, self.classes, draw(
            FIRST_IMAGES, config.latent, generator=generator), Context(labels=labels))
        mean, factor = standardising(self._pixels(latent, context), FIRST_DEVIATION)
        self.output.scale.mul_(factor)
        self.output.bias.copy_((self.output.bias - mean) * factor)
