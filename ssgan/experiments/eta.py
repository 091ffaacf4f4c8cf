"""`Pace`: when a sweep will be done, from what is done so far; runs that are under way count in part."""

import time
from collections.abc import Callable, Sequence

from ssgan.config import Recipe
from ssgan.evaluation.baselines import BASELINES, NO_GENERATOR, fitted, trained_without
from ssgan.techniques import further, told_classes

FURTHER = 1.0  # of a training with a generator: what techniques' own players are trained for after it
SCORED = 0.3  # of that: networks that are trained on generated images alone
AFTER = 0.05  # of a training with a generator: the evaluation and the score


def share(recipe: Recipe, stage: str, part: float, until: str = "score", folds: Sequence[str] = ()) -> float:
    """How much of a run is done when `part` of a stage is, both from 0 to 1; stages by the names that a person sees. It
    ends with `until`. `folds` are the trainings that a run without a test part has in the place of its baselines'.
    """
    if until == "train":
        return part if stage == "train" else 0.0
    costs = {"train": 1.0 if recipe.gan.weight > 0 else BASELINES[NO_GENERATOR].cost}
    costs |= {name: FURTHER for name in further(recipe)}
    costs |= (dict.fromkeys(folds, costs["train"]) if folds else
              {served[0].stage: served[0].cost for served in trained_without(recipe).values()})
    after = AFTER + SCORED * (told_classes(recipe) and recipe.score.train_images > 0)
    after += sum(baseline.cost for baseline in fitted(recipe))
    total = sum(costs.values()) + after
    if stage == "starting":
        return 0.0
    names = list(costs)
    if stage not in names:
        return 1 - after / total
    return (sum(costs[name] for name in names[: names.index(stage)]) + part * costs[stage]) / total


class Pace:
    """Of `runs` that are to be done, up to `at_once` side by side."""

    def __init__(self, runs: int, at_once: int = 1, clock: Callable[[], float] = time.monotonic):
        self.runs, self.at_once, self.done, self._clock = runs, at_once, 0, clock
        # side by side, processes start first, and runs may go on
        self._began, self._before = (clock() if at_once == 1 else None), 0.0

    def left(self, running: Sequence[tuple[int, float]] = ()) -> float | None:
        """The seconds until all is done, if that can be told; `running` are numbers of runs under way, with the share
        of them that is done.
        """
        made = self.done + sum(count * share for count, share in running)
        if self._began is None and running and all(share for _, share in running):
            self._began, self._before = self._clock(), made
        if self._began is None or made <= self._before:
            return None
        # in the end, not all places are taken
        slowest = max((count * (1 - share) for count, share in running), default=0.0)
        return (self._clock() - self._began) / (made - self._before) * max(self.runs - made, self.at_once * slowest)


def roughly(seconds: float) -> str:
    """Seconds as one says them of what is to come: 40 s, 7 min, 2 h 10 min."""
    if seconds < 55:
        return f"{max(5, 5 * round(seconds / 5))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
