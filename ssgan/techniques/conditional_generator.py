"""A class-conditional generator: it is told the class of the image that it shall make."""

from dataclasses import dataclass

from torch.nn import functional

from ssgan.settings import number
from ssgan.techniques.technique import GENERATOR, Technique, Term, View


@dataclass(frozen=True)
class ConditionalGenerator(Technique):
    """The generator is given a drawn class with each latent vector, and is taught images that the classifier answers
    so.

    Loss: cross entropy of the classifier's answers to generated images with the classes that were drawn for them, each
    as often as the labels tell; the generator's input is the latent vector and the class as K numbers of 0 and 1. Costs
    the logits of one pass. Mirza & Osindero 2014; the term as in Odena et al. 2017 (AC-GAN).
    """

    sees = frozenset({"generated"})
    parts = {GENERATOR: ("generated",)}
    measures = ("class_loss",)
    requires = ("gan",)
    gives_classes = True

    weight: float = number(0.0, 0, 1000, "weight in the generator's loss; 0 is off, and the generator is told no class")

    def term(self, player: str, view: View) -> Term:
        """Of the generator."""
        loss = functional.cross_entropy(view.out["generated"].logits, view.labels["generated"])
        return Term(loss, {"class_loss": loss})
