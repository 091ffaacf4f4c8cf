"""The losses of real against generated images once more, slow and plain: image by image, through D = Z/(Z+1) where the
loss is one of probabilities.
"""

import torch
from torch import Tensor

from ssgan.config import Recipe


def z_of(logits: Tensor) -> list[Tensor]:
    """log Z of each image."""
    return [torch.log(torch.exp(row).sum()) for row in logits]


def sigmoid(x: Tensor) -> Tensor:
    return 1 / (1 + torch.exp(-x))


def told(loss: str, z: Tensor, real: bool, opponents: list[Tensor]) -> Tensor:
    """The discriminator's loss on one image that is real, or generated; `opponents` are judgements of the other kind.
    """
    if loss == "cross-entropy":
        return -torch.log(sigmoid(z)) if real else -torch.log(1 - sigmoid(z))
    if loss == "relativistic":
        nearer = sigmoid(z - sum(opponents) / len(opponents))
        return -torch.log(nearer) if real else -torch.log(1 - nearer)
    if loss == "least-squares":
        return (z - 1) ** 2 / 2 if real else (z + 1) ** 2 / 2
    if loss == "hinge":
        return max(torch.zeros_like(z), 1 - z if real else 1 + z)
    return -z if real else z


def telling(loss: str, unlabelled: Tensor, generated: Tensor, targets: tuple[list[float], list[float]]) -> Tensor:
    """Half of the mean over each kind; targets say how far each image counts as real."""
    u, g = z_of(unlabelled), z_of(generated)
    total = 0.0
    for own, others, wanted in ((u, g, targets[0]), (g, u, targets[1])):
        rows = [t * told(loss, z, True, others) + (1 - t) * told(loss, z, False, others)
                for z, t in zip(own, wanted, strict=True)]
        total = total + sum(rows) / len(rows) / 2
    return total


def passing(loss: str, generated: Tensor, unlabelled: Tensor) -> Tensor:
    """The generator's."""
    g, u = z_of(generated), z_of(unlabelled)
    if loss == "relativistic":
        total = sum(told(loss, z, True, u) for z in g) / len(g) / 2
        return total + sum(told(loss, z, False, g) for z in u) / len(u) / 2
    rows = {"non-saturating": [-torch.log(sigmoid(z)) for z in g], "minimax": [torch.log(1 - sigmoid(z)) for z in g],
            "least-squares": [z ** 2 / 2 for z in g]}.get(loss, [-z for z in g])
    return sum(rows) / len(rows)


def targets(recipe: Recipe, drawn: dict[str, dict[str, Tensor]], counts: tuple[int, int]) -> tuple[list[float],
                                                                                                   list[float]]:
    """How far each unlabelled and each generated image counts as real, by what was drawn for the techniques."""
    found = []
    for part, count, told_as in (("unlabelled", counts[0], 1.0), ("generated", counts[1], 0.0)):
        row = []
        for i in range(count):
            target = told_as
            if (smooth := recipe.smoothing).weight > 0:
                inwards = smooth.width * drawn["smoothing"][part][i].item() if smooth.width else 0.0
                wanted = smooth.alpha - inwards if told_as else smooth.beta + inwards
                target = (1 - smooth.weight) * told_as + smooth.weight * wanted
            noise = recipe.label_noise
            if noise.share > 0 and noise.sides in ("both", part) and drawn["label_noise"][part][i] < noise.share:
                target = 1 - target
            row.append(target)
        found.append(row)
    return found[0], found[1]
