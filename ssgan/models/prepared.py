"""`Prepared`: a layer that computes once, for several passes, what depends on its weights alone."""

from abc import ABC, abstractmethod

from torch import nn


class Prepared(nn.Module, ABC):
    """Between `prepare` and `forget` the layer's weights do not change."""

    @abstractmethod
    def prepare(self, by_hand: bool) -> None:
        """Computes what the passes that follow need of the weights alone, once for all of them, until `forget`.

        `by_hand`: whether gradients of the weights are wanted by a backward pass written by hand. A batched tensor does not tell whether any are.
        """

    @abstractmethod
    def forget(self) -> None:
        """The weights may change now."""
