"""Adam and the averages once more, slow and plain, tensor by tensor."""

import torch
from plain_networks import Weights
from torch import Tensor

from ssgan.config import Recipe


class Adam:
    """Kingma & Ba 2015, algorithm 1, tensor by tensor; the authors' form has epsilon inside the root."""

    def __init__(self, recipe: Recipe):
        self.config, self.t = recipe.train, 0
        self.m: Weights = {}
        self.v: Weights = {}

    def step(self, weights: Weights, gradients: Weights, rate: float) -> None:
        self.t += 1
        one, two, epsilon = self.config.beta1, self.config.beta2, self.config.epsilon
        for name, g in gradients.items():
            self.m[name] = one * self.m.get(name, torch.zeros_like(g)) + (1 - one) * g
            self.v[name] = two * self.v.get(name, torch.zeros_like(g)) + (1 - two) * g * g
            m_hat, v_hat = self.m[name] / (1 - one ** self.t), self.v[name] / (1 - two ** self.t)
            root = (v_hat + epsilon).sqrt() if self.config.adam == "authors" else v_hat.sqrt() + epsilon
            weights[name] = weights[name] - rate * m_hat / root


def average(recipe: Recipe, history: list[Weights], name: str, first: Tensor | None = None) -> Tensor:
    """The averaged tensor after the updates in `history`, by the definition; where some of them were left out, and are
    empty, update by update from the `first` one.
    """
    a, t = recipe.train.averaging_rate, len(history)
    corrected = recipe.train.averaging == "corrected"
    if not all(history):
        found = first if corrected else torch.zeros_like(first)
        for i, weights in enumerate(history, 1):
            share = a / (1 - (1 - a) ** i) if corrected else a
            found = (1 - share) * found + share * weights[name] if weights else found
        return found
    shares = [(1 - a) ** (t - i) for i in range(1, t + 1)]
    total = sum(share * weights[name] for share, weights in zip(shares, history))
    return total / sum(shares) if corrected else a * total
