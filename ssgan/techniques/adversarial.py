"""The adversarial loss: the generator is taught images that the classifier takes for real ones."""

from dataclasses import dataclass
from typing import Any

from ssgan.errors import Mistake
from ssgan.settings import choice, number
from ssgan.techniques.judgement import PASSING, judgement, passing_loss
from ssgan.techniques.technique import GENERATOR, Technique, Term, View


@dataclass(frozen=True)
class Adversarial(Technique):
    """The generator is taught images that the classifier takes for real ones, beside or in place of feature matching.

    The classifier's judgement is z = log Z with Z the sum of the exponentials of the K logits: the logit of D = Z / (Z
    + 1). Losses, g being z of generated images and u of unlabelled ones: non-saturating E[-log D] = E[softplus(-g)] and
    minimax E[log(1 - D)] = -E[softplus(g)], whose gradient dies where the classifier is sure (Goodfellow et al. 2014,
    section 3); least squares 1/2 E[g^2] (Mao et al. 2017, with -1, 1 and 0 for a, b and c); Wasserstein and hinge -E[g]
    (Arjovsky et al. 2017; Miyato et al. 2018, equation 17); relativistic 1/2 E[softplus(E[u] - g)] + 1/2 E[softplus(u -
    E[g])] (Jolicoeur-Martineau 2019, the average form). With a target t below 1 the non-saturating one is E[softplus(g)
    - t g], least where D = t: with real images smoothed to alpha, both players rest at t = alpha / 2 (the authors'
    script for ImageNet). Which loss the discriminator has is said by gan.loss. Feature matching is what this loss was
    given up for where classifiers were wanted (Salimans et al. 2016, section 5). Costs the logits of a pass, and a pass
    of unlabelled images.
    """

    sees = frozenset({"unlabelled", "generated"})
    parts = {GENERATOR: ("unlabelled", "generated")}
    measures = ("adversarial_loss",)
    requires = ("gan",)

    weight: float = number(0.0, 0, 1000, "weight in the generator's loss; 0 is off")
    loss: str = choice("non-saturating", PASSING, "of the generator, on the classifier's judgement of its images")
    target: float = number(1.0, 0.001, 1, "how far its images shall count as real, in the non-saturating loss; "
                                          "1 is altogether")

    def check(self, recipe: Any) -> None:
        """The other losses have no target."""
        if self.target != 1 and self.loss != "non-saturating":
            raise Mistake(f"adversarial.target = {self.target:g} is of the non-saturating loss, and adversarial.loss = "
                          f"{self.loss}: set adversarial.target = 1, or adversarial.loss = non-saturating.")

    def term(self, player: str, view: View) -> Term:
        """Of the generator."""
        loss = passing_loss(self.loss, *(judgement(view.out[part].logits) for part in ("generated", "unlabelled")),
                            self.target)
        return Term(loss, {"adversarial_loss": loss})
