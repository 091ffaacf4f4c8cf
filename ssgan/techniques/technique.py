"""`Technique`: one trick of the literature as one object: its settings, its page, what it draws, and what it adds to a
player's loss.
"""

import dataclasses
from abc import ABC
from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Self

import torch
from torch import Tensor, nn

from ssgan.models.context import Context

SEEN = frozenset({"labelled", "unlabelled", "generated", "weights"})

DISCRIMINATOR, GENERATOR = "discriminator", "generator"  # the players that are always there


class Size(NamedTuple):
    """How large a step is, for one lane."""

    shape: tuple[int, int, int]  # of an image: c, h, w
    classes: int
    labelled: int  # images in an update, as the next two
    unlabelled: int
    generated: int
    latent: int  # numbers in a latent vector
    parameters: Mapping[str, int] = {}  # trained ones, by player
    images: int = 0  # training images of the data set, labelled or not
    latent_kind: str = "uniform"  # on [0, 1), or normal
    latent_noise: float = 0.0  # standard deviation of noise on a latent vector


class Moment(NamedTuple):
    """A step of a run."""

    step: int  # from 0
    steps: int
    decay_from: float  # share of the run after which what decays begins to


class Optimiser(NamedTuple):
    """How a player is trained: Adam, the average of its weights, and how often."""

    learning_rate: float  # before any decay
    updates: int  # in a step, 1 to 5
    clip: float  # longest gradient, by its root of summed squares; 0 is any
    beta1: float
    beta2: float
    epsilon: float
    adam: str  # standard; authors: epsilon inside the root
    averaging: str  # corrected for the start; zero-start
    averaging_rate: float  # share of the newest weights in the average, each update


class Draw(NamedTuple):
    """What is drawn anew for every update of one lane."""

    shape: tuple[int, ...]
    # normal; uniform on [0, 1); exact: uniform, in float32; classes: int64, each as often as the labels tell (shares)
    kind: str


class Output(NamedTuple):
    """What the discriminator says of the images of one part."""

    logits: Tensor | None  # [n, k]; None where no term reads them
    features: Tensor  # [n, f]
    hidden: Mapping[int, Tensor] = {}  # [n, ...] the activations that were asked for, by the layer's number from 1


class View(NamedTuple):
    """What a term may look at: one lane in one update of a player; a part is a kind of images, by its name."""

    images: Mapping[str, Tensor]  # [n, c, h, w] by part
    labels: Mapping[str, Tensor]  # [n] by part: of labelled images, and those that a generator was given
    # by part, noise on; from this update's own network, and without gradient where the player did not make the part
    out: Mapping[str, Output]
    # logits [n, k] by part, of the averaged weights on images without augmentation, noise off
    teacher: Mapping[str, Tensor]
    players: Mapping[str, Callable[..., Any]]  # networks, for further passes; noise is off unless a context gives it
    draws: Mapping[str, Tensor]  # this technique's own, as are the next two
    state: Mapping[str, Tensor]
    numbers: Mapping[str, Tensor]
    shares: Tensor  # [k] of the classes among all images, estimated from the labels (data/class_shares.py)
    # [n] by part, how far each image counts as real where real is told from generated: where that is not 1 and 0
    targets: Mapping[str, Tensor] = {}
    latent: Tensor | None = None  # [n, z] of the generated images, with what else the generator was given
    context: Context = Context()
    index: Mapping[str, Tensor] = {}  # [n] int64 by part: which of the training images


class Pool(NamedTuple):
    """What a lane is trained on, for work on the host."""

    index: Tensor  # [p] int64, sorted: which of the training images
    labels: Tensor  # [p] int64: those that are known to the lane, else -1
    answers: Callable[[], Tensor]  # probabilities [p, k] by the averaged classifier, on images without augmentation
    images: Callable[[Tensor], Tensor]  # [m, c, h, w] in [0, 1], of training images by their index [m], as they are
    # the same, changed anew by these numbers as unlabelled images are in a step: on the device of training, and in the
    # type of its products
    views: Callable[[Tensor, torch.Generator], Tensor]
    seed: int  # of the lane's training
    # equal where index, labels, images, views and seed are, and what computes with them: work from these comes to the
    # same then
    origin: tuple[Hashable, ...]


class Term(NamedTuple):
    """What a technique adds to a loss, before its weight."""

    loss: Tensor  # []
    measured: Mapping[str, Tensor] = {}  # [] each, by the names in `measures`
    state: Mapping[str, Tensor] = {}  # what takes the place of the technique's own


