"""The network that scores images: what it says of them, and how it sees them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ssgan.errors import Mistake
from ssgan.evaluation.frechet_distance import Gaussian
from ssgan.models.context import Context

ITSELF = "the trained classifier itself, for want of full labels"

BATCH = 1000


class Answers(NamedTuple):
    """Of one pass of a network."""

    probabilities: Tensor  # [n, k]
    features: Tensor  # [n, f], the input of its last layer


@dataclass(frozen=True)
class Network:
    """What scores: images [n, c, h, w] in [0, 1] -> its answers, its name, and its own error on the test images."""

    name: str
    error: float | None
    answers: Callable[[Tensor], Answers]


class Seen(NamedTuple):
    """What a network has seen of many images."""

    probabilities: np.ndarray  # [n, k], in fp64
    features: Gaussian


def itself(discriminator: nn.Module) -> Network:
    """The trained classifier as the network, where no full labels exist."""
    device = next(discriminator.parameters()).device

    @torch.no_grad()
    def answers(x: Tensor) -> Answers:
        logits, features = discriminator(x.to(device), Context())
        return Answers(logits.softmax(1), features.flatten(1))

    return Network(ITSELF, None, answers)


@torch.no_grad()
def look(network: Network, images_of: Callable[[int, int], Tensor], count: int) -> Seen:
    """Passes images number 0 to `count` of `images_of(start, count)`, each once. Raises Mistake where some are not
    finite.
    """
    probabilities, features = [], None
    for start in range(0, count, BATCH):
        found = network.answers(images_of(start, min(BATCH, count - start)))
        if not (found.probabilities.isfinite().all() and found.features.isfinite().all()):
            raise Mistake("generated images cannot be scored: some are not finite, the generator has diverged.\n"
                          "Train it anew with a smaller train.learning_rate, or with --set train.precision=fp32.")
        probabilities.append(found.probabilities.double().cpu().numpy())
        part = Gaussian.of(found.features.double().cpu().numpy())
        features = part if features is None else features + part
    return Seen(np.concatenate(probabilities), features)
