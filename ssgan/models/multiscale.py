"""DCGAN's pair with multi-scale gradients: the generator makes its image at every scale, and the discriminator is shown
all of them (Karnewar & Wang 2020, section 2).
"""

import math

import torch
from torch import Tensor, nn

from ssgan.errors import Mistake
from ssgan.models.activation import activation
from ssgan.models.canvas import Canvas, canvas_of
from ssgan.models.context import Context
from ssgan.models.dcgan import DOUBLING, FIRST_WEIGHTS, doubling_products, places
from ssgan.models.functional import as_images, with_classes
from ssgan.models.generator_layers import fill, norm, product, reference_latents
from ssgan.models.generator_layers import with_reference as with_latents
from ssgan.models.halving_discriminator import Convolution, HalvingDiscriminator
from ssgan.models.layer_noise import LayerNoise
from ssgan.models.plain_layer import PlainLayer
from ssgan.models.scales import packed, pyramid, unpacked
from ssgan.models.settings import ModelConfig


class Discriminator(HalvingDiscriminator):
    """4x4 convolutions of stride 2, then a 3x3 one over the smallest map; `widths` are their channels, one more than
    there are halvings. Beside the map of the layer before it, each is given the image at the map's scale.

    Images carry those scales where the generator made them; of others they are averages (models/scales.py).
    """

    def __init__(self, config: ModelConfig, shape: tuple[int, int, int], classes: int,
                 generator: torch.Generator | None):
        canvas = halved_canvas(shape, len(config.widths) - 1, "model.widths")
        inputs = (0, *config.widths)
        layers = [Convolution(a + shape[0], b, canvas.map(number))
                  for number, (a, b) in enumerate(zip(inputs, config.widths[:-1]), 1)]
        layers.append(Convolution(inputs[-2] + shape[0], inputs[-1], canvas.start, kernel=3, stride=1))
        super().__init__(config, shape, shape, layers, classes, generator)
        self.canvas = canvas

    def scales(self, x: Tensor) -> list[Tensor]:
        """Of whole images, or of packed ones."""
        count = self.canvas.halvings + 1
        return unpacked(x, count) if x.shape[-2] > self.canvas.image[0] else pyramid(x, count)


class Generator(nn.Module):
    """The latent vector's product as a small map, then 4x4 transposed convolutions of stride 2 between maps of
    `generator_widths` channels, one more than there are doublings; a 1x1 convolution makes of every map its image.

    In training the images carry their smaller scales (models/scales.py), in evaluation they are the whole ones alone.
    """

    def __init__(self, config: ModelConfig, shape: tuple[int, int, int], generator: torch.Generator | None,
                 classes: int = 0):
        super().__init__()
        self.classes, self.image_range = classes, config.image_range
        self.activation, widths = activation(config.generator_activation, "relu"), config.generator_widths
        self.canvas = halved_canvas(shape, len(widths) - 1, "model.generator_widths")
        inputs, units = config.latent + classes, widths[0] * math.prod(self.canvas.start)
        self.dense = product(config, inputs, units, generator)
        self.hidden = nn.ModuleList(product(config, a, b, generator, **DOUBLING) for a, b in zip(widths, widths[1:]))
        self.norms = nn.ModuleList(norm(config, width) for width in widths)
        fill((self.dense, *self.hidden), generator, FIRST_WEIGHTS)
        self.outputs = nn.ModuleList(PlainLayer(width, shape[0], FIRST_WEIGHTS, generator, kernel=1)
                                     for width in widths)
        self.noise = LayerNoise(places(self.canvas, widths, config.generator_dropout))
        self.register_buffer("reference", reference_latents(config, generator))
        self.references = 0 if self.reference is None else len(self.reference)
        self.products = inputs * units + doubling_products(self.canvas, widths) + sum(
            width * shape[0] * math.prod(self.canvas.map(self.canvas.halvings - doublings))
            for doublings, width in enumerate(widths))

    def forward(self, latent: Tensor, context: Context = Context()) -> Tensor:
        """[n, z], and classes in the context where it is told them -> images [n, c, h, w] in [0, 1], which in training
        are packed.
        """
        latent, context = with_latents(self.reference, self.classes, latent, context)
        x = self.dense(with_classes(latent, context.labels, self.classes)).unflatten(1, (-1, *self.canvas.start))
        maps = []
        for place, normed in enumerate(self.norms):
            x = normed(self.hidden[place - 1](x) if place else x)
            x = self.noise(self.activation(x), place, context)
            maps.append(x[self.references:])
        pairs = list(zip(self.outputs, maps))[::-1]  # the whole image first
        return packed([as_images(output(x), self.image_range) for output, x in pairs[:None if self.training else 1]])

    def noise_shapes(self, n: int) -> list[tuple[int, ...]]:
        """The shapes of the normal draws that one pass over n latent vectors takes."""
        return self.noise.shapes(self.references + n)


def halved_canvas(shape: tuple[int, int, int], halvings: int, key: str) -> Canvas:
    """The canvas of images that can be halved so often without rest. Raises Mistake where they cannot."""
    canvas = canvas_of(shape, halvings, key)
    if halvings < 1 or canvas.sides != canvas.image:
        wrong = "of one layer have no smaller scale" if halvings < 1 else (
            f"ask for images whose sides {2**halvings} divides, and these are {shape[1]}x{shape[2]}")
        raise Mistake(f"{key}: with model.family = multiscale, {halvings + 1} widths {wrong}:\n"
                      f"give other widths, one more than there are halvings, set model.family = dcgan, which frames "
                      f"images, or image_size, where the images are a folder's.")
    return canvas
