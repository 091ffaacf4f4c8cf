"""`Dense`: a plain dense layer that takes the data-dependent initialisation."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from ssgan.models.functional import standardising


class Dense(nn.Module):
    """y = x W^T + b with the weight as it is, [n, in] -> [n, out]; the data-dependent initialisation goes into weight
    and bias.
    """

    def __init__(self, inputs: int, outputs: int, std: float, generator: torch.Generator | None):
        super().__init__()
        shape = (outputs, inputs)
        self.weight = nn.Parameter(torch.empty(shape) if generator is None
                                   else torch.randn(shape, generator=generator) * std)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.weight, self.bias)

    @torch.no_grad()
    def initialise(self, x: Tensor, wanted: float = 1.0) -> Tensor:
        """Sets weight and bias so that the outputs on x have mean 0 and the wanted standard deviation; returns them."""
        mean, factor = standardising(self(x), wanted)
        self.weight.mul_(factor[:, None])
        self.bias.copy_((self.bias - mean) * factor)
        return self(x)
