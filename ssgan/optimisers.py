"""Adam, the averaged weights and the learning rate's schedule, on flat tensors [r, p] that hold every trained parameter of r lanes."""

import math

import torch
from torch import Tensor

from ssgan.config import TrainConfig


class Adam:
    """Adam (Kingma & Ba 2015) in torch's fused form; elementwise, so lanes stay independent.

    `adam = "authors"` divides by sqrt(v_hat + epsilon), with the epsilon inside the root. That is plain Adam with a zero
    epsilon on a second moment whose every increment g^2 is g^2 + epsilon, so the fused form serves both.
    """

    def __init__(self, parameters: Tensor, config: TrainConfig):
        self.inside = config.epsilon if config.adam == "authors" else 0.0
        self.beta2 = config.beta2
        self.parameters = torch.nn.Parameter(parameters)  # shares the storage
        self.optimiser = torch.optim.Adam(
            [self.parameters], lr=config.learning_rate, betas=(config.beta1, config.beta2),
            eps=0.0 if self.inside else config.epsilon, fused=True)
        self.optimiser.state[self.parameters] = {
            "step": torch.zeros((), device=parameters.device),
            "exp_avg": torch.zeros_like(parameters), "exp_avg_sq": torch.zeros_like(parameters)}

    def step(self, gradient: Tensor, learning_rate: float) -> None:
        """One update of the parameters, in place."""
        self.optimiser.param_groups[0]["lr"] = learning_rate
        if self.inside:
            self.state["exp_avg_sq"].add_(self.inside * (1 - self.beta2) / self.beta2)
        self.parameters.grad = gradient
        self.optimiser.step()

    @property
    def state(self) -> dict[str, Tensor]:
        """The step count and both moments, to be saved and restored in place."""
        return self.optimiser.state[self.parameters]


def averaging_weight(config: TrainConfig, step: int) -> float:
    """The share of the newest weights in the average after update number `step`, counted from 1.

    With the bias correction the average of t updates is sum (1-a)^(t-i) p_i / sum (1-a)^(t-i); the authors start from zero.
    """
    rate = config.averaging_rate
    if config.averaging == "zero-start" or rate == 1:
        return rate
    return rate / -math.expm1(step * math.log1p(-rate))


def learning_rate(config: TrainConfig, step: int, steps: int) -> float:
    """The learning rate of update number `step` (from 0) of `steps`."""
    first = config.decay_from * steps
    if config.schedule == "constant" or step < first:
        return config.learning_rate
    left = (steps - step) / (steps - first)
    return config.learning_rate * (left if config.schedule == "linear" else 0.5 * (1 - math.cos(math.pi * left)))
