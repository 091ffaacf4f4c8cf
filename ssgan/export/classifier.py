"""`Classifier`: a discriminator as it is handed over, from plain images to logits and probabilities."""

import torch
from torch import Tensor, nn

from ssgan.models.context import Context
from ssgan.models.fold import fold


class Classifier(nn.Module):
    """Plain images, uint8 [n, c, h, w] of any n, -> float32 (logits [n, k], probabilities [n, k]).

    Weight norm is folded in, noise is gone, the scaling to [0, 1] is part of it. Raises Mistake for a discriminator
    that couples a batch.
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
