"""Test images that nobody may look at, and the same with other labels: what tuning must not notice."""

import torch

from ssgan.data.dataset import Dataset
from ssgan.data.images import Images


class Unreadable:
    """As many images as there were, of the same kind and under the same hash; whoever asks for pixels or labels
    fails.
    """

    def __init__(self, images: Images):
        self.count, self.shape, self.classes, self.sha256, self.known = len(
            images), images.shape, images.classes, images.sha256, images.known

    def __len__(self) -> int:
        return self.count

    def __getattr__(self, name: str):
        raise AssertionError(f"the test images were asked for their {name}")


def unreadable(dataset: Dataset) -> Dataset:
    """The data set, its test images sealed."""
    return Dataset(dataset.name, dataset.train, Unreadable(dataset.test))


def permuted(dataset: Dataset) -> Dataset:
    """The data set with the labels of its test images in another order, so that most of them are wrong."""
    order = torch.randperm(len(dataset.test), generator=torch.Generator().manual_seed(0))
    return Dataset(dataset.name, dataset.train, Images.of(dataset.test.pixels, dataset.test.labels[order],
                                                          dataset.classes))
