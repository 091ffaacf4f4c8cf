"""The mathematics of one step: the discriminator's and the generator's loss of one model, and nothing else."""

from typing import Callable, NamedTuple

import torch
from torch import Tensor

from ssgan.models.context import Context
from ssgan.models.functional import widened
from ssgan.techniques.class_balance import balance_loss
from ssgan.techniques.consistency import consistency_loss
from ssgan.techniques.entropy import entropy_loss
from ssgan.techniques.feature_matching import feature_matching
from ssgan.techniques.kplus1 import labelled_loss, unlabelled_loss
from ssgan.techniques.pull_away import pull_away
from ssgan.techniques.virtual_adversarial import Discriminator, vat_loss

Features = Callable[[Tensor, Context], Tensor]


class Weights(NamedTuple):
    """How much each loss counts; a weight of 0 leaves its images out of the pass."""

    unlabelled: float
    consistency: float
    balance: float = 0.0
    entropy: float = 0.0
    vat: float = 0.0
    vat_epsilon: float = 0.0


class DiscriminatorBatch(NamedTuple):
    """What one discriminator step sees; images are [n, c, h, w] in [0, 1], and None where no loss needs them."""

    labelled: Tensor
    labels: Tensor  # [n]
    unlabelled: Tensor | None
    generated: Tensor | None
    targets: Tensor | None  # [n] taught classes of the unlabelled images
    confident: Tensor | None  # [n] 1 where the taught class counts
    directions: Tensor | None = None  # [m, c, h, w] normal draws, from which the first m unlabelled images' adversarial changes are sought


def discriminator_loss(discriminator: Discriminator, batch: DiscriminatorBatch, context: Context, weights: Weights) -> tuple[Tensor, dict[str, Tensor]]:
    """The K+1 loss and its parts, in one concatenated pass (Salimans et al. 2016, section 5)."""
    parts = [x for x in (batch.labelled, batch.unlabelled, batch.generated) if x is not None]
    logits, _ = discriminator(torch.cat(parts), context)
    labelled, *others = widened(logits).split([len(x) for x in parts])
    found = {"labelled_loss": labelled_loss(labelled, batch.labels)}
    loss = found["labelled_loss"]
    if batch.generated is not None:
        found["unlabelled_loss"] = unlabelled_loss(others[0], others[1])
        loss = loss + weights.unlabelled * found["unlabelled_loss"]
    if batch.targets is not None:
        found["consistency_loss"] = consistency_loss(others[0], batch.targets, batch.confident)
        found["confident"] = batch.confident.mean()
        loss = loss + weights.consistency * found["consistency_loss"]
    if weights.balance:
        found["balance_loss"] = balance_loss(others[0])
        loss = loss + weights.balance * found["balance_loss"]
    if weights.entropy:
        found["entropy_loss"] = entropy_loss(others[0])
        loss = loss + weights.entropy * found["entropy_loss"]
    if batch.directions is not None:
        found["vat_loss"] = vat_loss(discriminator, batch.unlabelled[:len(batch.directions)], batch.directions, weights.vat_epsilon)
        loss = loss + weights.vat * found["vat_loss"]
    found["labelled_error"] = (labelled.argmax(1) != batch.labels).to(loss.dtype).mean()
    return loss, {name: value.detach() for name, value in found.items()}


def generator_loss(features: Features, unlabelled: Tensor, generated: Tensor, real_context: Context, generated_context: Context,
                   pull_away_weight: float = 0.0) -> Tensor:
    """Feature matching between unlabelled and generated images [n, c, h, w] (Salimans et al. 2016, section 3.1), and the pull-away term."""
    with torch.no_grad():
        real = widened(features(unlabelled, real_context))
    fake = widened(features(generated, generated_context))
    loss = feature_matching(real, fake)
    return loss + pull_away_weight * pull_away(fake) if pull_away_weight else loss
