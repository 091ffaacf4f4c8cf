"""Weight norm, with its data-dependent initialisation."""

import inspect

import torch
from torch import Tensor, nn

from ssgan.models.functional import convolved, standardising
from ssgan.models.prepared import Prepared


class RowNorm(torch.autograd.Function):
    """|v| of each row of a weight, [out, ...] -> [out]; its gradient takes one pass over the weight, where torch's
    takes five.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(direction: Tensor) -> Tensor:
        return torch.linalg.vector_norm(direction.flatten(1), dim=1)

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        ctx.save_for_backward(*inputs, output)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        direction, norm = ctx.saved_tensors
        return direction * (gradient / norm).view(-1, *(1,) * (direction.dim() - 1))


class NormalisedProduct(torch.autograd.Function):
    """(x V^T) * (scale / |V|) + bias, row by row: [n, in], [out, in], 2 x [out] -> [n, out]; then x V^T and |V|,
    without gradients.

    One backward (Salimans & Kingma 2016, eq. 3) in place of torch's six, and one pass over the weight where they take
    three.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, direction: Tensor, scale: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        product, norm = x @ direction.T, torch.linalg.vector_norm(direction, dim=1)
        return torch.addcmul(bias, product, scale / norm), product, norm

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        x, direction, scale, _ = inputs
        _, product, norm = output
        ctx.mark_non_differentiable(product, norm)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, direction, scale, product, norm)

    @staticmethod
    def backward(ctx, gradient: Tensor, *_) -> tuple[Tensor | None, ...]:
        x, direction, scale, product, norm = ctx.saved_tensors
        if torch.is_grad_enabled():  # to be differentiated again: what depends on x and V says so
            product, norm = x @ direction.T, torch.linalg.vector_norm(direction, dim=1)
        factor = scale / norm
        scaled, of_factor = gradient * factor, (gradient * product).sum(0)
        of_x = scaled @ direction if ctx.needs_input_grad[0] else None
        of_direction = None
        if ctx.needs_input_grad[1]:
            of_direction = torch.addcmul(scaled.T @ x, direction, (of_factor * factor / norm.square()).unsqueeze(1),
                                         value=-1)
        return of_x, of_direction, of_factor / norm, gradient.sum(0)


for function in (RowNorm, NormalisedProduct):
    # torch binds forward's arguments at every call; finding its signature anew would take longer than the function.
    function.forward.__signature__ = inspect.signature(function.forward)


def normalised_product(x: Tensor, direction: Tensor, scale: Tensor, bias: Tensor, *, by_hand: bool = False,
                       factor: Tensor | None = None) -> Tensor:
    """The same, as plain operations but where its backward pass written by hand is wanted; `factor` is scale / |V|
    where it is known.
    """
    if by_hand and torch.is_grad_enabled():
        return NormalisedProduct.apply(x, direction, scale, bias)[0]
    return torch.addcmul(bias, x @ direction.T, scale / torch.linalg.vector_norm(direction, dim=1) if factor is None
                         else factor)


class WeightNorm(Prepared):
    """y = x W^T with W = scale * direction / |direction|, row by row (Salimans & Kingma 2016, eq. 2), plus a bias.

    In a dense layer the quotient scale / |direction| multiplies the output instead of the weight: the same numbers, and
    no normalised weight is ever built. A convolution, whose weights are small and whose maps are large, has the plain
    weight built. `kernel` None is a dense layer [n, in] -> [n, out]; otherwise a convolution over [n, c, h, w], or a
    `transposed` one, whose weight is [out, in, ...] here too.
    A scale that is not trained is a buffer: fixed once by the data-dependent initialisation. Without a generator the
    weights are not filled: for torch's meta device, on which drawing would import torch's compiler, for seconds.
    """

    def __init__(self, inputs: int, outputs: int, std: float, generator: torch.Generator | None, *,
                 kernel: int | None = None, stride: int = 1, padding: int = 0, train_scale: bool = False,
                 transposed: bool = False):
        super().__init__()
        self.stride, self.padding, self.transposed = stride, padding, transposed
        shape = (outputs, inputs) if kernel is None else (outputs, inputs, kernel, kernel)
        self.direction = nn.Parameter(torch.empty(shape) if generator is None
                                      else torch.randn(shape, generator=generator) * std)
        self.bias = nn.Parameter(torch.zeros(outputs))
        if train_scale:
            self.scale = nn.Parameter(torch.ones(outputs))
        else:
            self.register_buffer("scale", torch.ones(outputs))
        self.by_hand, self.prepared = False, None

    def forward(self, x: Tensor) -> Tensor:
        if self.direction.dim() == 2:
            return normalised_product(x, self.direction, self.scale, self.bias, by_hand=self.by_hand,
                                      factor=self.prepared)
        return convolved(x, *(self.prepared or self.folded()), self.stride, self.padding, self.transposed)

    def prepare(self, by_hand: bool) -> None:
        """Builds the plain weight of a convolution; of a dense layer the factor of its outputs, unless the backward
        pass written by hand makes it.
        """
        if self.direction.dim() > 2:
            self.hold(prepared=self.folded())
        elif by_hand:
            self.hold(by_hand=True)
        else:
            self.hold(prepared=self.scale / torch.linalg.vector_norm(self.direction, dim=1))

    def forget(self) -> None:
        """The weights may change now."""
        self.hold(by_hand=False, prepared=None)

    @torch.no_grad()
    def initialise(self, x: Tensor, wanted: float = 1.0) -> Tensor:
        """Sets scale and bias so that the outputs on x have mean 0 and the wanted standard deviation; returns them.

        With 1 as Salimans & Kingma 2016 have it, eq. 5-6.
        """
        mean, factor = standardising(self(x), wanted)
        self.scale.mul_(factor)
        self.bias.copy_((self.bias - mean) * factor)
        return self(x)

    def folded(self) -> tuple[Tensor, Tensor]:
        """The plain (weight, bias) that compute the same."""
        factor = self.scale / RowNorm.apply(self.direction)
        return self.direction * factor.view(-1, *(1,) * (self.direction.dim() - 1)), self.bias
