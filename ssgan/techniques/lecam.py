"""LeCam regularisation: judgements that stay near the other kind's mean."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ssgan.settings import number
from ssgan.techniques.judgement import judgement
from ssgan.techniques.technique import DISCRIMINATOR, Size, Technique, Term, View

OTHER = {"unlabelled": "generated", "generated": "unlabelled"}


@dataclass(frozen=True)
class LeCam(Technique):
    """The discriminator's judgements of unlabelled images stay near the mean of those of generated ones, and the other
    way round, so that with few images to learn from it does not come to be ever surer.

    With the judgement z = log Z, Z the sum of the exponentials of the K logits, and m_u and m_g the means of z over the
    unlabelled and the generated images of past updates, each m = d m + (1 - d) E[z] with decay d, the loss is E[(z(u) -
    m_g)^2] + E[(z(g) - m_u)^2] of unlabelled images u and generated ones g; no gradient goes through the means. It goes
    with any loss of the discriminator; with Wasserstein's both amount to the LeCam divergence. Costs two sums. Tseng et
    al. 2021, equation 4.
    """

    sees = frozenset({"unlabelled", "generated"})
    parts = {DISCRIMINATOR: ("unlabelled", "generated")}
    measures = ("lecam_loss",)
    requires = ("gan",)

    weight: float = number(0.0, 0, 1000, "weight of the loss; 0 is off")
    decay: float = number(0.99, 0, 0.999999, "how much of a mean of past judgements is left after an update")

    def state(self, size: Size) -> dict[str, Tensor]:
        """By part the mean of past judgements, and of how many updates it is."""
        return {name: torch.zeros(()) for name in (*OTHER, "updates")}

    def term(self, player: str, view: View) -> Term:
        """Of the discriminator; until 1 / (1 - decay) updates are made, the means are those of all of them."""
        z = {part: judgement(view.out[part].logits) for part in OTHER}
        updates = view.state["updates"] + 1
        share = torch.clamp_min(1 / updates, 1 - self.decay)
        means = {part: torch.lerp(view.state[part], z[part].detach().mean().to(share.dtype), share) for part in OTHER}
        loss = sum((z[part] - means[other]).square().mean() for part, other in OTHER.items())
        return Term(loss, {"lecam_loss": loss}, means | {"updates": updates})
