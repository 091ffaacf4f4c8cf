"""Batch norm: without gain, as the authors have it, and with one and statistics that can be settled."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class BatchNorm(nn.Module):
    """Batch norm over all but the channel axis, with a shift and without gain; it always uses the batch's own
    statistics.

    The authors' generator samples with batch statistics too, so samples are drawn in batches of a fixed size.
    """

    def __init__(self, channels: int, epsilon: float = 1e-6):
        super().__init__()
        self.epsilon = epsilon
        self.shift = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        shift = self.shift.view(1, -1, *(1,) * (x.dim() - 2))
        return functional.batch_norm(x, None, None, training=True, eps=self.epsilon) + shift


class SettledBatchNorm(nn.Module):
    """Batch norm [n, c] with gain and shift: with the batch's own statistics in training, in evaluation with those that
    were settled (Ioffe & Szegedy 2015, algorithm 2).
    """

    def __init__(self, channels: int, epsilon: float = 1e-5):
        super().__init__()
        self.epsilon, self.settling = epsilon, False
        self.gain, self.shift = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("variance", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        if self.settling:
            self.mean, self.variance = x.mean(0), x.var(0, correction=0)
        if self.training:
            return functional.batch_norm(x, None, None, self.gain, self.shift, training=True, eps=self.epsilon)
        return functional.batch_norm(x, self.mean, self.variance, self.gain, self.shift, eps=self.epsilon)
