"""The losses of telling real images from generated ones, and of passing for real, on the judgement z = log Z of a
classifier of K classes.

Z is the sum of the exponentials of the K logits, and z the logit of D = Z / (Z + 1), with the generated class's logit
fixed at 0 (Salimans et al. 2016, section 5): sigmoid(z) = D.
"""

import torch
from torch import Tensor
from torch.nn import functional

TELLING = ("cross-entropy", "least-squares", "wasserstein", "hinge", "relativistic")
PASSING = ("non-saturating", "minimax", "least-squares", "wasserstein", "hinge", "relativistic")


def judgement(logits: Tensor) -> Tensor:
    """z: [n, k] -> [n]."""
    return logits.logsumexp(1)


def telling_loss(loss: str, unlabelled: Tensor, generated: Tensor, real: Tensor | None = None,
                 fake: Tensor | None = None) -> Tensor:
    """1/2 E[loss on unlabelled images] + 1/2 E[loss on generated ones] of judgements 2 x [n] -> [].

    `real` and `fake` are how far each image counts as real [n], where that is not 1 and 0: t of the loss of an image
    that is real and 1 - t of that of a generated one. Relativistic judgements are compared with the mean of the other
    kind's (Jolicoeur-Martineau 2019, the average form).
    """
    if loss == "relativistic":
        unlabelled, generated = unlabelled - generated.mean(), generated - unlabelled.mean()
    of_unlabelled = _as_real(loss, unlabelled) if real is None else _mixed(loss, unlabelled, real)
    of_generated = _as_generated(loss, generated) if fake is None else _mixed(loss, generated, fake)
    return 0.5 * of_unlabelled.mean() + 0.5 * of_generated.mean()


def passing_loss(loss: str, generated: Tensor, unlabelled: Tensor, target: float = 1.0) -> Tensor:
    """The generator's of those names, of judgements 2 x [n] -> []; unlabelled images count in the relativistic one
    alone, and `target`, how far its images shall count as real, in the non-saturating one.
    """
    if loss == "non-saturating" and target != 1:
        return _mixed("cross-entropy", generated, generated.new_full((), target)).mean()
    if loss == "non-saturating":
        return (functional.softplus(generated) - generated).mean()
    if loss == "minimax":
        return -functional.softplus(generated).mean()
    if loss == "least-squares":
        return 0.5 * generated.square().mean()
    if loss == "relativistic":
        return telling_loss(loss, generated, unlabelled)
    assert loss in ("wasserstein", "hinge"), loss
    return -generated.mean()


def _mixed(loss: str, z: Tensor, target: Tensor) -> Tensor:
    target = target.to(z.dtype)
    if loss in ("cross-entropy", "relativistic"):
        return functional.softplus(z) - target * z
    return torch.lerp(_as_generated(loss, z), _as_real(loss, z), target)


def _as_real(loss: str, z: Tensor) -> Tensor:
    """The discriminator's, of each image [n] that is real."""
    if loss == "least-squares":
        return 0.5 * (z - 1).square()
    if loss == "wasserstein":
        return -z
    return functional.relu(1 - z) if loss == "hinge" else functional.softplus(z) - z


def _as_generated(loss: str, z: Tensor) -> Tensor:
    """The discriminator's, of each image [n] that is generated."""
    if loss == "least-squares":
        return 0.5 * (z + 1).square()
    if loss == "wasserstein":
        return z
    return functional.relu(1 + z) if loss == "hinge" else functional.softplus(z)
