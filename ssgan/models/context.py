"""`Context`: what a network is given besides its input."""

from typing import NamedTuple

from torch import Tensor


class Context(NamedTuple):
    """What a network needs besides its input: noise drawn outside, one tensor a site (empty: no noise, as in
    evaluation), wanted classes, and how many of its images are generated.
    """

    noise: tuple[Tensor, ...] = ()
    labels: Tensor | None = None  # [n] int64, for a generator that is told them
    generated: int | None = None  # the last images of a pass, for a discriminator that compares both kinds

    def at(self, site: int) -> Tensor | None:
        """The noise of one site, or None."""
        return self.noise[site] if self.noise else None
