"""Scores over the steps of a training: of a few generated images, beside training images, at stated steps."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ssgan.data.images import Images
from ssgan.evaluation import metrics, networks
from ssgan.evaluation.frechet_distance import Gaussian, frechet_distance
from ssgan.evaluation.scoring_network import DOMAIN, EFFICIENTNET, Network, look
from ssgan.random_streams import torch_generator

if TYPE_CHECKING:
    from ssgan.experiments.member import Group

BEFORE = "while_training/"  # in the names of measurements: another count of images than the last score has


class StepScores:
    """What is measured of a generator while it is trained: the Inception Score in one part, and the Fréchet distance to
    as many training images, for no test image is looked at before the end.
    """

    def __init__(self, network: Network, train: Images, samples: int):
        self.network, self.samples = network, samples
        chosen = torch.randperm(len(train), generator=torch_generator(0, "real training images"))[:samples]
        self.real: Gaussian = look(network, lambda start, n: train.gather(chosen[start: start + n]),
                                   len(chosen)).features

    @classmethod
    def of(cls, group: "Group") -> "StepScores":
        """By the network that the group's recipe names."""
        settings, dataset = group.recipe.score, group.dataset
        network = networks.network_of(settings.network, dataset, group.resolved.device)
        assert network is not None, "a group that cannot be scored so is told so before"
        return cls(network, dataset.train, settings.step_samples)

    def measurements(self, images: Tensor) -> dict[str, float]:
        """Of uint8 images [n, c, h, w], by name. Raises Mistake for images that are not finite."""
        seen = look(self.network, lambda start, n: images[start: start + n].float() / 255, len(images))
        score, _ = metrics.inception_score(seen.probabilities, 1)
        name = "efficientnet_score" if self.network.kind == EFFICIENTNET else "inception_score"
        return {f"{BEFORE}{name}": score, f"{BEFORE}fid": frechet_distance(seen.features, self.real)}


def wanted(group: "Group") -> bool:
    """Whether the group's recipe asks for scores over the steps, and its data can give them."""
    settings = group.recipe.score
    return settings.every_steps > 0 and (settings.network != DOMAIN or networks.has_domain_network(group.dataset))
