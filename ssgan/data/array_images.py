"""`Layout`: how images lie in the rows of an array, with their channels first or last."""

from dataclasses import dataclass

import numpy as np

MOST_CHANNELS = 4  # that an axis is taken for without being asked about: red, green, blue and opacity
CHANNELS = ("first", "last")


@dataclass(frozen=True)
class Layout:
    """The shape of one image, and whether its values lie pixel by pixel in a row of the array, or deep in it."""

    shape: tuple[int, int, int]  # (c, h, w)
    channels_last: bool = False  # never where there is one channel, which lies alike in both

    @classmethod
    def of(cls, shape: tuple[int, ...], channels: str | None, what: str) -> "Layout":
        """The layout of images (h, w), (c, h, w) or (h, w, c), which of the two told by `channels`, "first" or "last".

        Where it is None, the one axis that is short enough to be the channels is. Raises ValueError, which calls the
        shape `what`, where both are or none is.
        """
        if channels is not None and channels not in CHANNELS:
            raise ValueError(f"channels={channels!r}: it is 'first', 'last' or None.")
        if len(shape) == 2:
            return cls((1, *shape))
        first, last = (shape[axis] <= MOST_CHANNELS for axis in (0, -1))
        if channels is None and first == last:
            raise ValueError(f"{what} {shape} may mean (c, h, w) as well as (h, w, c): say channels='first' or "
                             f"channels='last'.")
        if channels == "first" or (channels is None and first):
            return cls(shape)
        height, width, count = shape
        return cls((count, height, width), channels_last=count > 1)

    def rows(self, X: np.ndarray, found: "Layout") -> np.ndarray:
        """Images of the same shape in the layout `found`, [n, c, h, w] or [n, h, w, c], as rows in this one: [n, f]."""
        if found.channels_last != self.channels_last:
            X = np.moveaxis(X, 1, -1) if self.channels_last else np.moveaxis(X, -1, 1)
        return X.reshape(len(X), -1)

    def pixels(self, rows: np.ndarray) -> np.ndarray:
        """Rows in this layout as images: [n, f] -> [n, c, h, w]."""
        c, h, w = self.shape
        return rows.reshape(-1, h, w, c).transpose(0, 3, 1, 2) if self.channels_last else rows.reshape(-1, c, h, w)
