"""Functions of tensors that several networks use."""

import inspect

import torch
from torch import Tensor
from torch.nn import functional


def add_noise(x: Tensor, std: float, noise: Tensor | None) -> Tensor:
    """x + std * noise, and x itself where there is no noise."""
    return x if noise is None or std == 0 else torch.add(x, noise, alpha=std)


def with_classes(latent: Tensor, labels: Tensor | None, classes: int) -> Tensor:
    """Vectors [n, z], latent ones or others, each with its class as K numbers of 0 and 1 behind: [n, z + k]; without
    classes as they are.
    """
    if not classes:
        return latent
    assert labels is not None, "this network is told a class with each of its inputs"
    return torch.cat([latent, (labels[:, None] == torch.arange(classes, device=labels.device)).to(latent.dtype)], 1)


def convolved(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int,
              transposed: bool = False) -> Tensor:
    """A convolution of images [n, in, h, w] with a weight [out, in, ...], or a transposed one."""
    if transposed:
        return functional.conv_transpose2d(x, weight.transpose(0, 1), bias, stride, padding)
    # Of a map one pixel wide a stride along the width means nothing, and with it torch 2.14's gradient of the weight is
    # whatever lies in memory, in bf16 on a CPU.
    along_width = 1 if x.shape[-1] == 1 else stride
    return functional.conv2d(x, weight, bias, (stride, along_width), padding)


def widened(x: Tensor) -> Tensor:
    """x in at least float32: losses are never taken in the type of the products."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def sigmoid(x: Tensor) -> Tensor:
    """The logistic function in at least float32, given back in x's type.

    In bf16 what is above 0.998 rounds to 1, where the gradient is 0: pixels that came there stayed white, and the
    generator collapsed.
    """
    return torch.sigmoid(widened(x)).to(x.dtype)


def signed(x: Tensor, image_range: str) -> Tensor:
    """Images in [0, 1] in the range of `model.image_range`."""
    return 2 * x - 1 if image_range == "signed" else x


def as_images(x: Tensor, image_range: str) -> Tensor:
    """A generator's last numbers as images in [0, 1]: sigmoid(x), or (tanh(x) + 1) / 2 = sigmoid(2 x)."""
    return sigmoid(2 * x if image_range == "signed" else x)


class Softplus(torch.autograd.Function):
    """log(1 + exp(x)), to the rounding of numbers near 1; torch's, which is exact for very negative x too, takes five
    times as long on a CPU.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x.clamp_min(0) + x.abs().neg_().exp_().add_(1).log_()

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return gradient * ctx.saved_tensors[0].sigmoid()


# torch binds forward's arguments at every call; finding its signature anew would take longer than the function.
Softplus.forward.__signature__ = inspect.signature(Softplus.forward)


def standardising(y: Tensor, wanted: float) -> tuple[Tensor, Tensor]:
    """Each unit's mean, and what multiplies its deviations from it to the wanted standard deviation: [n, out, ...] -> 2
    x [out].
    """
    axes = [axis for axis in range(y.dim()) if axis != 1]
    mean, std = y.mean(axes), y.std(axes, correction=0)
    std = torch.where(std > 1e-6, std, torch.ones_like(std))  # a dead unit keeps its scale
    return mean, wanted / std
