"""DCGAN's pair: strided convolutions down, transposed ones up, no dense hidden layer (Radford et al. 2016, section 3).

With model.norm = batch, model.norm_gain and model.generator_norm_gain, model.pooling = none, model.image_range =
signed, no noise and train.initialise_images = 0 it is the paper's to the letter: batch norm everywhere but in D's first
and G's last layer, ReLU and leaky ReLU 0.2, tanh, weights from N(0, 0.02).
"""

import math

import torch
from torch import Tensor, nn

from ssgan.models.activation import activation
from ssgan.models.canvas import Canvas, canvas_of
from ssgan.models.context import Context
from ssgan.models.functional import as_images, with_classes
from ssgan.models.generator_layers import fill, norm, product, reference_latents
from ssgan.models.generator_layers import with_reference as with_latents
from ssgan.models.halving_discriminator import Convolution, HalvingDiscriminator
from ssgan.models.layer_noise import LayerNoise, Place
from ssgan.models.settings import ModelConfig

FIRST_WEIGHTS = 0.02  # standard deviation of the generator's (section 4); the discriminator's is model.initial_scale
# Kernels that strides divide reach every pixel equally often: no checkerboards.
DOUBLING = {"kernel": 4, "stride": 2, "padding": 1, "transposed": True}


class Discriminator(HalvingDiscriminator):
    """4x4 convolutions of stride 2; `widths` are their channels, and as many halvings of the map: two for 28 pixels a
    side, three for 32, four for 64, five for 128 end in maps of 7x7 and 4x4.

    Images whose sides cannot be halved so often stand in the middle of the next larger black canvas that can: 28 pixels
    in three halvings on 32.
    """

    def __init__(self, config: ModelConfig, shape: tuple[int, int, int], classes: int,
                 generator: torch.Generator | None):
        canvas = canvas_of(shape, len(config.widths), "model.widths")
        channels = (shape[0], *config.widths)
        layers = [Convolution(a, b, canvas.map(number))
                  for number, (a, b) in enumerate(zip(channels, config.widths), 1)]
        super().__init__(config, (shape[0], *canvas.sides), shape, layers, classes, generator)
        self.canvas = canvas

    def scales(self, x: Tensor) -> list[Tensor]:
        """The canvas alone."""
        return [self.canvas.framed(x)]


class Generator(nn.Module):
    """The latent vector's product as a small map, then 4x4 transposed convolutions of stride 2, with the recipe's norm
    and ReLU; the last one, with neither, makes the image. `generator_widths` are the channels of the maps, and as many
    doublings.

    Images whose sides are no doublings are cut from the middle of a larger one. Under spectral norm all layers have it.
    """

    def __init__(self, config: ModelConfig, shape: tuple[int, int, int], generator: torch.Generator | None,
                 classes: int = 0):
        super().__init__()
        self.classes, self.image_range = classes, config.image_range
        self.activation, widths = activation(config.generator_activation, "relu"), config.generator_widths
        self.canvas = canvas_of(shape, len(widths), "model.generator_widths")
        inputs, units = config.latent + classes, widths[0] * math.prod(self.canvas.start)
        self.dense = product(config, inputs, units, generator)
        self.hidden = nn.ModuleList(product(config, a, b, generator, **DOUBLING) for a, b in zip(widths, widths[1:]))
        self.norms = nn.ModuleList(norm(config, width) for width in widths)
        self.output = product(config, widths[-1], shape[0], generator, bias=True, **DOUBLING)
        fill((self.dense, *self.hidden, self.output), generator, FIRST_WEIGHTS)
        nn.init.zeros_(self.output.bias)
        self.noise = LayerNoise(places(self.canvas, widths, config.generator_dropout))
        self.register_buffer("reference", reference_latents(config, generator))
        self.references = 0 if self.reference is None else len(self.reference)
        self.products = inputs * units + doubling_products(self.canvas, (*widths, shape[0]))

    def forward(self, latent: Tensor, context: Context = Context()) -> Tensor:
        """[n, z], and classes in the context where it is told them -> images [n, c, h, w] in [0, 1]."""
        latent, context = with_latents(self.reference, self.classes, latent, context)
        x = self.dense(with_classes(latent, context.labels, self.classes)).unflatten(1, (-1, *self.canvas.start))
        x = self.noise(self.activation(self.norms[0](x)), 0, context)
        for place, (layer, normed) in enumerate(zip(self.hidden, self.norms[1:]), 1):
            x = self.noise(self.activation(normed(layer(x))), place, context)
        return as_images(self.canvas.cropped(self.output(x[self.references:])), self.image_range)

    def noise_shapes(self, n: int) -> list[tuple[int, ...]]:
        """The shapes of the normal draws that one pass over n latent vectors takes."""
        return self.noise.shapes(self.references + n)


def places(canvas: Canvas, widths: tuple[int, ...], dropout: float) -> list[Place]:
    """Behind each map of a generator, from the smallest."""
    return [Place((width, *canvas.map(canvas.halvings - doublings)), dropout=dropout)
            for doublings, width in enumerate(widths)]


def doubling_products(canvas: Canvas, widths: tuple[int, ...]) -> int:
    """Multiply-adds of one image through transposed convolutions between maps of these channels, from the smallest."""
    return sum(16 * a * b * math.prod(canvas.map(canvas.halvings - doublings))
               for doublings, (a, b) in enumerate(zip(widths, widths[1:])))
