"""The last layer of a classifier, by the recipe."""

import torch
from torch import nn

from ssgan.models.dense import Dense
from ssgan.models.settings import ModelConfig
from ssgan.models.weight_norm import WeightNorm


def output_layer(config: ModelConfig, inputs: int, classes: int, generator: torch.Generator | None) -> nn.Module:
    """`model.output`: with weight norm and a trained scale, as in the paper, or plain: [n, inputs] -> [n, classes]."""
    if config.output == "normalised":
        return WeightNorm(inputs, classes, config.initial_scale, generator, train_scale=True)
    return Dense(inputs, classes, config.initial_scale, generator)
