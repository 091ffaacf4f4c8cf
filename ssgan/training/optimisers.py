"""Adam and the schedules of what it and the averaged weights take, on flat tensors [r, p] that hold every trained
parameter of r lanes.
"""

import math

import torch
from torch import Tensor
from torch.optim.adam import adam as fused_adam

from ssgan.config import TrainConfig
from ssgan.techniques.technique import Optimiser

Moments = dict[str, Tensor]


def moments(parameters: Tensor) -> Moments:
    """Adam's state before its first update."""
    return {"step": torch.zeros((), device=parameters.device),
            "exp_avg": torch.zeros_like(parameters), "exp_avg_sq": torch.zeros_like(parameters)}


@torch.no_grad()
def adam(settings: Optimiser, parameters: Tensor, state: Moments, gradient: Tensor, numbers: dict[str, Tensor], *,
         plain: bool = False) -> None:
    """One update of the parameters and moments, in place (Kingma & Ba 2015), in torch's fused form; elementwise, so
    lanes stay independent.

    `adam = "authors"` divides by sqrt(v_hat + epsilon), with the epsilon inside the root. That is plain Adam with a
    zero epsilon on a second moment whose every increment g^2 is g^2 + epsilon, so the fused form serves both. `numbers`
    are those of `adam_numbers`. `plain` is the same in plain operations, for a compiler, which makes one pass of them
    and of what stands around them.
    """
    inside = settings.epsilon if settings.adam == "authors" else 0.0
    if plain:
        _plain(settings, parameters, state, gradient, numbers, inside)
        return
    if inside:
        state["exp_avg_sq"].add_(inside * (1 - settings.beta2) / settings.beta2)
    on_device = parameters.is_cuda
    rate = numbers["rate"].float() if on_device else numbers["rate"]  # the fused form reads a float there
    fused_adam([parameters], [gradient], [state["exp_avg"]], [state["exp_avg_sq"]], [], [state["step"]], fused=True,
               capturable=on_device,
               amsgrad=False, maximize=False, weight_decay=0.0, lr=rate, beta1=settings.beta1, beta2=settings.beta2,
               eps=0.0 if inside else settings.epsilon)


def _plain(settings: Optimiser, parameters: Tensor, state: Moments, gradient: Tensor, numbers: dict[str, Tensor],
           inside: float) -> None:
    first, second = state["exp_avg"], state["exp_avg_sq"]
    state["step"].add_(1)
    first.lerp_(gradient, 1 - settings.beta1)
    second.copy_(settings.beta2 * second + (1 - settings.beta2) * (gradient.square() + inside))
    root = (second / numbers["correction"]).sqrt() + (0.0 if inside else settings.epsilon)
    parameters.sub_(numbers["corrected_rate"] * first / root)


def adam_numbers(settings: Optimiser, rate: float, update: int) -> dict[str, float]:
    """What Adam takes in update number `update`, counted from 1: its rate, and what the bias correction makes of the
    rate and of the second moment.

    The powers are taken of Python's floats, as they are of numbers near 1.
    """
    return {"rate": rate, "corrected_rate": rate / (1 - settings.beta1**update),
            "correction": 1 - settings.beta2**update}


def clipped(gradient: Tensor, longest: float) -> Tensor:
    """Every lane's gradient [r, p], shortened where its length is above `longest`."""
    length = torch.linalg.vector_norm(gradient, dim=1, keepdim=True)
    return gradient * (longest / length.clamp_min(longest))


def averaging_weight(settings: Optimiser, step: int) -> float:
    """The share of the newest weights in the average after update number `step`, counted from 1.

    With the bias correction the average of t updates is sum (1-a)^(t-i) p_i / sum (1-a)^(t-i); the authors start from
    zero.
    """
    rate = settings.averaging_rate
    if settings.averaging == "zero-start" or rate == 1:
        return rate
    return rate / -math.expm1(step * math.log1p(-rate))


def learning_rate(config: TrainConfig, step: int, steps: int, start: float | None = None) -> float:
    """The learning rate of step number `step` (from 0) of `steps`; `start` is that of a player which has its own."""
    highest = config.learning_rate if start is None else start
    first = config.decay_from * steps
    if config.schedule == "constant" or step < first:
        return highest
    left = (steps - step) / (steps - first)
    return highest * (left if config.schedule == "linear" else 0.5 * (1 - math.cos(math.pi * left)))
