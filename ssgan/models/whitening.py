"""Whitening: the filters under which an image's small patches have uncorrelated numbers of variance 1."""

import torch
from torch import Tensor
from torch.nn import functional

SIDE = 2  # pixels of a patch
FLOOR = 5e-4  # added to the variances, as a share of their mean: directions with next to none are not blown up


def filters_of(channels: int) -> int:
    """How many filters there are: one for each number in a patch, and its negative."""
    return 2 * channels * SIDE**2


def whitening(images: Tensor) -> tuple[Tensor, Tensor]:
    """Filters and biases of a convolution without a border, by images [n, c, h, w]: ([8 c, c, 2, 2], [8 c]).

    The eigenvectors of the patches' covariance, each divided by the root of its eigenvalue, which outputs of mean 0 and
    variance 1 come of; then their negatives, so that nothing is lost under a rectifier. The filters of Jordan 2024
    (airbench), section 3.1; there is nothing random in them.
    """
    channels = images.shape[1]
    patches = functional.unfold(images.double(), SIDE).movedim(1, 2).flatten(0, 1)  # [places, c * 4]
    mean = patches.mean(0)
    centred = patches - mean
    values, vectors = torch.linalg.eigh(centred.T @ centred / len(centred))
    half = (vectors / (values + FLOOR * values.mean() + 1e-12).sqrt()).T  # [c * 4, c * 4], a filter a row
    filters = torch.cat([half, -half])
    return filters.view(-1, channels, SIDE, SIDE).to(images.dtype), -(filters @ mean).to(images.dtype)
