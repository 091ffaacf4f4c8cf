"""Images that are there already, from a folder say, in a generator's place."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ssgan.data.images import Images
from ssgan.random_streams import torch_generator


@dataclass(frozen=True, eq=False)
class ImageList:
    """Images in a fixed random order, or in the one in which they are listed; as a `Sampler` that is told no class."""

    name: str
    listed: Images
    shuffled: bool = True
    order: Tensor = field(init=False)

    def __post_init__(self):
        count = len(self.listed)
        order = torch.randperm(count, generator=torch_generator(0, "scored images")) if self.shuffled \
            else torch.arange(count)
        object.__setattr__(self, "order", order)

    @property
    def conditional(self) -> bool:
        """Nobody asked for classes."""
        return False

    def images(self, start: int, count: int) -> Tensor:
        """Images number `start` to start + count in this order: float32 [count, c, h, w] in [0, 1]."""
        return self.listed.gather(self.order[start: start + count])

    def labels(self, start: int, count: int) -> None:
        """No classes were asked for."""
