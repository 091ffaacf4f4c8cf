"""Updates by the ratio of losses: a player that is far ahead of the other rests."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ssgan.errors import Mistake
from ssgan.settings import choice, number
from ssgan.techniques.judgement import judgement, passing_loss, telling_loss
from ssgan.techniques.technique import DISCRIMINATOR, GENERATOR, Size, Technique, Term, View

OTHER = {DISCRIMINATOR: GENERATOR, GENERATOR: DISCRIMINATOR}
NO_LOGIT = {"wasserstein": "has no zero", "relativistic": "has no zero", "hinge": "is driven to 1 and -1",
            "least-squares": "is driven to 1 and -1"}


@dataclass(frozen=True)
class LossRatio(Technique):
    """An update of a player is left out while its loss is below a share s of the other's: it is far ahead, and rests.

    Both losses are taken in every update of the discriminator, with its D = Z / (Z + 1): its own L = -1/2 E[log D(u)] -
    1/2 E[log(1 - D(g))] of unlabelled images u and generated ones g, and the generator's as if it had no other M =
    -E[log D(g)]; where neither is ahead, D = 1/2 and L = M = log 2. The discriminator's update is made where L >= s M,
    the generator's where M >= s L: with s up to 1 never neither. A lane that rests keeps weights, averages and moments,
    and its classifier learns nothing from labels meanwhile. The verdicts differ: Chintala et al. 2016, "How to train a
    GAN", number 11, advise not to balance by statistics of the losses, for no schedule that they tried undid a
    collapse; Berthelot et al. 2017, section 3.3, balance by the ratio of two losses all the time, and Goodfellow 2016,
    section 4.4, lets the discriminator be ahead. So it is off unless asked for. Costs a copy of a player's weights and
    moments an update; what rests is computed all the same.
    """

    sees = frozenset({"unlabelled", "generated"})
    key = "share"
    parts = {DISCRIMINATOR: ("unlabelled", "generated")}
    measures = ("discriminator_updated", "generator_updated")
    requires = ("gan",)

    share: float = number(0.0, 0, 1, "a player's update is left out while its loss is below this share of the other's; "
                                     "0 is off")
    of: str = choice("both", ("both", *OTHER), "whose updates are left out")

    def check(self, recipe: Any) -> None:
        """The losses are of probabilities, which the judgement gives under cross entropy alone."""
        if reason := NO_LOGIT.get(recipe.gan.loss):
            raise Mistake(f"loss_ratio.share and gan.loss = {recipe.gan.loss} cannot be combined: the judgement "
                          f"{reason} there, so that no\nloss says who is ahead. Set gan.loss = cross-entropy, or "
                          f"loss_ratio.share = 0.")

    def factor(self) -> float:
        """It adds nothing to a loss."""
        return 1.0

    def state(self, size: Size) -> dict[str, Tensor]:
        """By player, its loss in the last update of the discriminator."""
        return {player: torch.zeros(()) for player in OTHER}

    def term(self, player: str, view: View) -> Term:
        """Of the discriminator: 0, and both losses into the state."""
        u, g = (judgement(view.out[part].logits.detach()) for part in ("unlabelled", "generated"))
        losses = {DISCRIMINATOR: telling_loss("cross-entropy", u, g), GENERATOR: passing_loss("non-saturating", g, u)}
        updated = {f"{each}_updated": torch.ones_like(loss) if (made := self.made(each, losses)) is None
                   else made.to(loss.dtype) for each, loss in losses.items()}
        return Term(torch.zeros_like(losses[DISCRIMINATOR]), updated, losses)

    def made(self, player: str, state: Mapping[str, Tensor]) -> Tensor | None:
        """Whether that player is not far ahead."""
        if player not in OTHER or self.of not in ("both", player):
            return None
        return state[player] >= self.share * state[OTHER[player]]
