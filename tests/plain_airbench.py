"""The discriminator of `airbench`, slow and plain."""

import plain_networks as plain
import torch
from torch import Tensor

from ssgan.config import Recipe


def answers(recipe: Recipe, weights: dict[str, Tensor], x: Tensor, draws: list[Tensor], masks,
            hidden: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Groups of two convolutions behind the whitening one; noise of deviation 0 has no draw."""
    model, draws, slope = recipe.model, iter(draws), {"family": 0.1, "relu": 0, "leaky": 0.2}[recipe.model.activation]
    first = model.input_noise * next(draws) if model.input_noise else 0
    last = model.hidden_noise * next(draws) if model.hidden_noise else 0
    x = plain.drop(x + first, model.input_dropout, masks)
    y = plain.convolution(weights["whitening"], weights["whitening_bias"], x, stride=1, border=0)
    x = torch.where(y > 0, y, slope * y)
    for i, name in enumerate(plain.layers(weights)):
        y = plain.conv_hidden(recipe, weights, name, x, stride=1)
        if i % 2 == 0:
            height, width = y.shape[2] // 2 * 2, y.shape[3] // 2 * 2
            y = torch.stack([y[:, :, a:height:2, b:width:2] for a in (0, 1) for b in (0, 1)]).max(0)[0]
        x = torch.where(y > 0, y, slope * y)
        if i % 2 == 1:
            hidden.append(x)
            x = plain.drop(x, model.dropout, masks)
    features = plain.pooled(recipe, x)
    return plain.dense(weights, "output", plain.compared(recipe, weights, features) + last), features
