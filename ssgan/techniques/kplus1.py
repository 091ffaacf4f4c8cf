"""The K+1 loss: K logits, and the generated class's logit fixed at 0."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ssgan.errors import Mistake
from ssgan.settings import choice, number
from ssgan.techniques.judgement import TELLING, judgement, telling_loss
from ssgan.techniques.technique import DISCRIMINATOR, Technique, Term, View


@dataclass(frozen=True)
class KPlus1(Technique):
    """The generator's part in the classifier: unlabelled images are of some real class, generated ones of none.

    With D = Z / (Z + 1) and Z the sum of the exponentials of the K logits the loss is -1/2 E[log D(unlabelled)] - 1/2
    E[log(1 - D(generated))]. Other losses of adversarial training take z = log Z, the logit of D, for the critic's
    number, u of unlabelled and g of generated images, each term halved: least squares 1/2 E[(u - 1)^2 + (g + 1)^2] (Mao
    et al. 2017, with -1, 1 and 0 for a, b and c), Wasserstein E[g - u] (Arjovsky et al. 2017), hinge E[max(0, 1 - u) +
    max(0, 1 + g)] (Lim & Ye 2017; Miyato et al. 2018, equation 16), relativistic E[softplus(E[g] - u) + softplus(g -
    E[u])] (Jolicoeur-Martineau 2019, the average form). Under these D is no probability, and the Wasserstein and
    relativistic z have no zero. Costs the unlabelled and the generated images in the classifier's pass. Salimans et al.
    2016, section 5.
    """

    sees = frozenset({"unlabelled", "generated"})
    parts = {DISCRIMINATOR: ("unlabelled", "generated")}
    measures = ("unlabelled_loss",)

    weight: float = number(1.0, 0, 1000, "weight of the unlabelled K+1 loss; 0 trains without a generator")
    loss: str = choice("cross-entropy", TELLING, "of the discriminator, telling unlabelled images from generated ones")

    def check(self, recipe: Any) -> None:
        """A Wasserstein loss without a bound on its slope has no minimum."""
        if self.loss == "wasserstein" and not recipe.gradient_penalty.is_on():
            raise Mistake("gan.loss = wasserstein has no minimum where the judgement may change as fast as it likes "
                          "from image to image,\nand the scale of the logits is free whatever model.norm is: "
                          "set gradient_penalty.weight above 0, for example 10, or gan.loss = hinge.")

    def term(self, player: str, view: View) -> Term:
        """Of the discriminator."""
        loss = telling_loss(self.loss, *(judgement(view.out[part].logits) for part in ("unlabelled", "generated")),
                            view.targets.get("unlabelled"), view.targets.get("generated"))
        return Term(loss, {"unlabelled_loss": loss})


def unlabelled_loss(unlabelled: Tensor, generated: Tensor) -> Tensor:
    """1/2 E[-log D] on unlabelled + 1/2 E[-log(1 - D)] on generated logits, D = Z/(Z+1), Z = sum exp(logits): 2 x [n,
    k] -> [].
    """
    return telling_loss("cross-entropy", judgement(unlabelled), judgement(generated))
