"""Keys of [model] that a family of networks has no use for."""

from collections.abc import Mapping

from ssgan.errors import Mistake
from ssgan.models.settings import ModelConfig

# Of the keys that not all discriminators, and not all generators have; every other key acts in every family.
DISCRIMINATORS: Mapping[str, tuple[str, ...]] = {
    "mlp": ("strides", "pooling", "downsampling"),
    "conv": (),
    "dcgan": ("strides", "downsampling"),
    "multiscale": ("strides", "downsampling"),
    "conv9": ("strides", "pooling", "downsampling"),
    "imagenet128": ("strides", "pooling", "downsampling", "norm_batches"),
    "airbench": ("strides", "downsampling"),
}
GENERATORS: Mapping[str, tuple[str, ...]] = {
    "mlp": ("upsampling",),
    "conv": (),
    "dcgan": ("upsampling",),
    "multiscale": ("upsampling",),
    "conv9": ("upsampling",),
    "imagenet128": ("upsampling",),
    "airbench": (),
}


def check(config: ModelConfig) -> None:
    """Raises Mistake where a key that the family has no use for has another value than its default."""
    chosen = "family" if config.generator == "family" else "generator"
    for key, families in (("family", DISCRIMINATORS), (chosen, GENERATORS)):
        family, usual = getattr(config, key), ModelConfig()
        unused = [name for name in families[family] if getattr(config, name) != getattr(usual, name)]
        if unused:
            raise Mistake(f"model.{key} = {family} has no use for "
                          f"{' and '.join(_written(config, name) for name in unused)}:\n"
                          f"set {' and '.join(_written(usual, name) for name in unused)}, or another model.{key}.")


def _written(config: ModelConfig, name: str) -> str:
    value = getattr(config, name)
    return f"model.{name}={list(value) if isinstance(value, tuple) else value}"
