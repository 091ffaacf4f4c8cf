"""Images that stand for a network's company: a reference batch in training, and what a batch was in evaluation."""

import torch
from torch import Tensor, nn

from ssgan.models.batch_normed import BatchNormed
from ssgan.models.context import Context
from ssgan.models.minibatch import MinibatchLayer
from ssgan.models.minibatch_halves import MinibatchHalves


def with_reference(module: nn.Module, x: Tensor) -> Tensor:
    """Images [n, c, h, w] behind the module's reference batch, where it has one: [m + n, c, h, w]."""
    return torch.cat([module.reference.to(x.dtype), x]) if module.references else x


def without_reference(module: nn.Module, y: Tensor) -> Tensor:
    """What it says of the others: [m + n, ...] -> [n, ...]."""
    return y[module.references:] if module.references else y


@torch.no_grad()
def settle(discriminator: nn.Module, images: Tensor, generated: int = 0) -> None:
    """Layers that couple a batch by its statistics keep those of these images [r, c, h, w] for good, of which the last
    ones may be generated, seen with today's weights and without noise.
    """
    layers = [layer for layer in discriminator.modules() if isinstance(layer, BatchNormed) and layer.couples_batch]
    for layer in layers:
        layer.settling = True
    if layers:
        discriminator.features(images, Context(generated=generated))
    for layer in layers:
        layer.settling = False


@torch.no_grad()
def refer(discriminator: nn.Module, images: Tensor, generated: int = 0) -> None:
    """A discriminator's layer that compares images of a batch with one another is given these in their place
    [r, c, h, w], of which the last ones may be generated, seen with today's weights and without noise.
    """
    for layer in discriminator.modules():
        if isinstance(layer, MinibatchLayer):
            layer.refer(discriminator.features(images))
        if isinstance(layer, MinibatchHalves):
            layer.refer(discriminator.features(images, Context(generated=generated)), generated)
