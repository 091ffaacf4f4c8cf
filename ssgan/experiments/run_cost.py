"""What a run would cost here: images, steps, and the time that a few steps of it say."""

from dataclasses import asdict, dataclass, replace
from typing import Any

from ssgan.config import Recipe
from ssgan.data.dataset import Dataset
from ssgan.experiments import cross_validation
from ssgan.experiments.eta import roughly, share
from ssgan.experiments.stages import check
from ssgan.techniques import further
from ssgan.training.benchmark import lane_rate
from ssgan.training.execution import resolved_for, size_of


@dataclass(frozen=True)
class Cost:
    """Of one run: its images and steps, and about how long it takes on this machine."""

    labelled: int
    unlabelled: int
    steps: int  # of the classifier and its generator
    further_steps: int  # of techniques' own players, after these
    batch: int
    folds: int  # trainings for the error where there is no test part
    parameters: int
    step_seconds: float
    seconds: float  # of the whole run, with its baselines or folds, and its scores

    def text(self) -> str:
        """In a line or two for a person."""
        folds = f", and {self.folds} trainings more to estimate the error" if self.folds else ""
        more = f" and {self.further_steps:,} of the picture player" if self.further_steps else ""
        return (f"a run: {self.labelled:,} labelled and {self.unlabelled:,} unlabelled images, {self.steps:,} steps of "
                f"{self.batch} images{more}{folds}; {1e3 * self.step_seconds:.3g} ms a step here, about "
                f"{roughly(self.seconds)} in all")

    def plain(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return asdict(self)


def cost_of(recipe: Recipe, dataset: Dataset, device: str) -> Cost:
    """The cost of a run of a recipe that has been fitted to the data; a second of steps is made for it. Raises Mistake
    where there is no such run.
    """
    check(recipe, dataset)
    recipe = replace(recipe, train=replace(recipe.train, compile="no"))
    # Left out: what a compiler takes and saves, and what techniques do before the first step.
    resolved = resolved_for(recipe, dataset.train, device)
    folds = cross_validation.stages(dataset, recipe)
    step_seconds = 1 / lane_rate(recipe, dataset, resolved, 1)
    steps = recipe.train.steps_of(max(1, (len(dataset.train) - recipe.split.validation) // recipe.train.batch))
    seconds = steps * step_seconds / share(recipe, "train", 1.0, folds=folds)
    return Cost(recipe.labels, len(dataset.train) - recipe.labels - recipe.split.validation, steps,
                sum(further(recipe).values()), recipe.train.batch, len(folds),
                size_of(recipe, dataset.train).parameters, step_seconds, seconds)
