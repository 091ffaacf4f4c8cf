"""The images of a visual Turing test: real ones of the data set, and generated ones, all of them or the best by
score.
"""

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ssgan.errors import Mistake
from ssgan.evaluation import ranking
from ssgan.evaluation.scoring_network import Network, look
from ssgan.evaluation.turing_test import GENERATED, REAL, TuringTest
from ssgan.models.sampling import Sampler


class Pool(Protocol):
    """Real images, as `data.images.Images` holds them."""

    def __len__(self) -> int: ...

    def gather(self, index: Tensor) -> Tensor:
        """float32 [n, c, h, w] in [0, 1]."""


def shown_images(test: TuringTest, real: Pool, sampler: Sampler, network: Network | None) -> Tensor:
    """The images in the order in which they are shown, uint8 [n, c, h, w]; `network` scores them where only the best
    are wanted. Raises Mistake where there are fewer real images than the test needs, or images are not finite.
    """
    if len(real) < test.half:
        raise Mistake(f"-n {test.images}: half of them are real, and there are {len(real)} real images to show; try -n "
                      f"{2 * len(real)}.")
    chosen = torch.from_numpy(test.real_images(len(real)))
    if test.top is None:
        generated = sampler.images(0, test.half)
    else:
        generated = best_images(sampler, network, test.looked_at, test.half)
    if not generated.isfinite().all():
        raise Mistake("generated images cannot be shown: some are not finite, the generator has diverged.\n"
                      "Train it anew with a smaller train.learning_rate, or with --set train.precision=fp32.")
    kinds = {REAL: iter(real.gather(chosen).cpu()), GENERATED: iter(generated.cpu())}
    return (torch.stack([next(kinds[kind]) for kind in test.truth()]) * 255).round().byte()


def best_images(sampler: Sampler, network: Network, looked_at: int, count: int) -> Tensor:
    """The `count` images with the highest score among number 0 to `looked_at`, in the order of their numbers: float32
    [count, c, h, w]. A run's own ranking is not used: it is of the images on the run's sheets, which people may have
    seen. Raises Mistake where some are not finite.
    """
    scores = ranking.by_image(look(network, sampler.images, looked_at).probabilities)
    return ranking.Picked(sampler, np.sort(ranking.highest(scores, count))).images(0, count)
