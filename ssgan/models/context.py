"""`Context`: what a network is given besides its input."""

from typing import NamedTuple

from torch import Tensor


class Context(NamedTuple):
    """What a network needs besides its input: noise drawn outside, one tensor a site (empty: no noise, as in
    evaluation), and wanted classes.
    """

    noise: tuple[Tensor, ...] = ()
    labels: Tensor | None = None  # [n] int64, for a generator that is told them

    def at(self, site: int) -> Tensor | None:
        """The noise of one site, or None."""
        return self.noise[site] if self.noise else None
