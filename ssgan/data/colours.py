"""Grey and coloured images: a data set as the recipe wants it."""

import dataclasses
import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from ssgan.errors import Mistake

if TYPE_CHECKING:
    from ssgan.data.dataset import Dataset
    from ssgan.data.images import Images

COLOURS = ("any", "grey", "colour")


def brought(dataset: "Dataset", wanted: str, say: Callable[[str], None]) -> "Dataset":
    """The data set with three channels where colour is wanted and it is grey, which is said; otherwise as it is.

    Raises Mistake where grey is wanted and it is coloured, and where colour is wanted and it has other channels.
    """
    channels = dataset.train.shape[0]
    if wanted == "any" or channels == {"grey": 1, "colour": 3}[wanted]:
        return dataset
    if wanted == "grey" or channels != 1:
        raise Mistake(f"this recipe is for {wanted} images (colours = {wanted}), and those of {dataset.name} have "
                      f"{channels} channels.\nTake a recipe for them, or try this one with --set colours=any.")
    say(f"{dataset.name}: grey images, each taken three times for the red, green and blue that the recipe wants")
    test = dataset.test
    return dataclasses.replace(dataset, train=_coloured(dataset.train), test=None if test is None else _coloured(test))


def _coloured(images: "Images") -> "Images":
    """[n, 1, h, w] as [n, 3, h, w]: the same memory, seen three times."""
    digest = hashlib.sha256(f"colour {images.sha256}".encode()).hexdigest()
    return dataclasses.replace(images, pixels=images.pixels.expand(-1, 3, -1, -1), sha256=digest)
