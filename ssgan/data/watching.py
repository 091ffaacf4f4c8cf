"""`Watching`: how far the reading of data is, and what is told of it; nothing, unless somebody watches."""

from typing import Protocol


class Watching(Protocol):
    """Whom reading tells: a bar of the command line, say."""

    def say(self, text: str) -> None:
        """A line for the person."""

    def begin(self, stage: str, total: int) -> None:
        """A stage of so many steps starts."""

    def update(self, done: int) -> None:
        """The stage has come to that step."""

    def end(self) -> None:
        """The stage is over."""


class Nobody:
    """Hears nothing."""

    def say(self, text: str) -> None:
        pass

    def begin(self, stage: str, total: int) -> None:
        pass

    def update(self, done: int) -> None:
        pass

    def end(self) -> None:
        pass
