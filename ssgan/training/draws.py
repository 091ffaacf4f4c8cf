"""`Draws`: all that is random in one step."""

from typing import NamedTuple

from torch import Tensor

from ssgan.models.context import Context


class Draws(NamedTuple):
    """All that is random in one step, on the device; images are [r, n, c, h, w], and None where no loss needs them."""

    labelled: Tensor
    labels: Tensor  # [r, n]
    unlabelled: Tensor | None
    plain: Tensor | None  # the unlabelled images without augmentation, for the teacher
    for_generator: Tensor | None
    latents: tuple[Tensor, Tensor] | None  # [r, n, z] for the discriminator's step, and for the generator's
    context: Context
    generator_contexts: tuple[Context, Context] | None  # for real images, and for generated ones
    teach: Tensor  # [] 1 where consistency has begun
    directions: Tensor | None  # [r, m, c, h, w] where adversarial changes are sought from
