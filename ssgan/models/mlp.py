"""The paper's MNIST pair: perceptrons of any widths (Salimans et al. 2016; 1000-500-250-250-250 and 500-500)."""

import math

import torch
from torch import Tensor, nn

from ssgan.models.activation import activation
from ssgan.models.context import Context
from ssgan.models.functional import as_images, signed, with_classes
from ssgan.models.generator_layers import fill, norm, product, reference_latents
from ssgan.models.generator_layers import with_reference as with_latents
from ssgan.models.layer_noise import LayerNoise, Place
from ssgan.models.layered_discriminator import Apply, LayeredDiscriminator
from ssgan.models.output import hidden_layer, minibatch_layer, output_layer, references
from ssgan.models.settings import ModelConfig
from ssgan.models.weight_norm import WeightNorm


class Discriminator(LayeredDiscriminator):
    """Dense layers with the recipe's norm, ReLU or the recipe's activation, Gaussian noise and dropout on the input and
    after each hidden layer; `widths` are the hidden units. With `minibatch_kernels` the minibatch layer stands behind
    the last ones, before their noise.
    """

    def __init__(self, config: ModelConfig, shape: tuple[int, int, int], classes: int, generator: torch.Generator):
        super().__init__()
        self.output_scale, self.image_range = config.output_scale, config.image_range
        self.activation = activation(config.activation, "relu")
        sizes = [math.prod(shape), *config.widths]
        self.references = references(config)
        if self.references:
            self.register_buffer("reference", torch.zeros(self.references, *shape))
        self.hidden = nn.ModuleList(hidden_layer(config, a, b, generator) for a, b in zip(sizes, sizes[1:]))
        self.minibatch = minibatch_layer(config, sizes[-1], generator)
        compared = sizes[-1] * config.minibatch_kernels * config.minibatch_dimensions
        sizes[-1] += config.minibatch_kernels
        self.output = output_layer(config, sizes[-1], classes, generator)
        self.noise = LayerNoise([Place((sizes[0],), config.input_noise, config.input_dropout),
                                 *(Place((size,), config.hidden_noise, config.dropout) for size in sizes[1:])])
        self.products = products([*sizes, classes]) + compared

    def _features(self, x: Tensor, context: Context, inner: list[Tensor] | None, apply: Apply) -> Tensor:
        """The last hidden layer."""
        x = signed(self._with_reference(x).flatten(1), self.image_range)
        for i, layer in enumerate(self.hidden):
            x = self.activation(apply(layer, self.noise(x, i, context)))
            self._append(inner, x)
        return x


class Generator(nn.Module):
    """Dense layers with batch norm without gain and softplus, or the recipe's norm and activation, and dropout; a
    weight-normalised output layer and a sigmoid, or tanh.
    """

    def __init__(self, config: ModelConfig, shape: tuple[int, int, int], generator: torch.Generator | None,
                 classes: int = 0):
        super().__init__()
        self.shape, self.classes, self.image_range = shape, classes, config.image_range
        self.activation = activation(config.generator_activation, "softplus")
        self.noise = LayerNoise([Place((size,), dropout=config.generator_dropout) for size in config.generator_widths])
        sizes = [config.latent + classes, *config.generator_widths]
        self.hidden = nn.ModuleList(product(config, a, b, generator) for a, b in zip(sizes, sizes[1:]))
        fill(self.hidden, generator)
        self.norms = nn.ModuleList(norm(config, size) for size in sizes[1:])
        self.products = products([*sizes, math.prod(shape)])
        self.output = WeightNorm(sizes[-1], math.prod(shape), 0.1, generator, train_scale=True)
        nn.init.xavier_uniform_(self.output.direction, generator=generator)
        self.register_buffer("reference", reference_latents(config, generator))
        self.references = 0 if self.reference is None else len(self.reference)

    def forward(self, latent: Tensor, context: Context = Context()) -> Tensor:
        """[n, z], and classes in the context where it is told them -> images [n, c, h, w] in [0, 1]."""
        latent, context = with_latents(self.reference, self.classes, latent, context)
        x = with_classes(latent, context.labels, self.classes)
        for i, (layer, normed) in enumerate(zip(self.hidden, self.norms)):
            x = self.noise(self.activation(normed(layer(x))), i, context)
        return as_images(self.output(x[self.references:]), self.image_range).unflatten(1, self.shape)

    def noise_shapes(self, n: int) -> list[tuple[int, ...]]:
        """The shapes of the normal draws that one pass over n latent vectors takes."""
        return self.noise.shapes(self.references + n)


def products(sizes: list[int]) -> int:
    """Multiply-adds of one image through dense layers of these widths."""
    return sum(a * b for a, b in zip(sizes, sizes[1:]))
