"""The layers of a classifier, by the recipe."""

import torch
from torch import nn

from ssgan.models.batch_normed import BatchNormed
from ssgan.models.minibatch import MinibatchLayer
from ssgan.models.plain_layer import PlainLayer
from ssgan.models.settings import ModelConfig
from ssgan.models.spectral_norm import SpectralNorm
from ssgan.models.weight_norm import WeightNorm


def references(config: ModelConfig) -> int:
    """Images in the reference batch of the discriminator's layers; 0 where they have none."""
    return config.reference_images if config.norm == "virtual" else 0


def hidden_layer(config: ModelConfig, inputs: int, outputs: int, generator: torch.Generator | None,
                 **convolution: int) -> nn.Module:
    """`model.norm`: with weight norm, whose scale is fixed, spectral norm, batch norm or none: dense, or a convolution
    of that kernel, stride and padding.
    """
    if config.norm in ("batch", "virtual"):
        return BatchNormed(inputs, outputs, config.initial_scale, generator, gain=config.norm_gain,
                           references=references(config), itself=config.norm == "virtual" and config.reference_itself,
                           joint=config.norm == "batch" and config.norm_batches == "joint", **convolution)
    norm = {"weight": WeightNorm, "spectral": SpectralNorm, "none": PlainLayer}[config.norm]
    return norm(inputs, outputs, config.initial_scale, generator, **convolution)


def minibatch_layer(config: ModelConfig, inputs: int, generator: torch.Generator | None) -> MinibatchLayer | None:
    """`model.minibatch_kernels`, behind the features, where there are some: [n, inputs] -> [n, inputs + kernels]."""
    if config.minibatch_kernels == 0:
        return None
    return MinibatchLayer(inputs, config.minibatch_kernels, config.minibatch_dimensions, config.initial_scale,
                          generator, config.minibatch_distance)


def output_layer(config: ModelConfig, inputs: int, classes: int, generator: torch.Generator | None) -> nn.Module:
    """`model.output`: with weight norm and a trained scale, as in the paper, or plain: [n, inputs] -> [n, classes]."""
    if config.output == "normalised":
        return WeightNorm(inputs, classes, config.initial_scale, generator, train_scale=True)
    return PlainLayer(inputs, classes, config.initial_scale, generator)
