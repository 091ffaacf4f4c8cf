"""The layers of a generator, by the recipe: its hidden products and what normalises them."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from ssgan.models.batch_norm import BatchNorm, Shift, VirtualBatchNorm
from ssgan.models.context import Context
from ssgan.models.settings import ModelConfig
from ssgan.models.spectral_norm import SpectralNorm

SETTLED = 15  # steps of the power method, after which u has followed the first weights


def product(config: ModelConfig, inputs: int, outputs: int, generator: torch.Generator | None,
            *, transposed: bool = False, bias: bool = False, **convolution: int) -> nn.Module:
    """A dense layer, or a convolution of that kernel, stride and padding, a `transposed` one too: without a bias, which
    the norm behind it has, unless one is asked for; or with spectral norm. Its weights are for `fill` to give.
    """
    if config.generator_norm == "spectral":
        return SpectralNorm(inputs, outputs, 1.0, generator, transposed=transposed, **convolution)
    if convolution:
        return (nn.ConvTranspose2d if transposed else nn.Conv2d)(
            inputs, outputs, convolution["kernel"], convolution.get("stride", 1), convolution["padding"], bias=bias)
    return nn.Linear(inputs, outputs, bias=bias)


def fill(layers: Iterable[nn.Module], generator: torch.Generator | None, std: float | None = None) -> None:
    """Gives hidden layers their first weights, one after the other: normal of that deviation, or as Glorot has it."""
    for layer in layers:
        if std is None:
            nn.init.xavier_uniform_(layer.weight, generator=generator)
        elif generator is not None:
            layer.weight.data.copy_(torch.randn(layer.weight.shape, generator=generator) * std)
        if isinstance(layer, SpectralNorm) and generator is not None:
            layer.u.copy_(layer.advance(SETTLED)["u"])


def norm(config: ModelConfig, channels: int) -> nn.Module:
    """`model.generator_norm`, behind such a layer: [n, channels, ...] -> the same."""
    if config.generator_norm == "virtual":
        return VirtualBatchNorm(channels, config.reference_images, gain=config.generator_norm_gain)
    if config.generator_norm == "none":
        return Shift(channels)
    return BatchNorm(channels, gain=config.generator_norm_gain)


def reference_latents(config: ModelConfig, generator: torch.Generator | None) -> Tensor | None:
    """The latent vectors of the reference batch [m, z], where virtual batch norm has one."""
    if config.generator_norm != "virtual":
        return None
    shape = (config.reference_images, config.latent)
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
