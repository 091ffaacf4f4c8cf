"""`Prepared`: a layer that computes once, for several passes, what depends on its weights alone; `Advancing`: one that
keeps some of it.
"""

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor, nn


class Prepared(nn.Module, ABC):
    """Between `prepare` and `forget` the layer's weights do not change.

    What it holds meanwhile is set with `hold`: torch looks through every attribute of a module that is set, for
    parameters.
    """

    def hold(self, **values: Any) -> None:
        """Sets attributes that are no parameters, buffers or modules."""
        self.__dict__.update(values)

    @abstractmethod
    def prepare(self, by_hand: bool) -> None:
        """Computes what the passes that follow need of the weights alone, once for all of them, until `forget`.

        `by_hand`: whether gradients of the weights are wanted by a backward pass written by hand. A batched tensor does
        not tell whether any are.
        """

    @abstractmethod
    def forget(self) -> None:
        """The weights may change now."""


class Advancing(Prepared, ABC):
    """A layer with buffers that follow its weights: a step further before every update of its network, and settled for
    other weights.
    """

    @abstractmethod
    def advance(self, steps: int) -> dict[str, Tensor]:
        """Its buffers after so many steps, by their names; nothing changes in place."""
