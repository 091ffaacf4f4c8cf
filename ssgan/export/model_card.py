"""`Card`: what an exported classifier says of itself, in the file that holds it."""

import json
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from ssgan.errors import Mistake

if TYPE_CHECKING:
    from ssgan.training.trained_model import TrainedModel

PREFIX = "ssgan."
COLOURS = {1: "grey", 3: "RGB"}


@dataclass(frozen=True)
class Card:
    """Class names in the order of the logits, the images' size, and where the classifier comes from."""

    classes: tuple[str, ...]
    channels: int
    height: int
    width: int
    dataset: str
    labels: int  # the label budget
    test_error: float | None  # a fraction; None: not evaluated
    run_id: str
    version: str  # of ssgan
    error_from: str = "test"  # or cross-validation, of trainings on fewer labels; none where it is not known

    @property
    def shape(self) -> tuple[int, int, int]:
        """(c, h, w) of one image."""
        return self.channels, self.height, self.width

    @property
    def colour(self) -> str:
        """The colour mode: grey, RGB, or the number of channels."""
        return COLOURS.get(self.channels, f"{self.channels} channels")

    def table(self) -> dict[str, Any]:
        """The card as plain values for JSON or YAML."""
        return asdict(self) | {"classes": list(self.classes), "colour": self.colour}

    def strings(self) -> dict[str, str]:
        """The card as texts under prefixed keys: words as they are, everything else as JSON."""
        return {PREFIX + key: value if isinstance(value, str) else json.dumps(value)
                for key, value in self.table().items()}


def card_of(model: "TrainedModel") -> Card:
    """What the exported classifier of a trained model says of itself."""
    return Card(model.classes, *model.shape, model.recipe.dataset, model.recipe.labels, model.test_error, model.run_id,
                _version(), model.error_from)


def of_table(table: Any, where: str) -> Card:
    """The card in a table, or Mistake: the file `where` was not written by `ssgan export`."""
    try:
        card = Card(tuple(table["classes"]), *(int(table[key]) for key in ("channels", "height", "width")),
                    str(table["dataset"]), int(table["labels"]), table["test_error"], str(table["run_id"]),
                    str(table["version"]), str(table.get("error_from", "test")))
    except (KeyError, TypeError, ValueError):
        raise foreign(where) from None
    if not card.classes or min(card.shape) < 1 or not all(isinstance(name, str) for name in card.classes):
        raise foreign(where)
    return card


def of_strings(strings: dict[str, str], where: str) -> Card:
    """The card in prefixed texts, likewise."""
    words = ("dataset", "run_id", "version", "colour", "error_from")
    own = {key.removeprefix(PREFIX): text for key, text in strings.items() if key.startswith(PREFIX)}
    try:
        return of_table({key: text if key in words else json.loads(text) for key, text in own.items()}, where)
    except ValueError:
        raise foreign(where) from None


def foreign(where: str) -> Mistake:
    """The mistake of a file that says nothing of itself, or nothing that is understood."""
    return Mistake(f"{where} was not written by `ssgan export`: it lacks the class names and the image size.\n"
                   "Export the classifier from its run: ssgan export RUN --format onnx")


def _version() -> str:
    try:
        return version("ssgan")
    except PackageNotFoundError:  # a bare checkout
        return "unknown"
