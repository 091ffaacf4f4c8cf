"""The layers of a generator, by the recipe: its hidden products and what normalises them."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional

from ssgan.models.batch_norm import BatchNorm, Shift, VirtualBatchNorm
from ssgan.models.context import Context
from ssgan.models.settings import ModelConfig
from ssgan.models.spectral_norm import SpectralNorm
from ssgan.models.weight_norm import WeightNorm

SETTLED = 15  # steps of the power method, after which u has followed the first weights


def product(config: ModelConfig, inputs: int, outputs: int, generator: torch.Generator | None,
            *, bias: bool = False, **convolution: int) -> nn.Module:
    """A dense layer, or a convolution of that kernel, stride and padding, or a `transposed` one: without a bias, which
    the norm behind it has, unless one is asked for; or with spectral norm, or with weight norm. Its weights are for
    `fill` to give.
    """
    if config.generator_norm == "spectral":
        return SpectralNorm(inputs, outputs, 1.0, generator, **convolution)
    if config.generator_norm == "weight":
        return WeightNorm(inputs, outputs, 1.0, None, train_scale=True, **convolution)
    if not convolution:
        return nn.Linear(inputs, outputs, bias=bias)
    kind = nn.ConvTranspose2d if convolution.get("transposed") else nn.Conv2d
    return kind(inputs, outputs, convolution["kernel"], convolution.get("stride", 1), convolution["padding"],
                bias=bias)


def doubling(config: ModelConfig, inputs: int, outputs: int, generator: torch.Generator | None) -> nn.Module:
    """`model.upsampling`: the convolution of a map that `enlarged` has made larger, or a transposed one that makes it
    twice as wide and high itself.

    That one's kernel is a multiple of its stride, so that every pixel is a sum of as many: else a pattern of squares
    shows through (Odena et al. 2016).
    """
    if config.upsampling == "transposed":
        return product(config, inputs, outputs, generator, kernel=4, stride=2, padding=1, transposed=True)
    return product(config, inputs, outputs, generator, kernel=3, padding=1)


def enlarged(x: Tensor, upsampling: str) -> Tensor:
    """A map [n, c, h, w] with each pixel four times, [n, c, 2 h, 2 w]; itself before a transposed convolution."""
    return x if upsampling == "transposed" else functional.interpolate(x, scale_factor=2.0)


def fill(layers: Iterable[nn.Module], generator: torch.Generator | None, std: float | None = None) -> None:
    """Gives hidden layers their first weights, one after the other: normal of that deviation, or as Glorot has it.
    Without a generator normal ones stay as they are.
    """
    for layer in layers:
        weight = layer.direction if isinstance(layer, WeightNorm) else layer.weight
        if std is None:
            nn.init.xavier_uniform_(weight, generator=generator)
        elif generator is not None:
            nn.init.normal_(weight, std=std, generator=generator)
        if isinstance(layer, WeightNorm):
            with torch.no_grad():
                layer.scale.copy_(torch.linalg.vector_norm(weight.flatten(1), dim=1))
        if isinstance(layer, SpectralNorm) and generator is not None:
            layer.u.copy_(layer.advance(SETTLED)["u"])


def norm(config: ModelConfig, channels: int, epsilon: float = 1e-6) -> nn.Module:
    """`model.generator_norm`, behind such a layer: [n, channels, ...] -> the same."""
    if config.generator_norm == "virtual":
        return VirtualBatchNorm(channels, config.reference_images, epsilon, gain=config.generator_norm_gain,
                                itself=config.reference_itself)
    if config.generator_norm == "none":
        return Shift(channels)
    if config.generator_norm == "weight":
        return nn.Identity()
    return BatchNorm(channels, epsilon, gain=config.generator_norm_gain)


def reference_latents(config: ModelConfig, generator: torch.Generator | None, numbers: int = 0) -> Tensor | None:
    """The latent vectors of the reference batch [m, z], where virtual batch norm has one; z is `numbers`, or
    `model.latent`.
    """
    if config.generator_norm != "virtual":
        return None
    shape = (config.reference_images, numbers or config.latent)
    if generator is None:
        return torch.empty(shape)
    draw = torch.rand if config.latent_kind == "uniform" else torch.randn
    latents = draw(shape, generator=generator)
    return latents + config.latent_noise * torch.randn(shape, generator=generator) if config.latent_noise else latents


def with_reference(reference: Tensor | None, classes: int, latent: Tensor, context: Context) -> tuple[Tensor, Context]:
    """Latent vectors [n, z] and their context behind those of a reference batch, whose classes come in turn."""
    if reference is None:
        return latent, context
    if classes:
        turn = torch.arange(len(reference), device=latent.device) % classes
        context = context._replace(labels=torch.cat([turn, context.labels]))
    return torch.cat([reference.to(latent.dtype), latent]), context
