"""Precision and recall of generated images: how many look real, and how many of the real ones are covered."""

from typing import NamedTuple

import torch
from torch import Tensor

NEIGHBOURS = 3
PIECE = 2000  # images whose distances to all others are held at once


class PrecisionRecall(NamedTuple):
    """Both from 0 to 1."""

    precision: float  # share of generated images within the real ones' manifold
    recall: float  # share of real images within the generated ones' manifold


def precision_recall(generated: Tensor, real: Tensor, neighbours: int = NEIGHBOURS) -> PrecisionRecall:
    """Of features [n, f] and [m, f] (Kynkaanniemi et al. 2019, eq. 1 and 2): an image is within the manifold of a set
    if it is no further from one of the set's images than this one's third-nearest neighbour in the set.

    Both grow with the number of images: compare only at equal counts. Written here, for scores need no extra; a test
    holds it against torch-fidelity's. Raises ValueError for fewer images than neighbours + 1.
    """
    if min(len(generated), len(real)) <= neighbours:
        raise ValueError(f"{len(generated)} and {len(real)} images have no {neighbours} neighbours each")
    return PrecisionRecall(_within(generated, real, neighbours), _within(real, generated, neighbours))


def _within(images: Tensor, of: Tensor, neighbours: int) -> float:
    """The share of images within the manifold of others."""
    # an image is its own nearest
    radii = torch.cat([torch.cdist(part, of).kthvalue(neighbours + 1).values for part in of.split(PIECE)])  # [m]
    return torch.cat([(torch.cdist(part, of) <= radii).any(1) for part in images.split(PIECE)]).float().mean().item()