@dataclass(frozen=True)
class Technique(ABC):
    """The fields of a subclass, a final frozen dataclass, are its section of the recipe; its docstring is its page:
    what, why, equation, cost, source.

    The methods that say what is drawn, kept and added are asked once, before training; `term` and `images` are called
    in every update inside a program of tensors alone, for one lane: no value is read, nothing is changed in place,
    inner gradients are torch.func.grad's. `phase` is called between updates, where values may be read.
    """

    # of SEEN, what it learns from: nothing of it is there in a baseline that may not see it
    sees: ClassVar[frozenset[str]]
    key: ClassVar[str] = "weight"  # by which key it is on: 0 is off
    # by player, to whose loss it adds a term: the images that the term looks at
    parts: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    # by player, other players whose networks its terms call
    calls: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    teacher: ClassVar[tuple[str, ...]] = ()  # of the discriminator's parts, those for which the teacher is asked
    adds_term: ClassVar[bool] = True  # whether it adds to the losses of `parts`; else it changes what others look at
    logits: ClassVar[bool] = True  # whether its terms read logits, not features alone
    measures: ClassVar[tuple[str, ...]] = ()  # the names of what its terms measure
    gives_classes: ClassVar[bool] = False  # whether the generator is given a drawn class with each latent vector
    # players of its own that make images by a class and normal numbers, and keep the statistics that they settled on
    generates: ClassVar[tuple[str, ...]] = ()
    least_classes: ClassVar[int] = 1  # of the images, for it to mean something
    requires: ClassVar[tuple[str, ...]] = ()  # techniques without which it is off
    # techniques, and tricks that are no loss, that it cannot be combined with, and why
    excludes: ClassVar[Mapping[str, str]] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        looks = {part for parts in cls.parts.values() for part in parts} & SEEN
        declared = vars(cls).get("sees")
        if declared is None or not declared <= SEEN or not looks - {"labelled"} <= declared:
            raise TypeError(f"{cls.__name__} must say what it sees, of {', '.join(sorted(SEEN))}; "
                            f"it looks at {', '.join(sorted(looks)) or 'nothing'}.")

    def check(self, recipe: Any) -> None:
        """Raises Mistake, with the reason, where the recipe has settings with which it cannot work."""

    def is_on(self) -> bool:
        """Whether its settings ask for it."""
        return getattr(self, self.key) > 0

    def off(self) -> Self:
        """The same settings, switched off."""
        return dataclasses.replace(self, **{self.key: 0.0})

    def factor(self) -> float:
        """What multiplies its terms."""
        return getattr(self, self.key)

    def period(self) -> int:
        """Its terms are there in one step of so many, and then count so many times."""
        return 1

    def hidden(self) -> tuple[int, ...]:
        """The discriminator's hidden layers, from 1 at the images, whose activations its terms read."""
        return ()

    def draws(self, player: str, size: Size) -> dict[str, Draw]:
        """What it draws for an update of that player, by name."""
        return {}

    def state(self, size: Size) -> dict[str, Tensor]:
        """What it keeps from step to step, at the start, for one lane."""
        return {}

    def numbers(self, moment: Moment) -> dict[str, float]:
        """What changes with the step alone."""
        return {}

    def phases(self, steps: int) -> Collection[int]:
        """Before which steps of a run of so many, counted from 0, `phase` is asked."""
        return ()

    def phase(self, moment: Moment, state: Mapping[str, Any], pool: Pool) -> dict[str, Tensor]:
        """What takes the place of its state, of the same shapes: for work on the host that no update can do. `state`
        is all of training, of one lane: it must be the same for the same state, so that a run may be resumed.
        """
        return {}

    def further_steps(self) -> int:
        """How many steps its own players are trained for after the discriminator and the generator have ended, alone; 0
        where they are trained together with them.
        """
        return 0

    def least_images(self) -> int:
        """How many images to train on there must be for those further steps."""
        return 0

    def waits(self, state: Mapping[str, Tensor]) -> str:
        """Why a lane with this state cannot make those further steps; empty where it can."""
        return ""

    def players(self, size: Size) -> dict[str, Callable[[torch.Generator], nn.Module]]:
        """Networks of its own, each made from a generator of random numbers; `parts` has an entry for each."""
        return {}

    def optimiser(self, player: str, usual: Optimiser) -> Optimiser:
        """How a network of its own is trained: `usual` is by the recipe, with one update a step."""
        return usual

    def adds(self, size: Size) -> dict[str, int]:
        """How many images of each part of its own it adds to the discriminator's passes."""
        return {}

    def chosen(self, player: str, draws: Mapping[str, Tensor],
               state: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
        """By part of its own: which training images an update of that player looks at, and their labels, both
        int64 [r, n], by its draws [r, ...] and its state [r, ...].
        """
        return {}

    def images(self, player: str, view: View) -> dict[str, Tensor]:
        """The images of these parts; the view has the other parts' images, and no outputs."""
        return {}

    def targets(self, view: View) -> dict[str, Tensor]:
        """How far each image of these parts [n] counts as real in the discriminator's loss; the view has images, and
        what techniques before it said of it.
        """
        return {}

    def change(self, size: Size) -> Draw | None:
        """What is drawn for the change of one real image, where it changes them; its shape is of one image."""
        return None

    def changed(self, images: Mapping[str, Tensor], draws: Mapping[str, Tensor],
                numbers: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Real images [n, c, h, w] by kind, changed by their draws [n, ...]: labelled, unlabelled, and the unlabelled
        ones that the generator's update looks at, under its name.
        """
        return images

    def term(self, player: str, view: View) -> Term | None:
        """What it adds to the loss of that player."""
        return None

    def made(self, player: str, state: Mapping[str, Tensor]) -> Tensor | None:
        """Whether an update of that player is made, lane by lane [r], by its state [r, ...] with what its term has just
        put there; None: always. A lane whose update is left out keeps its weights, their average and Adam's moments.
        """
        return None

    def gradient(self, player: str, gradient: Tensor, weights: Tensor, state: Mapping[str, Tensor],
                 numbers: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The gradient [r, p] that the optimiser takes, and what takes the place of its state [r, ...]: for what acts
        on weights [r, p] themselves.
        """
        return gradient, {}
