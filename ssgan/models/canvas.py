"""`Canvas`: images of any size in the middle of one that can be halved again and again."""

from typing import NamedTuple

from torch import Tensor
from torch.nn import functional

from ssgan.errors import Mistake

SMALLEST_MAP = 3  # pixels a side, below which a map tells too little of where things are


class Canvas(NamedTuple):
    """An image's place on a black canvas; both are images [n, c, h, w] in [0, 1]."""

    start: tuple[int, int]  # sides of the smallest map
    halvings: int  # from the canvas down to it
    image: tuple[int, int]  # sides

    @property
    def sides(self) -> tuple[int, int]:
        """Of the canvas."""
        return self.map(0)

    def map(self, halvings: int) -> tuple[int, int]:
        """Sides after so many of the halvings."""
        height, width = (side * 2 ** (self.halvings - halvings) for side in self.start)
        return height, width

    @property
    def above(self) -> int:
        """Black rows above the image."""
        return (self.sides[0] - self.image[0]) // 2

    @property
    def left(self) -> int:
        """Black columns left of it."""
        return (self.sides[1] - self.image[1]) // 2

    def framed(self, x: Tensor) -> Tensor:
        """Images with their black border."""
        if self.sides == self.image:
            return x
        below, right = (self.sides[0] - self.image[0] - self.above, self.sides[1] - self.image[1] - self.left)
        return functional.pad(x, (self.left, right, self.above, below))

    def cropped(self, x: Tensor) -> Tensor:
        """Canvases without it."""
        return x[:, :, self.above:self.above + self.image[0], self.left:self.left + self.image[1]]


def canvas_of(shape: tuple[int, int, int], halvings: int, key: str) -> Canvas:
    """The smallest canvas of so many halvings that holds images of that shape; `key` names the widths that say how
    many. Raises Mistake where the smallest map would be less than 3 pixels a side.
    """
    height, width = (-(-side // 2**halvings) for side in shape[1:])
    if min(height, width) < SMALLEST_MAP:
        most = max((count for count in range(halvings) if -(-min(shape[1:]) // 2**count) >= SMALLEST_MAP), default=0)
        raise Mistake(f"{key}: {halvings} halvings make images of {shape[1]}x{shape[2]} pixels a map of "
                      f"{height}x{width}, smaller than {SMALLEST_MAP}x{SMALLEST_MAP}:\n"
                      + (f"give widths for at most {most} of them." if most else "these images are too small for this "
                                                                                 "family; set model.family = conv."))
    return Canvas((height, width), halvings, tuple(shape[1:]))
