"""The families of networks: one file each, a generator and a discriminator."""

from ssgan.models import airbench, mlp, small_conv
from ssgan.models.batch_normed import BatchNormed
from ssgan.models.settings import ModelConfig

FAMILIES = {
    "mlp": mlp,
    "conv": small_conv,
    "airbench": airbench,
}


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


def build_generator(config: ModelConfig, shape: tuple[int, int, int], generator, classes: int = 0):
    """The family's generator: module(latent [n, z], context) -> images [n, c, h, w] in [0, 1]; it is told one of so
    many classes, if any.
    """
    family = FAMILIES[config.family if config.generator == "family" else config.generator]
    return family.Generator(config, shape, generator, classes)
