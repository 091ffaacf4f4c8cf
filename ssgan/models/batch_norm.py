"""Batch norm of generators: over the batch, over a reference batch that stands before it, with statistics that can be
settled, and none.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from ssgan.models.batch_normed import moments, wide, with_own
from ssgan.models.functional import widened


class BatchNorm(nn.Module):
    """Batch norm over all but the channel axis, with a shift and, as the authors have it, without gain; it always uses
    the batch's own statistics.

    The authors' generator samples with batch statistics too, so samples are drawn in batches of a fixed size.
    """

    def __init__(self, channels: int, epsilon: float = 1e-6, *, gain: bool = False):
        super().__init__()
        self.epsilon = epsilon
        self.gain = nn.Parameter(torch.ones(channels)) if gain else None
        self.shift = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        x = functional.batch_norm(x, None, None, training=True, eps=self.epsilon)
        if self.gain is not None:
            x = x * wide(self.gain, x)
        return x + wide(self.shift, x)


class VirtualBatchNorm(nn.Module):
    """The same over the first `references` rows alone (Salimans et al. 2016, section 3.5); with `itself` each other
    row's own mean and mean square count among theirs, as one more.
    """

    def __init__(self, channels: int, references: int, epsilon: float = 1e-6, *, gain: bool = False,
                 itself: bool = False):
        super().__init__()
        self.references, self.epsilon, self.itself = references, epsilon, itself
        self.gain = nn.Parameter(torch.ones(channels)) if gain else None
        self.shift = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        exact = widened(x)
        mean, variance = moments(exact[:self.references], whole=True)
        if self.itself:
            mean, variance = with_own(mean, variance, exact, self.references)
        exact = (exact - mean) * torch.rsqrt(variance + self.epsilon)
        if self.gain is not None:
            exact = exact * wide(self.gain, x)
        return (exact + wide(self.shift, x)).to(x.dtype)


class Shift(nn.Module):
    """No norm: x + shift, channel by channel."""

    def __init__(self, channels: int):
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return x + wide(self.shift, x)


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
