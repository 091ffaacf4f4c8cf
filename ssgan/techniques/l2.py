"""L2 penalty: small weights."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from ssgan.settings import choice, number
from ssgan.techniques.technique import DISCRIMINATOR, GENERATOR, Technique


@dataclass(frozen=True)
class L2Penalty(Technique):
    """A player's loss is given weight * sum w^2 over all its trained numbers, biases among them; its gradient is 2
    weight w, and goes through Adam as the loss's does.

    Under weight norm the length of a row changes nothing of what the network computes, so that there the penalty acts
    on the scale of the output, on biases, and on how far a step turns a row. Costs a pass over the weights. Krogh &
    Hertz 1992.
    """

    sees = frozenset({"weights"})

    weight: float = number(0.0, 0, 1000, "weight of the sum of squares; 0 is off")
    of: str = choice("all", ("all", DISCRIMINATOR, GENERATOR), "whose weights are kept small")

    def gradient(self, player: str, gradient: Tensor, weights: Tensor, state: Mapping[str, Tensor],
                 numbers: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """That of the sum of squares added."""
        if self.of not in ("all", player):
            return gradient, {}
        return gradient + 2 * self.weight * weights, {}
