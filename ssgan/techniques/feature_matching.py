"""Feature matching: the generator's loss."""

from dataclasses import dataclass

from torch import Tensor

from ssgan.settings import choice, number
from ssgan.techniques.technique import GENERATOR, Technique, Term, View


@dataclass(frozen=True)
class FeatureMatching(Technique):
    """The generator is taught images whose features, in the classifier, have the means of the unlabelled images'
    features.

    Loss: the squared (or absolute) difference of the two batch means, mean over the features. It keeps the generator
    from chasing the classifier's newest weakness. Costs a pass of unlabelled images. Salimans et al. 2016, section 3.1:
    squared for MNIST, absolute for CIFAR-10 and SVHN.
    """

    sees = frozenset({"unlabelled", "generated"})
    parts = {GENERATOR: ("unlabelled", "generated")}
    logits = False
    requires = ("gan",)

    weight: float = number(1.0, 0, 1000, "weight in the generator's loss; 0 is off")
    distance: str = choice("squared", ("squared", "absolute"),
                           "of the mean features of unlabelled and generated images")

    def term(self, player: str, view: View) -> Term:
        """Of the generator."""
        return Term(feature_matching(view.out["unlabelled"].features, view.out["generated"].features, self.distance))


def feature_matching(real: Tensor, generated: Tensor, distance: str = "squared") -> Tensor:
    """Mean squared or absolute difference of the batch means of the features: 2 x [n, f] -> [] (Salimans et al. 2016,
    section 3.1).
    """
    gap = real.mean(0) - generated.mean(0)
    return (gap.square() if distance == "squared" else gap.abs()).mean()
