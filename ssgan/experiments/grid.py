"""`Plan`: what a sweep is to do, and how much of it at once."""

import itertools
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from ssgan.config import Recipe, override, today
from ssgan.data.dataset import Dataset
from ssgan.errors import Mistake
from ssgan.experiments.fitted_recipe import all_labels, fitted
from ssgan.experiments.member import Member
from ssgan.experiments.stages import check
from ssgan.settings import flatten
from ssgan.training import benchmark
from ssgan.training.execution import resolved_for, size_of

MOST_MEMBERS = 10_000
LADDER = (1, 4, 10, 20, 40, 80)  # group sizes that are tried on a GPU
LEAST_GAIN = 1.1  # a larger group must do a tenth more lane-steps a second than the best before it
MOST_WORKERS = 8
# for each parameter of a pair: weights, gradients, Adam's moments, averages and copies, with room to spare
LANE_BYTES = 64
LANE_ROOM = 2**28  # bytes for a lane's images, noise and activations
REFUSED = {"labels": "label budgets are named with --labels 20,50,100",
           "image_size": "it changes the data; make a sweep for each",
           "dataset": "a sweep is over one data set; make one for each"}


@dataclass(frozen=True)
class Choice:
    """One variant of a recipe, by a name of its own."""

    name: str  # empty: the recipe as it is
    changes: tuple[str, ...] = ()  # "key=value"


