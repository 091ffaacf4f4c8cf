"""`Member`, one run of a plan, and `Group`, the members that train at once."""

from collections.abc import Callable
from dataclasses import dataclass, field

from ssgan.config import Recipe
from ssgan.data.dataset import Dataset
from ssgan.experiments.interrupt import Stop
from ssgan.experiments.progress import Progress
from ssgan.tracking.workfolder import WorkFolder
from ssgan.training.execution import Resolved


@dataclass(frozen=True)
class Member:
    """One run: a recipe, whose data set and budget are its own, and the two seeds."""

    recipe: Recipe
    seed: int
    split_seed: int
    recipe_name: str = ""


@dataclass
class Group:
    """Members that train at once, and where their results go."""

    members: list[Member]
    folders: list[WorkFolder]
    dataset: Dataset
    resolved: Resolved
    progress: Progress = field(default_factory=lambda: Progress(quiet=True))
    stop: Stop = field(default_factory=Stop)
    checkpoint_seconds: float = 30.0
    estimate: bool = True  # whether the error is estimated by cross-validation where there is no test part
    alone: Callable[[], None] = lambda: None  # returns when the group has all cores to itself

    @property
    def recipe(self) -> Recipe:
        """What all members share; the budget is each member's own."""
        return self.members[0].recipe

    @property
    def seeds(self) -> list[int]:
        """The training seeds."""
        return [member.seed for member in self.members]


def lost(folder: WorkFolder) -> bool:
    """Whether training met a value that was not finite, and ended there."""
    return bool(folder.facts.get("failure"))
