"""`Classifier`: a discriminator as it is handed over, from plain images to logits and probabilities."""

import copy

import torch
from torch import Tensor, nn

from ssgan.errors import Mistake
from ssgan.layers import Context, WeightNorm


class Classifier(nn.Module):
    """Plain images, uint8 [n, c, h, w] of any n, -> float32 (logits [n, k], probabilities [n, k]).

    Weight norm is folded in, noise is gone, the scaling to [0, 1] is part of it. Raises Mistake for a discriminator that couples a batch.
    """

    def __init__(self, discriminator: nn.Module):
        super().__init__()
        self.network = fold(discriminator).float().cpu()

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.network(images.to(torch.float32) / 255, Context())[0]
        return logits, logits.softmax(1)


class Stacked(nn.Module):
    """The same in one tensor [n, 2, k], logits before probabilities, for a runtime that allows one output only."""

    def __init__(self, classifier: Classifier):
        super().__init__()
        self.classifier = classifier

    def forward(self, images: Tensor) -> Tensor:
        return torch.stack(self.classifier(images), 1)


def fold(discriminator: nn.Module) -> nn.Module:
    """A copy with plain layers in the place of weight-normalised ones, for evaluation alone. Raises Mistake where a batch is coupled."""
    if any(getattr(module, "couples_batch", False) for module in discriminator.modules()):
        raise Mistake("this discriminator couples the images of a batch: what it says of one image depends on the others, so that it cannot\n"
                      "be handed over as a classifier of single images. Train one without such a layer.")
    return _folded(copy.deepcopy(discriminator)).eval().requires_grad_(False)


def _folded(module: nn.Module) -> nn.Module:
    if isinstance(module, WeightNorm):
        return _plain(module)
    for name, child in module.named_children():
        setattr(module, name, _folded(child))
    return module


@torch.no_grad()
def _plain(layer: WeightNorm) -> nn.Module:
    weight, bias = layer.folded()
    if weight.dim() == 2:
        plain = nn.Linear(weight.shape[1], weight.shape[0], device="meta")
    else:
        plain = nn.Conv2d(weight.shape[1], weight.shape[0], weight.shape[2], layer.stride, layer.padding, device="meta")
    plain.weight, plain.bias = nn.Parameter(weight), nn.Parameter(bias)
    return plain
