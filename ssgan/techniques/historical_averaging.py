"""Historical averaging: weights that stay near the mean of all that they were."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ssgan.settings import number
from ssgan.techniques.technique import Size, Technique


@dataclass(frozen=True)
class HistoricalAveraging(Technique):
    """Every player's loss is given |theta - mean of all its thetas so far|^2, which damps the circles that two players
    can walk round their solution.

    The mean is over the weights before each update, the newest among them; the gradient is 2 (theta - mean). Costs as
    much memory as the weights, and one pass over them. Salimans et al. 2016, section 3.3.
    """

    sees = frozenset({"weights"})

    weight: float = number(0.0, 0, 1000, "weight in every player's loss; 0 is off")

    def state(self, size: Size) -> dict[str, Tensor]:
        """By player, the mean and of how many weights it is."""
        found = {player: torch.zeros(count) for player, count in size.parameters.items()}
        return found | {f"{player} count": torch.zeros(()) for player in size.parameters}

    def gradient(self, player: str, gradient: Tensor, weights: Tensor, state: Mapping[str, Tensor],
                 numbers: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """That of the term added; the mean and its count."""
        count = state[f"{player} count"] + 1  # [r]
        mean = torch.lerp(state[player], weights, (1 / count).unsqueeze(1))
        return gradient + 2 * self.weight * (weights - mean), {player: mean, f"{player} count": count}
