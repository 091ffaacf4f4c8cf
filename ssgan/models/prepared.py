"""`Prepared`: a layer that computes once, for several passes, what depends on its weights alone."""

from abc import ABC, abstractmethod

from torch import nn


class Prepared(nn.Module, ABC):
    """Between `prepare` and `forget` the layer's weights do not change."""

    @abstractmethod
    def prepare(self, trained: bool) -> None:
        """Computes what the passes that follow need of the weights alone, once for all of them, until `forget`.

        `trained`: whether gradients of the weights are wanted. A batched tensor does not tell: it says always that they are not.
        """

    @abstractmethod
    def forget(self) -> None:
        """The weights may change now."""
