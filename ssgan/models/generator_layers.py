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
            **convolution: int) -> nn.Module:
    """A dense layer, or a convolution of that kernel and padding: without a bias, which the norm behind it has, or with
    spectral norm. Its weights are for `fill` to give.
    """
    if config.generator_norm == "spectral":
        return SpectralNorm(inputs, outputs, 1.0, generator, **convolution)
    if convolution:
        return nn.Conv2d(inputs, outputs, convolution["kernel"], padding=convolution["padding"], bias=False)
    return nn.Linear(inputs, outputs, bias=False)


def fill(layers: Iterable[nn.Module], generator: torch.Generator | None) -> None:
    """Gives hidden layers their first weights, one after the other."""
    for layer in layers:
        nn.init.xavier_uniform_(layer.weight, generator=generator)
        if isinstance(layer, SpectralNorm) and generator is not None:
            layer.u.copy_(layer.advance(SETTLED)["u"])


def fill_normal(layers: Iterable[nn.Module], std: float, generator: torch.Generator | None) -> None:
    """The same with normal first weights of that deviation; without a generator they stay as they are."""
    for layer in layers if generator is not None else ():
        nn.init.normal_(layer.weight, std=std, generator=generator)
        if isinstance(layer, SpectralNorm):
            layer.u.copy_(layer.advance(SETTLED)["u"])


def norm(config: ModelConfig, channels: int, *, itself: bool = False, epsilon: float = 1e-6) -> nn.Module:
    """`model.generator_norm`, behind such a layer: [n, channels, ...] -> the same; `itself` as `VirtualBatchNorm` has
    it.
    """
    if config.generator_norm == "virtual":
        return VirtualBatchNorm(channels, config.reference_images, epsilon, gain=config.generator_norm_gain,
                                itself=itself)
    if config.generator_norm == "none":
        return Shift(channels)
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
