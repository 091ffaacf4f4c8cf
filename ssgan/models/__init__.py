"""The families of networks: one file each, a generator and a discriminator."""

from ssgan.models import airbench, conv9, dcgan, imagenet128, mlp, multiscale, small_conv
from ssgan.models.batch_normed import BatchNormed
from ssgan.models.settings import ModelConfig

FAMILIES = {"mlp": mlp, "conv": small_conv, "dcgan": dcgan, "multiscale": multiscale, "conv9": conv9,
            "imagenet128": imagenet128, "airbench": airbench}
LATENTS = {"imagenet128": imagenet128.latent_numbers}  # of families whose latent vectors have more than model.latent


def build_discriminator(config: ModelConfig, shape: tuple[int, int, int], classes: int, generator):
    """The family's discriminator for images of `shape` [c, h, w]: module(x, context) -> (logits [n, k], features
    [n, f]). A list as a third argument is given every hidden layer's activations.
    """
    return FAMILIES[config.family].Discriminator(config, shape, classes, generator)


def couples_batch(module) -> bool:
    """Whether what the network says of one image depends on the others of its batch."""
    return any(getattr(part, "couples_batch", False) for part in module.modules())


def joins_batches(module) -> bool:
    """Whether it has batch norm for which unlabelled and generated images are one batch."""
    return any(isinstance(part, BatchNormed) and part.joint for part in module.modules())


def compares_halves(module) -> bool:
    """Whether the network is to be given real images with generated ones behind them in one pass, and told how many."""
    return any(getattr(part, "compares_halves", False) for part in module.modules())


def latent_numbers(config: ModelConfig, shape: tuple[int, int, int]) -> int:
    """How many numbers the generator of images of that shape takes for each."""
    family = config.family if config.generator == "family" else config.generator
    return LATENTS[family](config, shape) if family in LATENTS else config.latent


def build_generator(config: ModelConfig, shape: tuple[int, int, int], generator, classes: int = 0):
    """The family's generator: module(latent [n, z], context) -> images [n, c, h, w] in [0, 1]; it is told one of so
    many classes, if any.
    """
    family = FAMILIES[config.family if config.generator == "family" else config.generator]
    return family.Generator(config, shape, generator, classes)
