"""Colour changes: brightness, contrast and saturation, of each image by numbers of its own."""

from torch import Tensor


def coloured(x: Tensor, brightness: Tensor, contrast: Tensor, saturation: Tensor) -> Tensor:
    """Images [n, c, h, w], each made brighter, then more colourful, then richer in contrast, by a number of its own
    [n]: 0 changes nothing.

    x + brightness; then (1 + saturation) times as far from the mean of a pixel's channels; then (1 + contrast) times as
    far from the mean of the image (Zhao et al. 2020). Nothing is cut to [0, 1]. Gradients flow through it.
    """
    x = x + _wide(brightness)
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * (1 + _wide(saturation))
    mean = x.mean((1, 2, 3), keepdim=True)
    return mean + (x - mean) * (1 + _wide(contrast))


def _wide(x: Tensor) -> Tensor:
    """A number for each image, in the shape of images."""
    return x.view(-1, 1, 1, 1)
