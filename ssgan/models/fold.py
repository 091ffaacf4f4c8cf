"""Folding: a network's layers as plain ones that compute the same, for evaluation and hand-over."""

import copy

import torch
from torch import nn

from ssgan.errors import Mistake
from ssgan.models import couples_batch
from ssgan.models.spectral_norm import SpectralNorm
from ssgan.models.weight_norm import WeightNorm


def fold(discriminator: nn.Module) -> nn.Module:
    """A copy with plain layers in the place of normalised ones, for evaluation alone. Raises Mistake where a batch is
    coupled.
    """
    if couples_batch(discriminator):
        raise Mistake("this discriminator couples the images of a batch: what it says of one image depends on the "
                      "others, so that it cannot\n"
                      "be handed over as a classifier of single images. Train one without such a layer.")
    return _folded(copy.deepcopy(discriminator)).eval().requires_grad_(False)


def _folded(module: nn.Module) -> nn.Module:
    if isinstance(module, WeightNorm | SpectralNorm):
        return _plain(module)
    for name, child in module.named_children():
        setattr(module, name, _folded(child))
    return module


@torch.no_grad()
def _plain(layer: WeightNorm | SpectralNorm) -> nn.Module:
    weight, bias = layer.folded()
    if weight.dim() == 2:
        plain = nn.Linear(weight.shape[1], weight.shape[0], device="meta")
    else:
        plain = nn.Conv2d(weight.shape[1], weight.shape[0], weight.shape[2], layer.stride, layer.padding, device="meta")
    plain.weight, plain.bias = nn.Parameter(weight), nn.Parameter(bias)
    return plain
