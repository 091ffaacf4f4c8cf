"""`BatchNormed`: a layer with batch norm, over its own batch or over a fixed reference batch."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from ssgan.models.functional import convolved, widened


class BatchNormed(nn.Module):
    """y = gain (x W^T - mean) / sqrt(variance + 1e-5) + shift, unit by unit, a convolution's over its map too (Ioffe &
    Szegedy 2015, algorithm 1).

    Mean and variance are those of the batch, until `settling` has kept those of one for good. With `references` they
    are those of so many rows that stand first in every batch (virtual batch norm: Salimans et al. 2016, section 3.5),
    with `itself` each image's own among them, counted as one more; no other row is in them. `joint` tells training that
    unlabelled and generated images are to be one batch. With `crossed` those of the first half of the units are of the
    real images of a batch, and those of the others of its generated ones, which stand last, where there are some (the
    script of Salimans et al. 2016 for ImageNet). `kernel` None is a dense layer [n, in] -> [n, out]; otherwise a
    convolution over [n, c, h, w]. Without a generator the weights are not filled.
    """

    def __init__(self, inputs: int, outputs: int, std: float, generator: torch.Generator | None, *, gain: bool = True,
                 references: int = 0, itself: bool = False, joint: bool = False, crossed: bool = False,
                 kernel: int | None = None, stride: int = 1, padding: int = 0):
        super().__init__()
        self.references, self.itself, self.stride, self.padding = references, itself, stride, padding
        self.joint, self.compares_halves = joint, crossed
        self.epsilon, self.settling = 1e-5, False
        shape = (outputs, inputs) if kernel is None else (outputs, inputs, kernel, kernel)
        self.weight = nn.Parameter(torch.empty(shape) if generator is None
                                   else torch.randn(shape, generator=generator) * std)
        self.gain = nn.Parameter(torch.ones(outputs)) if gain else None
        self.shift = nn.Parameter(torch.zeros(outputs))
        self.register_buffer("mean", None)  # [out], as the next one: settled, and saved where they are there
        self.register_buffer("variance", None)

    @property
    def couples_batch(self) -> bool:
        """Whether an image's answer depends on its neighbours."""
        return not self.references and self.mean is None

    def forward(self, x: Tensor, generated: int = 0) -> Tensor:
        y = functional.linear(x, self.weight) if self.weight.dim() == 2 else convolved(
            x, self.weight, None, self.stride, self.padding)
        if self._plain(y, generated):
            return self._normalised(y)
        exact = widened(y)
        mean, variance = self._statistics(exact, generated)
        exact = (exact - mean) * torch.rsqrt(variance + self.epsilon)
        if self.gain is not None:
            exact = exact * wide(self.gain, y)
        return (exact + wide(self.shift, y)).to(y.dtype)

    def initialise(self, x: Tensor, wanted: float = 1.0) -> Tensor:
        """Nothing is to be set: the outputs have mean 0 and standard deviation 1 from the first on. Returns them."""
        with torch.no_grad():
            return self(x)

    def _plain(self, y: Tensor, generated: int) -> bool:
        """Whether all rows are normalised alike, by the statistics of all or by settled ones; torch's own refuses a
        single value.
        """
        return not (self.references or self.settling or (self.compares_halves and generated)
                    or y.numel() == y.shape[1])

    def _normalised(self, y: Tensor) -> Tensor:
        """The same by torch's own batch norm, which in bf16 on a CPU takes a tenth of the time."""
        return functional.batch_norm(y, self.mean, self.variance, self.gain, self.shift, training=self.mean is None,
                                     eps=self.epsilon)

    def _statistics(self, y: Tensor, generated: int) -> tuple[Tensor, Tensor]:
        """Mean and variance by which each row is normalised: [1 or n, out, ...]."""
        if self.mean is not None and not self.settling:
            return wide(self.mean, y), wide(self.variance, y)
        if self.compares_halves and generated:
            mean, variance = _crossed(moments(y[:-generated], whole=True), moments(y[-generated:], whole=True))
        else:
            mean, variance = moments(y[:self.references] if self.references else y, whole=True)
        if self.settling:
            self.mean, self.variance = mean.detach().flatten(), variance.detach().flatten()
        return with_own(mean, variance, y, self.references) if self.itself else (mean, variance)

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *rest) -> None:
        for name in ("mean", "variance"):
            saved = state_dict.get(f"{prefix}{name}")
            setattr(self, name, None if saved is None else torch.empty_like(saved))
        super()._load_from_state_dict(state_dict, prefix, *rest)


def moments(y: Tensor, *, whole: bool) -> tuple[Tensor, Tensor]:
    """Mean and variance of every unit, over a map if it has one, and over the batch or of each image alone: [n, out,
    ...] -> 2 x [1 or n, out, 1 ...].
    """
    axes = [0] * whole + list(range(2, y.dim()))
    if not axes:
        return y, torch.zeros_like(y)
    return y.mean(axes, keepdim=True), y.var(axes, correction=0, keepdim=True)


def with_own(mean: Tensor, variance: Tensor, y: Tensor, references: int) -> tuple[Tensor, Tensor]:
    """Moments [1, out, 1 ...] of the first rows of y [n, out, ...], in which each other row's own count as one row
    more: 2 x [n, out, 1 ...].
    """
    own_mean, own_variance = moments(y, whole=False)
    rows = torch.arange(y.shape[0], device=y.device).view(-1, *(1,) * (y.dim() - 1))
    share = (rows >= references).to(y.dtype) / (references + 1)  # of itself
    joint = mean + share * (own_mean - mean)
    return joint, (1 - share) * (variance + (mean - joint).square()) + share * (
        own_variance + (own_mean - joint).square())


def _crossed(real: tuple[Tensor, Tensor], made: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Of the moments [1, out, 1 ...] of two kinds of images, the first half of the units' and the second half's."""
    half = real[0].shape[1] // 2
    return torch.cat([real[0][:, :half], made[0][:, half:]], 1), torch.cat([real[1][:, :half], made[1][:, half:]], 1)


def wide(x: Tensor, like: Tensor) -> Tensor:
    """A number for each unit, in the shape of activations [n, units, ...]."""
    return x.view(1, -1, *(1,) * (like.dim() - 2))
