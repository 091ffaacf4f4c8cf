"""`PlainLayer`: a layer without a norm that takes the data-dependent initialisation."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from ssgan.models.functional import convolved, standardising


class PlainLayer(nn.Module):
    """y = x W^T + b with the weight as it is; the data-dependent initialisation goes into weight and bias.

    `kernel` None is a dense layer [n, in] -> [n, out]; otherwise a convolution over [n, c, h, w]. Without a generator
    the weights are not filled.
    """

    def __init__(self, inputs: int, outputs: int, std: float, generator: torch.Generator | None, *,
                 kernel: int | None = None, stride: int = 1, padding: int = 0):
        super().__init__()
        self.stride, self.padding = stride, padding
        shape = (outputs, inputs) if kernel is None else (outputs, inputs, kernel, kernel)
        self.weight = nn.Parameter(torch.empty(shape) if generator is None
                                   else torch.randn(shape, generator=generator) * std)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        if self.weight.dim() == 2:
            return functional.linear(x, self.weight, self.bias)
        return convolved(x, self.weight, self.bias, self.stride, self.padding)

    @torch.no_grad()
    def initialise(self, x: Tensor, wanted: float = 1.0) -> Tensor:
        """Sets weight and bias so that the outputs on x have mean 0 and the wanted standard deviation; returns them."""
        mean, factor = standardising(self(x), wanted)
        self.weight.mul_(factor.view(-1, *(1,) * (self.weight.dim() - 1)))
        self.bias.copy_((self.bias - mean) * factor)
        return self(x)
