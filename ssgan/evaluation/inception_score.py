"""The Inception Score of generated images."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ssgan.data.images import Images
from ssgan.errors import Mistake
from ssgan.evaluation import metrics
from ssgan.random_streams import torch_generator

BATCH = 1000


@dataclass(frozen=True)
class Network:
    """What scores: images [n, c, h, w] in [0, 1] -> probabilities [n, k], its name, and its own error on the test
    images.
    """

    name: str
    error: float | None
    probabilities: Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Score:
    """The Inception Score of `samples` generated images in `splits` parts, and of real test images at the same count.

    Where there are fewer test images than samples, `matched` is the score of as many generated images as there are real
    ones.
    """

    inception_score: float
    std: float
    real: float
    real_std: float
    matched: float
    samples: int
    real_samples: int
    splits: int
    generator: str
    network: str
    network_error: float | None
    histogram: np.ndarray  # [k] generated images by most probable class
    entropy: float  # of the histogram, in nats
    entropy_share: float  # of the largest that is possible

    def measurements(self) -> dict[str, float]:
        """Name and value of everything that is a number."""
        found = {"score/inception_score": self.inception_score, "score/inception_score_std": self.std,
                 "score/inception_score_real": self.real, "score/inception_score_matched": self.matched,
                 "score/class_entropy": self.entropy}
        return found if self.network_error is None else found | {"score/network_error": self.network_error}

    def summary(self) -> dict[str, Any]:
        """The same as plain values for JSON."""
        return {
            "inception_score": self.inception_score, "inception_score_std": self.std, "inception_score_real": self.real,
            "inception_score_real_std": self.real_std, "inception_score_matched": self.matched, "samples": self.samples,
            "real_samples": self.real_samples, "splits": self.splits, "samples_per_split": self.samples // self.splits,
            "generator": self.generator, "score_network": self.network, "score_network_error": self.network_error,
            "class_histogram": self.histogram.tolist(), "class_entropy": self.entropy,
            "class_entropy_share": self.entropy_share}


def score(samples_of: Callable[[int, int], Tensor], real: Images, network: Network, *, samples: int, splits: int,
          generator: str) -> Score:
    """Scores images number 0 to `samples` of `samples_of(start, count)`. Raises Mistake where a part would be empty."""
    count = min(samples, len(real))
    if splits > count:
        raise Mistake(f"score.splits = {splits} is more than the {count} images to be split: try --set "
                      f"score.splits={max(1, count // 100)}.")
    generated = _probabilities(network, samples_of, samples)
    order = torch.randperm(len(real), generator=torch_generator(0, "real images"))[:count]
    true = _probabilities(network, lambda start, n: real.gather(order[start: start + n]), count)
    mean, std = metrics.inception_score(generated, splits)
    real_mean, real_std = metrics.inception_score(true, splits)
    matched, _ = metrics.inception_score(generated[:count], splits)
    histogram = np.bincount(generated.argmax(1), minlength=generated.shape[1])
    return Score(mean, std, real_mean, real_std, matched, samples, count, splits, generator, network.name,
                 network.error, histogram, *metrics.class_entropy(histogram))


def itself(logits_of: Callable[[Tensor], Tensor]) -> Network:
    """The trained classifier as the network, where no full labels exist."""
    return Network("the trained classifier itself, for want of full labels", None, lambda x: logits_of(x).softmax(1))


@torch.no_grad()
def _probabilities(network: Network, images_of: Callable[[int, int], Tensor], count: int) -> np.ndarray:
    rows = [network.probabilities(images_of(start, min(BATCH, count - start))).double().cpu()
            for start in range(0, count, BATCH)]
    probabilities = torch.cat(rows)
    if not probabilities.isfinite().all():
        raise Mistake("generated images cannot be scored: some are not finite, the generator has diverged.\n"
                      "Train it anew with a smaller train.learning_rate, or with --set train.precision=fp32.")
    return probabilities.numpy()
