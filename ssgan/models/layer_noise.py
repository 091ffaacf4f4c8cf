"""`LayerNoise`: Gaussian noise and dropout behind a network's layers, from normal draws that are handed in."""

import math
from statistics import NormalDist
from typing import NamedTuple

import torch
from torch import Tensor

from ssgan.models.context import Context
from ssgan.models.functional import add_noise


class Place(NamedTuple):
    """Where noise falls, and which."""

    shape: tuple[int, ...]  # of what is there for one image
    std: float | None = None  # of Gaussian noise, which is drawn though it be 0; None: there is none
    dropout: float = 0.0  # share of the numbers that are 0; 0 is none, and draws nothing


class LayerNoise:
    """The places of a network, by number; their draws are one tensor for each Gaussian place, and behind them one for
    each with dropout.
    """

    def __init__(self, places: list[Place]):
        self.places = places
        self._gaussian = [number for number, place in enumerate(places) if place.std is not None]
        self._dropping = [number for number, place in enumerate(places) if place.dropout > 0]

    def shapes(self, n: int) -> list[tuple[int, ...]]:
        """The shapes of the normal draws that one pass over n images takes."""
        return [(n, *self.places[number].shape) for number in (*self._gaussian, *self._dropping)]

    def __call__(self, x: Tensor, number: int, context: Context) -> Tensor:
        """x [n, ...] with the noise of the place of that number; x itself where the context has none."""
        place = self.places[number]
        if place.std is not None:
            x = add_noise(x, place.std, context.at(self._gaussian.index(number)))
        if place.dropout > 0:
            x = dropped(x, place.dropout, context.at(len(self._gaussian) + self._dropping.index(number)))
        return x


def dropped(x: Tensor, share: float, normal: Tensor | None) -> Tensor:
    """x with that share of its numbers 0, and the others 1 / (1 - share) times, by standard normal draws of its shape:
    those below the normal distribution's quantile are dropped. x itself without draws (Srivastava et al. 2014).
    """
    if normal is None:
        return x
    limit = NormalDist().inv_cdf(share) if share > 0 else -math.inf
    return torch.where(normal >= limit, x / (1 - share), torch.zeros_like(x))
