"""`BatchNorm`: batch norm without gain."""

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
