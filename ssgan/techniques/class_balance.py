"""Class balance: answers that fall on the classes as often as the labels do."""

import math
from dataclasses import dataclass

from torch import Tensor

from ssgan.settings import choice, number
from ssgan.techniques.technique import DISCRIMINATOR, Technique, Term, View


@dataclass(frozen=True)
class ClassBalance(Technique):
    """The answers to a batch of unlabelled images fall on the classes as often as the labelled images do.

    Loss: KL(m || s) = sum_k m_k log(m_k / s_k), m the mean answer of the batch and s the class shares that the
    labels tell, (n_k + 1/K) / (n + 1). Even labels make it log K - H(m), the marginal entropy of Springenberg 2016
    (CatGAN), section 3; uneven shares as in Assran et al. 2023 (PMSN). It assumes that images were chosen for labelling
    without regard to their class. Costs nothing beside the unlabelled images' pass.

    A rare class that no image is answered any more adds little to that divergence, and nothing to its gradient. In the
    forward direction, KL(s || m) = sum_k s_k log(s_k / m_k), each class pulls with a force of s_k at the images that
    are most like it, however unlikely (expectation regularization: Mann & McCallum 2007).
    """

    sees = frozenset({"unlabelled"})
    parts = {DISCRIMINATOR: ("unlabelled",)}
    measures = ("balance_loss",)

    weight: float = number(0.0, 0, 1000, "weight of the loss; 0 is off")
    divergence: str = choice("reverse", ("reverse", "forward"), "of the mean answer m and the shares s: KL(m || s), or "
                                                                "KL(s || m), whose pull at a class does not vanish "
                                                                "where no image is answered it")

    def term(self, player: str, view: View) -> Term:
        """Of the discriminator."""
        divergence = forward_balance_loss if self.divergence == "forward" else balance_loss
        loss = divergence(view.out["unlabelled"].logits, view.shares)
        return Term(loss, {"balance_loss": loss})


def balance_loss(logits: Tensor, shares: Tensor) -> Tensor:
    """KL(mean answer of the batch || shares): [n, k], [k] -> [], 0 where the classes are answered as often as their
    shares say.
    """
    mean, count = logits.softmax(1).mean(0), logits.shape[1]
    # log K - H(mean), and by how much the shares are not even: a sum of zeros where they are
    return math.log(count) + (mean * mean.clamp_min(1e-12).log()).sum() - (mean * (count * shares).log()).sum()


def forward_balance_loss(logits: Tensor, shares: Tensor) -> Tensor:
    """KL(shares || mean answer of the batch): [n, k], [k] -> []; finite, with a gradient, where a class's answers are
    too small for their type.
    """
    log_mean = logits.log_softmax(1).logsumexp(0) - math.log(len(logits))
    return (shares * (shares.log() - log_mean)).sum()
