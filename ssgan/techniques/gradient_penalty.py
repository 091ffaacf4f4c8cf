"""Gradient penalty: a discriminator whose judgement changes no faster than it should from image to image."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ssgan.models.context import Context
from ssgan.models.functional import widened
from ssgan.models.scales import alike
from ssgan.settings import choice, number, switch
from ssgan.techniques.technique import DISCRIMINATOR, Draw, Size, Technique, Term, View


@dataclass(frozen=True)
class GradientPenalty(Technique):
    """The length of the gradient of the discriminator's judgement, by the image, is kept near a target.

    The judgement is log Z, the logit of D = Z / (Z + 1) with Z the sum of the exponentials of the K logits. Loss: the
    mean of (|gradient| - target)^2 over images between generated and unlabelled ones (Gulrajani et al. 2017, eq. 3), or
    at unlabelled ones (R1, with target 0: Mescheder et al. 2018, eq. 9) or at generated ones (R2: eq. 10). Costs a pass
    of its own and a second backward pass; with `every` above 1 that is made in one step of so many, and counts so many
    times (Karras et al. 2020, appendix B).
    """

    sees = frozenset({"unlabelled", "generated"})
    parts = {DISCRIMINATOR: ("unlabelled", "generated")}
    measures = ("gradient_penalty_loss", "gradient_length")
    requires = ("gan",)
    excludes = dict.fromkeys(("minibatch_discrimination", "batch_norm"),
                             "the penalty is on the gradient of one image's judgement, which there depends on all "
                             "images of the batch")

    weight: float = number(0.0, 0, 1000, "weight of the loss; 0 is off")
    at: str = choice("between", ("between", "real", "generated"), "images between generated and unlabelled ones, or "
                                                                  "unlabelled ones, or generated ones")
    target: float = number(1.0, 0, 1000, "length of the gradient that costs nothing")
    one_sided: bool = switch(False, "only gradients longer than the target cost")
    every: int = number(1, 1, 1000, "steps, in one of which the loss is taken, so many times")

    def period(self) -> int:
        """Steps from one to the next that has its terms."""
        return self.every

    def draws(self, player: str, size: Size) -> dict[str, Draw]:
        """How far each image between lies from the generated to the unlabelled one."""
        return {"share": Draw((min(size.unlabelled, size.generated), 1, 1, 1),
                              "uniform")} if self.at == "between" else {}

    def term(self, player: str, view: View) -> Term:
        """Of the discriminator."""
        x = view.images["generated" if self.at == "generated" else "unlabelled"]
        if self.at == "between":
            share = view.draws["share"]
            generated = view.images["generated"][:len(share)]
            x = torch.lerp(generated, alike(x[:len(share)], generated), share)
        discriminator = view.players[DISCRIMINATOR]
        slope = torch.func.grad(lambda x: widened(discriminator(x, Context())[0]).logsumexp(1).sum())(x)
        squared = widened(slope).flatten(1).square().sum(1)  # [n]
        loss = penalty(squared, self.target, self.one_sided)
        return Term(loss, {"gradient_penalty_loss": loss, "gradient_length": squared.sqrt().mean()})


def penalty(squared: Tensor, target: float, one_sided: bool) -> Tensor:
    """Mean squared excess of lengths, whose squares are given, over the target: [n] -> []; also where a length is zero,
    with its gradient.
    """
    if target == 0:
        return squared.mean()
    excess = squared.clamp_min(torch.finfo(squared.dtype).tiny).sqrt() - target
    return (excess.clamp_min(0) if one_sided else excess).square().mean()
