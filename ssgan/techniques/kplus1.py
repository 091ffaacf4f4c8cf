"""The K+1 loss: K logits, and the generated class's logit fixed at 0."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from ssgan.settings import number


@dataclass(frozen=True)
class GanConfig:
    """The recipe's [gan] section: the generator's part in the classifier."""

    weight: float = number(1.0, 0, 1000, "weight of the unlabelled K+1 loss; 0 trains without a generator")


def labelled_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy over the K real classes, mean over the batch: [n, k], [n] -> [] (Salimans et al. 2016, section 5)."""
    return functional.cross_entropy(logits, labels)


def unlabelled_loss(unlabelled: Tensor, generated: Tensor) -> Tensor:
    """1/2 E[-log D] on unlabelled + 1/2 E[-log(1 - D)] on generated logits, D = Z/(Z+1), Z = sum exp(logits): 2 x [n, k] -> []."""
    z_unlabelled, z_generated = unlabelled.logsumexp(1), generated.logsumexp(1)  # [n]
    return 0.5 * (functional.softplus(z_unlabelled) - z_unlabelled).mean() + 0.5 * functional.softplus(z_generated).mean()
