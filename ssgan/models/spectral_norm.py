"""Spectral norm: a layer's weight divided by its largest singular value."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from ssgan.models.functional import convolved
from ssgan.models.prepared import Advancing


class SpectralNorm(Advancing):
    """y = x (W / sigma)^T + b with sigma the largest singular value of W [out, rest] (Miyato et al. 2018, "Spectral
    normalization", algorithm 1).

    sigma = u^T W v, where the buffer u [out] is brought nearer to the first left singular vector by one step of the
    power method before every update, v is the unit vector along W^T u, and gradients flow through W alone. `kernel`
    None is a dense layer [n, in] -> [n, out]; otherwise a convolution over [n, c, h, w], or a `transposed` one, whose
    weight is [out, in, ...] here too. Without a generator the weights are not filled.
    """

    def __init__(self, inputs: int, outputs: int, std: float, generator: torch.Generator | None, *,
                 kernel: int | None = None, stride: int = 1, padding: int = 0, transposed: bool = False):
        super().__init__()
        self.stride, self.padding, self.transposed = stride, padding, transposed
        shape = (outputs, inputs) if kernel is None else (outputs, inputs, kernel, kernel)
        self.weight = nn.Parameter(torch.empty(shape) if generator is None
                                   else torch.randn(shape, generator=generator) * std)
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.register_buffer("u", torch.empty(outputs) if generator is None
                             else unit(torch.randn(outputs, generator=generator)))
        self.prepared = None

    def forward(self, x: Tensor) -> Tensor:
        weight, bias = self.prepared or self.folded()
        if weight.dim() == 2:
            return functional.linear(x, weight, bias)
        return convolved(x, weight, bias, self.stride, self.padding, self.transposed)

    def prepare(self, by_hand: bool) -> None:
        """Builds the plain weight."""
        self.hold(prepared=self.folded())

    def forget(self) -> None:
        """The weights may change now."""
        self.hold(prepared=None)

    @torch.no_grad()
    def advance(self, steps: int) -> dict[str, Tensor]:
        """u after so many steps of the power method."""
        u, matrix = self.u, self.weight.flatten(1)
        for _ in range(steps):
            u = unit(matrix @ unit(matrix.T @ u))
        return {"u": u}

    @torch.no_grad()
    def initialise(self, x: Tensor, wanted: float = 1.0) -> Tensor:
        """Settles u, and sets the bias so that the outputs on x have mean 0; their deviation is the norm's. Returns
        them.
        """
        self.u.copy_(self.advance(15)["u"])
        y = self(x)
        self.bias.sub_(y.mean([axis for axis in range(y.dim()) if axis != 1]))
        return self(x)

    def folded(self) -> tuple[Tensor, Tensor]:
        """The plain (weight, bias) that compute the same."""
        matrix, u = self.weight.flatten(1), self.u.detach()
        with torch.no_grad():
            v = unit(matrix.T @ u)
        return self.weight / (u @ (matrix @ v)), self.bias


def unit(x: Tensor) -> Tensor:
    """A vector divided by its length."""
    return x / torch.linalg.vector_norm(x).clamp_min(1e-12)
