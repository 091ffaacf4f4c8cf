"""Results of runs that nobody made, for tests of comparisons."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from ssgan.experiments.report import Result


def result(labels: int = 100, seed: int = 0, error: float | None = 0.02, split_seed: int | None = None,
           dataset: str = "digits", total: int = 360, baselines: dict[str, float] | None = None,
           settings: dict[str, str] | None = None, ended: float = 1.0, images: int | None = 1437,
           score: float | None = 4.0, status: str = "FINISHED", reason: str | None = None, recipe: str = "",
           fetch: Callable[[str], Path | None] = lambda pattern: None, **scores: float | None) -> Result:
    """A run's result."""
    split_seed = seed if split_seed is None else split_seed
    return Result(f"{labels:08x}{seed:012x}{split_seed:012x}", f"{dataset} · {labels} labels · seed {seed}", dataset,
                  recipe or dataset, labels, seed, split_seed, status, error, total, baselines or {}, score, 8.8, 60.0,
                  ended, settings or {"train.epochs": "120.0"}, images, fetch, reason, **scores)


def curve(budgets=(20, 50, 100, 200), seeds: int = 3, spread: float = 0.1, **others) -> list[Result]:
    """Runs around 1 % + 1.5 N^-0.9."""
    random = np.random.default_rng(0)
    return [result(budget, seed, (0.01 + 1.5 * budget**-0.9) * float(np.exp(spread * random.standard_normal())),
                   **others)
            for budget in budgets for seed in range(seeds)]
