"""The pull-away term: generated images that differ from one another."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from ssgan.settings import number
from ssgan.techniques.technique import GENERATOR, Technique, Term, View


@dataclass(frozen=True)
class PullAway(Technique):
    """The generator is taught images that differ from one another, beside what else it is taught.

    Loss: the mean squared cosine between the features f of different generated images, 1 / (n (n - 1)) times the sum
    over i != j of (f_i f_j / |f_i| |f_j|)^2. In a complement generator's loss
    it stands for the entropy of the generated images. Costs one product of features. Zhao et al. 2017, section 2.4; Dai
    et al. 2017.
    """

    sees = frozenset({"generated"})
    parts = {GENERATOR: ("generated",)}
    logits = False
    requires = ("gan",)

    weight: float = number(0.0, 0, 1000, "weight of the loss; 0 is off")

    def term(self, player: str, view: View) -> Term:
        """Of the generator."""
        return Term(pull_away(view.out["generated"].features))


def pull_away(features: Tensor) -> Tensor:
    """Mean squared cosine between the features of different images: [n, f] -> [], 0 to 1: the pull-away term (Zhao et
    al. 2017).

    In the generator's loss it stands for the entropy of the generated images (Dai et al. 2017).
    """
    n = len(features)
    cosines = functional.normalize(features, dim=1, eps=1e-12)
    cosines = cosines @ cosines.T
    return (cosines.square().sum() - cosines.diagonal().square().sum()) / (n * (n - 1))
