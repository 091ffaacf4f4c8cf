"""Feature matching: the generator's loss."""

import functools
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ssgan.errors import Mistake
from ssgan.settings import choice, number, numbers
from ssgan.techniques.technique import GENERATOR, Technique, Term, View


@dataclass(frozen=True)
class FeatureMatching(Technique):
    """The generator is taught images whose features, in the classifier, have the means of the unlabelled images'
    features.

    Loss: the squared (or absolute) difference of the two batch means, mean over the features; with several layers the
    sum of theirs, of a map over all its places. It keeps the generator from chasing the classifier's newest weakness.
    Under batch norm of the discriminator it needs model.norm_batches = joint: apart, unlabelled and generated images
    are normalised by their own means, which are then alike whatever is generated. Costs a pass of unlabelled images.
    Salimans et al. 2016, section 3.1, where any layer may be taken: squared for MNIST, absolute for CIFAR-10 and SVHN.
    """

    sees = frozenset({"unlabelled", "generated"})
    parts = {GENERATOR: ("unlabelled", "generated")}
    logits = False
    requires = ("gan",)

    weight: float = number(1.0, 0, 1000, "weight in the generator's loss; 0 is off")
    distance: str = choice("squared", ("squared", "absolute"),
                           "of the mean features of unlabelled and generated images")
    layers: tuple[int, ...] = numbers((0,), 0, 64, "hidden layers that are matched, from 1 at the images; "
                                                   "0 is the features: the last one, pooled where the family pools")

    def check(self, recipe: Any) -> None:
        """The means must be able to differ."""
        if recipe.model.norm == "batch" and recipe.model.norm_batches == "apart":
            raise Mistake("[feature_matching] and model.norm = batch cannot be combined: unlabelled and generated "
                          "images are each normalised by their own\nmean there, and these means are matched. Set "
                          "model.norm_batches = joint, feature_matching.weight = 0 or model.norm = weight.")

    def hidden(self) -> tuple[int, ...]:
        """All but the features."""
        return tuple(sorted({*self.layers} - {0}))

    def term(self, player: str, view: View) -> Term:
        """Of the generator."""
        real, generated = view.out["unlabelled"], view.out["generated"]
        pairs = [(real.features, generated.features)] * (0 in self.layers)
        pairs += [(real.hidden[layer], generated.hidden[layer]) for layer in self.hidden()]
        return Term(functools.reduce(torch.add, (feature_matching(*pair, self.distance) for pair in pairs)))


def feature_matching(real: Tensor, generated: Tensor, distance: str = "squared") -> Tensor:
    """Mean squared or absolute difference of the batch means of the features: 2 x [n, ...] -> [] (Salimans et al. 2016,
    section 3.1).
    """
    gap = real.mean(0) - generated.mean(0)
    return (gap.square() if distance == "squared" else gap.abs()).mean()
