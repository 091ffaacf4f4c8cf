"""The visual Turing test: which images of it are real, what people have answered, and how many were right."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ssgan.evaluation.metrics import error_interval
from ssgan.random_streams import numpy_generator, stream
from ssgan.settings import fingerprint

REAL, GENERATED, NONE = "r", "g", "-"  # a person's answers are a text of these, a letter an image
SIGNS = {REAL, GENERATED, NONE}
FEWEST, MOST = 2, 1000  # images of a test
MOST_LOOKED_AT = 100_000  # generated images among which the best are found


@dataclass(frozen=True)
class Share:
    """How many of `total` answers were right."""

    right: int
    total: int

    @property
    def accuracy(self) -> float | None:
        """The share that was right; None without answers."""
        return self.right / self.total if self.total else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % Wilson interval of the accuracy, as if all answers were independent; None without answers."""
        return error_interval(self.right, self.total) if self.total else None

    def __add__(self, other: "Share") -> "Share":
        return Share(self.right + other.right, self.total + other.total)

    def plain(self) -> dict[str, Any]:
        """As plain values for JSON."""
        low, high = self.interval or (None, None)
        return {"answers": self.total, "right": self.right, "accuracy": self.accuracy, "low": low, "high": high}

    def text(self) -> str:
        """As a person reads it."""
        if not self.total:
            return "none answered"
        low, high = self.interval
        return (f"{self.right} of {self.total} right, {100 * self.accuracy:.1f} % (95 % interval {100 * low:.1f} to "
                f"{100 * high:.1f} %)")


@dataclass(frozen=True)
class Tally:
    """The answers on real images and on generated ones."""

    real: Share = Share(0, 0)
    generated: Share = Share(0, 0)

    @property
    def all(self) -> Share:
        """Of both kinds; one half of them is what chance gives."""
        return self.real + self.generated

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(self.real + other.real, self.generated + other.generated)

    def plain(self) -> dict[str, Any]:
        """As plain values for JSON: all answers, and those of each kind."""
        return self.all.plain() | {"real": self.real.plain(), "generated": self.generated.plain()}

    def lines(self) -> list[str]:
        """As a person reads it."""
        return [f"All images: {self.all.text()}", f"Real images: {self.real.text()}",
                f"Generated images: {self.generated.text()}"]


@dataclass(frozen=True)
class TuringTest:
    """A number of images of a run, real and generated half and half, in an order that the run and the seed hide.

    `run` is what nobody but the run's owner knows of it, the moment in which it began, say: without it the seed tells
    nothing. Salimans et al. 2016, section 6.
    """

    run: str
    seed: int
    images: int  # even
    top: float | None  # the share, in %, of the generated images that are the best by score; None for all of them
    feedback: bool  # whether a person is told after each answer what it was

    @property
    def id(self) -> str:
        """16 hex digits that tell this test from every other, and do not tell the order."""
        return fingerprint({"turing test": asdict(self)})

    @property
    def half(self) -> int:
        """The number of real images, and of generated ones."""
        return self.images // 2

    @property
    def looked_at(self) -> int:
        """The number of generated images of which the best `half` are shown."""
        return self.half if self.top is None else -(-round(self.half * 100 * 1e6) // round(self.top * 1e6))

    @property
    def condition(self) -> str:
        """What answers must have in common to be counted together: "", "feedback/", "top_1/" or "top_1/feedback/"."""
        return ("" if self.top is None else f"top_{self.top:g}/") + "feedback/" * self.feedback

    def truth(self) -> str:
        """What each image is, in the order in which they are shown: a text of REAL and GENERATED."""
        kinds = REAL * self.half + GENERATED * self.half
        return "".join(kinds[place] for place in self._random("order").permutation(self.images))

    def real_images(self, available: int):
        """The index [half] of the real images among those that are available."""
        return self._random("real images").permutation(available)[: self.half]

    def latent_seed(self) -> int:
        """The seed of the generated images: another than a run's own, whose images its owner may have seen."""
        return stream(self.seed, *self._names, "latent")

    def tally(self, answers: str) -> Tally:
        """The answers of one person: a text of REAL, GENERATED and NONE, as long as the test."""
        truth = self.truth()
        shares = [Share(sum(answer == kind == true for answer, true in zip(answers, truth)),
                        sum(answer != NONE and true == kind for answer, true in zip(answers, truth)))
                  for kind in (REAL, GENERATED)]
        return Tally(*shares)

    @property
    def _names(self) -> tuple[str | int, ...]:
        # not by the id, which goes out with an exported page: the seed is easily guessed
        return "turing", self.run, self.images, self.condition

    def _random(self, name: str):
        return numpy_generator(self.seed, *self._names, name)


def tally_of(tallies: Iterable[Tally]) -> Tally:
    """Several people's answers together."""
    return sum(tallies, Tally())


def measurements(condition: str, tally: Tally) -> dict[str, float]:
    """Name and value of everything that is a number, of the answers in one condition."""
    found: dict[str, float] = {"answers": tally.all.total}
    kinds: Mapping[str, Share] = {"": tally.all, "real_": tally.real, "generated_": tally.generated}
    for kind, share in kinds.items():
        if share.total:
            low, high = share.interval
            found |= {f"{kind}accuracy": share.accuracy, f"{kind}accuracy_low": low, f"{kind}accuracy_high": high}
    return {f"turing/{condition}{name}": value for name, value in found.items()}
