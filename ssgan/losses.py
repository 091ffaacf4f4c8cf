"""The losses of the K+1 classifier: K logits, and the generated class's logit fixed at 0."""

import math

import torch
from torch import Tensor
from torch.nn import functional


def labelled_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy over the K real classes, mean over the batch: [n, k], [n] -> [] (Salimans et al. 2016, section 5)."""
    return functional.cross_entropy(logits, labels)


def unlabelled_loss(unlabelled: Tensor, generated: Tensor) -> Tensor:
    """1/2 E[-log D] on unlabelled + 1/2 E[-log(1 - D)] on generated logits, D = Z/(Z+1), Z = sum exp(logits): 2 x [n, k] -> []."""
    z_unlabelled, z_generated = unlabelled.logsumexp(1), generated.logsumexp(1)  # [n]
    return 0.5 * (functional.softplus(z_unlabelled) - z_unlabelled).mean() + 0.5 * functional.softplus(z_generated).mean()


def feature_matching(real: Tensor, generated: Tensor) -> Tensor:
    """Mean squared difference of the batch means of the features: 2 x [n, f] -> [] (Salimans et al. 2016, section 3.1)."""
    return (real.mean(0) - generated.mean(0)).square().mean()


def pull_away(features: Tensor) -> Tensor:
    """Mean squared cosine between the features of different images: [n, f] -> [], 0 to 1: the pull-away term (Zhao et al. 2017).

    In the generator's loss it stands for the entropy of the generated images (Dai et al. 2017).
    """
    n = len(features)
    cosines = functional.normalize(features, dim=1, eps=1e-12)
    cosines = cosines @ cosines.T
    return (cosines.square().sum() - cosines.diagonal().square().sum()) / (n * (n - 1))


def consistency_loss(logits: Tensor, targets: Tensor, confident: Tensor) -> Tensor:
    """Cross entropy with taught answers, counted where they are confident: [n, k], [n], [n] of 0 and 1 -> [] (Sohn et al. 2020, eq. 4)."""
    return (functional.cross_entropy(logits, targets, reduction="none") * confident).mean()


def divergence(probabilities: Tensor, logits: Tensor) -> Tensor:
    """KL(p || softmax(logits)), mean over the batch: 2 x [n, k] -> [] (Miyato et al. 2018, eq. 5)."""
    return (torch.xlogy(probabilities, probabilities) - probabilities * logits.log_softmax(1)).sum(1).mean()


def entropy_loss(logits: Tensor) -> Tensor:
    """Mean entropy of the answers over the K real classes: [n, k] -> [] (Grandvalet & Bengio 2005; with a generator, Dai et al. 2017)."""
    logarithms = logits.log_softmax(1)
    return -(logarithms.exp() * logarithms).sum(1).mean()


def balance_loss(logits: Tensor) -> Tensor:
    """log K - H(mean answer of the batch): [n, k] -> [], 0 where all classes are answered equally often: the marginal entropy of Springenberg 2016."""
    mean = logits.softmax(1).mean(0)
    return math.log(logits.shape[1]) + (mean * mean.clamp_min(1e-12).log()).sum()