@dataclass(frozen=True)
class Plan:
    """What a sweep is to do, fixed when it is made."""

    recipe: Recipe
    recipe_name: str
    budgets: tuple[int, ...]
    seeds: tuple[tuple[int, int], ...]  # training seed, split seed
    grid: tuple[str, ...] = ()  # "key=value,value", under today's names of the keys
    lanes: int | None = None  # None: by the device
    choices: tuple[Choice, ...] = ()  # in the place of a grid: the variants one by one

    def __post_init__(self):
        assignments = (assignment.partition("=") for assignment in self.grid)
        object.__setattr__(self, "grid", tuple(today(key) + equals + values for key, equals, values in assignments))

    def fitted(self, dataset: Dataset, say: Callable[[str], object]) -> "Plan":
        """The plan with what depends on the data put in; what is changed is said. Raises Mistake."""
        budgets = tuple(sorted({budget or all_labels(self.recipe, dataset) for budget in self.budgets}))
        recipe = fitted(replace(self.recipe, labels=max(budgets)), dataset, say)
        return replace(self, recipe=replace(recipe, labels=self.recipe.labels), budgets=budgets)

    def variants(self) -> list[tuple[dict[str, Any], Recipe]]:
        """Every combination of the grid's values, or every choice, with its recipe. Raises Mistake."""
        if self.choices:
            return [self._chosen(choice) for choice in self.choices]
        keys = [assignment.partition("=")[0].strip() for assignment in self.grid]
        for key in keys:
            if keys.count(key) > 1:
                raise Mistake(f"--grid {key} is there twice: write its values in one, --grid {key}=a,b.")
            if key in REFUSED or key.startswith("evaluate."):
                raise Mistake(f"--grid {key}: "
                              f"{REFUSED.get(key, 'it changes no training; set it for the whole sweep with --set')}.")
        axes = [[f"{key}={value}" for value in _values(assignment)] for key, assignment in zip(keys, self.grid)]
        found: list[tuple[dict[str, Any], Recipe]] = []
        for choice in itertools.product(*axes):
            recipe = override(self.recipe, list(choice), option="--grid")
            if any(recipe == other for _, other in found):
                raise Mistake(f"--grid {' --grid '.join(self.grid)}: {', '.join(choice)} comes twice; write every "
                              f"value once.")
            found.append(({key: flatten(recipe)[key] for key in keys}, recipe))
        return found

    def members(self) -> list[Member]:
        """Every run, seed by seed, so that the whole curve is there soon and then grows surer."""
        names = [f"{self.recipe_name} {choice.name}".strip() for choice in self.choices]
        variants = self.variants()
        return [Member(replace(recipe, labels=budget), seed, split_seed, name)
                for (_, recipe), name in zip(variants, names or [self.recipe_name] * len(variants), strict=True)
                for seed, split_seed in self.seeds for budget in self.budgets]

    def names(self) -> list[str]:
        """What tells each variant from the others."""
        if self.choices:
            return [choice.name for choice in self.choices]
        return [", ".join(written(grid)) for grid, _ in self.variants()]

    def _chosen(self, choice: Choice) -> tuple[dict[str, Any], Recipe]:
        recipe, was = override(self.recipe, list(choice.changes)), flatten(self.recipe)
        return {key: value for key, value in flatten(recipe).items() if value != was[key]}, recipe

    def check(self, dataset: Dataset, until: str = "score") -> None:
        """Raises Mistake for what cannot be done up to that stage, before anything is written."""
        count = len(self.variants()) * len(self.seeds) * len(self.budgets)
        if count > MOST_MEMBERS:
            raise Mistake(f"a sweep of {count:,} runs: the most is {MOST_MEMBERS:,}; take fewer budgets, seeds or "
                          f"values of the grid.")
        for _, recipe in self.variants():
            for budget in self.budgets:
                check(replace(recipe, labels=budget), dataset, until)

    def groups(self, dataset: Dataset, device: str) -> list[list[Member]]:
        """The members in lane groups of about the same size; lanes of a group differ in seeds and budget alone."""
        each = len(self.seeds) * len(self.budgets)
        members, found = self.members(), []
        for start in range(0, len(members), each):
            part = members[start: start + each]
            most = self.lanes or default_lanes(part[0].recipe, dataset, device, each)
            number = -(-each // most)
            found += [part[i * each // number: (i + 1) * each // number] for i in range(number)]
        return found


def default_lanes(recipe: Recipe, dataset: Dataset, device: str, most: int) -> int:
    """How many of `most` runs train at once: on a GPU by its memory and the measured gain, on a CPU one.

    A CPU's cores are busy with one, and lanes cost a batched program's overhead. Measured with digits on two cores: 2
    lanes took 1.6 times as long for each as 1 alone, 4 lanes 1.1 times, 8 lanes 0.85 times.
    """
    if not device.startswith("cuda") or most == 1:
        return 1
    size = size_of(recipe, dataset.train)
    resolved = resolved_for(recipe, dataset.train, device)
    return largest_gain(lambda lanes: benchmark.lane_rate(recipe, dataset, resolved, lanes),
                        min(most, lanes_in_memory(size.parameters, device)))


def lanes_in_memory(parameters: int, device: str) -> int:
    """How many models of that size half of the device's memory holds."""
    import torch

    memory = torch.cuda.get_device_properties(device).total_memory
    return max(1, memory // 2 // (LANE_BYTES * parameters + LANE_ROOM))


def largest_gain(rate: Callable[[int], float], most: int) -> int:
    """The largest group on the ladder, up to `most`, that still gains; `rate` measures lane-steps a second."""
    best, fastest = 1, 0.0
    for lanes in (*(size for size in LADDER if size < most), min(most, LADDER[-1])):
        found = rate(lanes)
        if found <= LEAST_GAIN * fastest:
            break
        best, fastest = lanes, found
    return best


def worker_count(asked: int | None, groups: list[list[Member]], device: str) -> int:
    """The processes that run the groups side by side: as many as asked for, but none without work.

    None is one a core, which then takes one thread: two runs of the paper's pair side by side do 1.6 times the work of
    one with two threads. On a GPU, which lanes fill, it is one.
    """
    if asked is None:
        asked = min(MOST_WORKERS, len(os.sched_getaffinity(0))) if device == "cpu" else 1
    return min(len(groups), asked)


def written(values: dict[str, Any]) -> list[str]:
    """Each key with its value, as --set and --grid take them."""
    return [f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in values.items()]


def _values(assignment: str) -> list[str]:
    """The values of `key=a,b`: parted at commas outside brackets. Raises Mistake."""
    values = re.split(r",(?![^\[]*\])", assignment.partition("=")[2])
    if not all(value.strip() for value in values):
        raise Mistake(f"--grid {assignment}: write it as key=value,value, for example --grid train.epochs=50,100.")
    return [value.strip() for value in values]
