"""`Dataset`: images to train on, with images to test with."""

import hashlib
from dataclasses import dataclass

from ssgan.data.images import Images


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set: images to train on and images to test with."""

    name: str
    train: Images
    test: Images

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names, in the order of the labels."""
        return self.train.classes

    @property
    def sha256(self) -> str:
        """The hash of the content of both parts."""
        return hashlib.sha256(f"{self.train.sha256} {self.test.sha256}".encode()).hexdigest()
