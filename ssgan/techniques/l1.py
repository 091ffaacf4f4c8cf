"""L1 penalty: few weights that are not small."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from ssgan.settings import choice, number
from ssgan.techniques.technique import DISCRIMINATOR, GENERATOR, Technique


@dataclass(frozen=True)
class L1Penalty(Technique):
    """A player's loss is given weight * sum |w| over all its trained numbers, biases among them; its gradient is
    weight sign(w), 0 at 0, and goes through Adam as the loss's does.

    Weights that earn nothing are driven to about 0. Under weight norm it acts as L2 does, on directions that become
    sparse. Costs a pass over the weights. Tibshirani 1996.
    """

    sees = frozenset({"weights"})

    weight: float = number(0.0, 0, 1000, "weight of the sum of sizes; 0 is off")
    of: str = choice("all", ("all", DISCRIMINATOR, GENERATOR), "whose weights are kept small")

    def gradient(self, player: str, gradient: Tensor, weights: Tensor, state: Mapping[str, Tensor],
                 numbers: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """That of the sum of sizes added."""
        if self.of not in ("all", player):
            return gradient, {}
        return gradient + self.weight * weights.sign(), {}
