"""`Dataset`: images to train on, with images to test with where there are some."""

import hashlib
from dataclasses import dataclass

from ssgan.data.images import Images


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set: images to train on, and images to test with, where there are some."""

    name: str
    train: Images
    test: Images | None
    train_files: tuple[str, ...] = ()  # the name of each image's file, where images come from files
    test_files: tuple[str, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names, in the order of the labels."""
        return self.train.classes

    @property
    def sha256(self) -> str:
        """The hash of the content of both parts."""
        test = "none" if self.test is None else self.test.sha256
        return hashlib.sha256(f"{self.train.sha256} {test}".encode()).hexdigest()

    @property
    def tested(self) -> bool:
        """Whether there is a test part: images of known class, on which an error can be measured."""
        return self.test is not None and len(self.test.known) > 0
