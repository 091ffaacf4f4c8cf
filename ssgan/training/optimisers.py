"""Adam, the averaged weights and the learning rate's schedule, on flat tensors [r, p] that hold every trained parameter of r lanes."""

import copy
import math

import torch
from torch import Tensor
from torch.optim.adam import adam

from ssgan.config import TrainConfig


class Adam:
    """Adam (Kingma & Ba 2015) in torch's fused form; elementwise, so lanes stay independent.

    `adam = "authors"` divides by sqrt(v_hat + epsilon), with the epsilon inside the root. That is plain Adam with a zero
    epsilon on a second moment whose every increment g^2 is g^2 + epsilon, so the fused form serves both.
    `replayed` where the step is repeated without Python: the learning rate is then read from a tensor. `plain` is the same update
    in plain operations, for a compiler, which makes one pass of them and of what stands around them.
    """

    def __init__(self, parameters: Tensor, config: TrainConfig, replayed: bool = False, *, plain: bool = False):
        self.parameters, self.config, self.plain = parameters, config, plain
        self.inside = config.epsilon if config.adam == "authors" else 0.0
        self.rate = torch.tensor(config.learning_rate, device=parameters.device) if replayed else config.learning_rate
        self.state = {"step": torch.zeros((), device=parameters.device),
                      "exp_avg": torch.zeros_like(parameters), "exp_avg_sq": torch.zeros_like(parameters)}
        # What the next step's bias correction makes of the rate, and divides the second moment by: for Python's floats, as powers of numbers near 1.
        self.corrected = (torch.zeros((), dtype=parameters.dtype), torch.ones((), dtype=parameters.dtype)) if plain else ()
        self.set_rate(config.learning_rate)

    def set_rate(self, learning_rate: float) -> None:
        """The learning rate of the steps that follow; where `plain`, of the next one, for it says which that is."""
        if self.plain:
            step = 1 + int(self.state["step"])
            self.corrected[0].fill_(learning_rate / (1 - self.config.beta1**step))
            self.corrected[1].fill_(1 - self.config.beta2**step)
        elif isinstance(self.rate, Tensor):
            self.rate.fill_(learning_rate)
        else:
            self.rate = learning_rate

    @torch.no_grad()
    def step(self, gradient: Tensor) -> None:
        """One update of the parameters, in place."""
        if self.plain:
            self._plain_step(gradient)
            return
        if self.inside:
            self.state["exp_avg_sq"].add_(self.inside * (1 - self.config.beta2) / self.config.beta2)
        adam([self.parameters], [gradient], [self.state["exp_avg"]], [self.state["exp_avg_sq"]], [], [self.state["step"]],
             fused=True, capturable=isinstance(self.rate, Tensor), amsgrad=False, maximize=False, weight_decay=0.0, lr=self.rate,
             beta1=self.config.beta1, beta2=self.config.beta2, eps=0.0 if self.inside else self.config.epsilon)

    def held(self) -> dict[str, Tensor]:
        """The tensors that an update reads or changes, besides the parameters."""
        return self.state | {f"corrected {i}": value for i, value in enumerate(self.corrected)}

    def on(self, parameters: Tensor, held: dict[str, Tensor]) -> "Adam":
        """The same optimiser on other tensors."""
        twin = copy.copy(self)
        twin.parameters, twin.state = parameters, {name: held[name] for name in self.state}
        twin.corrected = tuple(held[f"corrected {i}"] for i in range(len(self.corrected)))
        return twin

    def _plain_step(self, gradient: Tensor) -> None:
        beta1, beta2 = self.config.beta1, self.config.beta2
        step, first, second = self.state.values()
        rate, correction = self.corrected
        gradient = gradient.to(first.dtype)
        step.add_(1)
        first.lerp_(gradient, 1 - beta1)
        second.copy_(beta2 * second + (1 - beta2) * (gradient.square() + self.inside))
        root = (second / correction).sqrt() + (0.0 if self.inside else self.config.epsilon)
        self.parameters.sub_(rate * first / root)


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
