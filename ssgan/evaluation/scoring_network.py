"""The network that scores images: what it says of them, and how it sees them."""

import hashlib
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
DOMAIN, INCEPTION, EFFICIENTNET, OWN = "domain", "inception", "efficientnet", "itself"
OF_IMAGENET = (INCEPTION, EFFICIENTNET)  # whose classes are not those of the data, and which take long on a CPU

BATCH, SLOW_BATCH = 1000, 50  # images that a network is given at once

Told = Callable[[int, int], None]  # how many images, or steps, are done, and of how many


class Answers(NamedTuple):
    """Of one pass of a network."""

    probabilities: Tensor  # [n, k]
    features: Tensor  # [n, f], the input of its last layer


@dataclass(frozen=True)
class Network:
    """What scores: images [n, c, h, w] in [0, 1] -> its answers; its name, its own error on the test images, and how it
    sees images.
    """

    name: str
    error: float | None
    answers: Callable[[Tensor], Answers]
    kind: str = DOMAIN
    weights: str = ""  # the SHA-256 of what it has learnt
    resizing: str = "none"  # how images are brought to the size that it takes
    grey: str = "as it is"  # how grey images are made colour

    @property
    def of_imagenet(self) -> bool:
        """Whether its classes are ImageNet's."""
        return self.kind in OF_IMAGENET

    def about(self) -> dict[str, str]:
        """What a score must be told with, as it means nothing without."""
        return {"network": self.kind, "weights_sha256": self.weights, "resizing": self.resizing, "grey": self.grey}


class Seen(NamedTuple):
    """What a network has seen of many images."""

    probabilities: np.ndarray  # [n, k], in fp64
    features: Gaussian
    kept: Tensor  # [m, f] in fp32: the features of the first images


def weights_sha256(module: nn.Module) -> str:
    """The SHA-256 of a module's weights and buffers, by name."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(f"{name} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().numpy())
    return digest.hexdigest()


def itself(discriminator: nn.Module) -> Network:
    """The trained classifier as the network, where no full labels exist."""
    device = next(discriminator.parameters()).device

    @torch.no_grad()
    def answers(x: Tensor) -> Answers:
        logits, features = discriminator(x.to(device), Context())
        return Answers(logits.softmax(1), features.flatten(1))

    return Network(ITSELF, None, answers, OWN, weights_sha256(discriminator))


@torch.no_grad()
def look(network: Network, images_of: Callable[[int, int], Tensor], count: int, keep: int = 0,
         told: Told = lambda done, total: None) -> Seen:
    """Passes images number 0 to `count` of `images_of(start, count)`, each once, and keeps the features of the first
    `keep`. Raises Mistake where some are not finite.
    """
    probabilities, features, kept = [], None, []
    batch = SLOW_BATCH if network.of_imagenet else BATCH
    for start in range(0, count, batch):
        images = images_of(start, min(batch, count - start))
        found = network.answers(images) if images.isfinite().all() else None  # bytes know no NaN
        if found is None or not (found.probabilities.isfinite().all() and found.features.isfinite().all()):
            raise Mistake("generated images cannot be scored: some are not finite, the generator has diverged.\n"
                          "Train it anew with a smaller train.learning_rate, or with --set train.precision=fp32.")
        probabilities.append(found.probabilities.double().cpu().numpy())
        part = Gaussian.of(found.features.double().cpu().numpy())
        features = part if features is None else features + part
        if start < keep or not start:
            kept.append(found.features[: max(0, keep - start)].float().cpu())
        told(start + len(images), count)
    return Seen(np.concatenate(probabilities), features, torch.cat(kept))
