"""The K+1 loss: K logits, and the generated class's logit fixed at 0."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from ssgan.settings import number
from ssgan.techniques.technique import DISCRIMINATOR, Technique, Term, View


@dataclass(frozen=True)
class KPlus1(Technique):
    """The generator's part in the classifier: unlabelled images are of some real class, generated ones of none.

    With D = Z / (Z + 1) and Z the sum of the exponentials of the K logits the loss is -1/2 E[log D(unlabelled)] - 1/2
    E[log(1 - D(generated))]. Costs the unlabelled and the generated images in the classifier's pass. Salimans et al.
    2016, section 5.
    """

    sees = frozenset({"unlabelled", "generated"})
    parts = {DISCRIMINATOR: ("unlabelled", "generated")}
    measures = ("unlabelled_loss",)

    weight: float = number(1.0, 0, 1000, "weight of the unlabelled K+1 loss; 0 trains without a generator")

    def term(self, player: str, view: View) -> Term:
        """Of the discriminator."""
        loss = unlabelled_loss(view.out["unlabelled"].logits, view.out["generated"].logits)
        return Term(loss, {"unlabelled_loss": loss})


def unlabelled_loss(unlabelled: Tensor, generated: Tensor) -> Tensor:
    """1/2 E[-log D] on unlabelled + 1/2 E[-log(1 - D)] on generated logits, D = Z/(Z+1), Z = sum exp(logits): 2 x [n,
    k] -> [].
    """
    z_unlabelled, z_generated = unlabelled.logsumexp(1), generated.logsumexp(1)  # [n]
    return 0.5 * (functional.softplus(z_unlabelled) - z_unlabelled).mean() + 0.5 * functional.softplus(
        z_generated).mean()
