"""`Result`: what a comparison needs of one run, read from its work folder or from a store."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ssgan.config import RENAMED, unsaid
from ssgan.errors import Mistake
from ssgan.evaluation.baselines import BASELINES
from ssgan.evaluation.classifier import SCORES
from ssgan.evaluation.metrics import are_uneven
from ssgan.evaluation.score_names import today
from ssgan.evaluation.scoring_network import DOMAIN, EFFICIENTNET
from ssgan.tracking import StoredRun, run_ids
from ssgan.tracking.workfolder import WorkFolder

OWN = ("labels", "seed", "split_seed", "recipe", "dataset")  # params that are not among `settings`
ERRORS = {"test": "test", "cross_validation": "cross-validation"}  # what names of measurements begin with, and tell
LATER_SCORES = (  # of a run's result and of its measurements, which older runs lack
    "fid", "fid_real", "generated_only_error", "generated_only_error_real", "efficientnet_score",
    "efficientnet_score_real")


@dataclass(frozen=True, eq=False)
class Result:
    """One run. Errors are fractions; `error` is None where it has none."""

    run_id: str
    name: str
    dataset: str
    recipe: str
    labels: int
    seed: int
    split_seed: int
    status: str
    error: float | None
    total: int | None  # images on which it was measured
    baselines: dict[str, float]
    score: float | None  # the Inception Score; None too where EfficientNet has scored, whose score is another
    score_real: float | None
    seconds: float
    ended: float  # epoch seconds
    settings: dict[str, str]  # every key of the recipe that bears on training, as text
    images: int | None  # training images of the data set, if known
    fetch: Callable[[str], Path | None]  # an artifact by its path in the run, or None
    reason: str | None = None  # why it has no error
    fid: float | None = None
    fid_real: float | None = None
    generated_only_error: float | None = None  # of a network trained on generated images alone
    generated_only_error_real: float | None = None  # of one trained on real images
    efficientnet_score: float | None = None
    efficientnet_score_real: float | None = None
    error_from: str = "test"  # or cross-validation
    balanced_error: float | None = None
    balanced_baselines: Mapping[str, float] = field(default_factory=dict)  # where classes are uneven, but in older runs
    # by class name: recall, precision, f1, n; None is what cannot be told, {} in older runs
    by_class: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    network: str = DOMAIN  # by which its images were scored last, as in older runs

    @property
    def key(self) -> tuple[int, int, int]:
        """What may differ among the runs of one series."""
        return self.labels, self.split_seed, self.seed

    @property
    def uneven(self) -> bool:
        """Whether some classes have so many more images than others that the error tells little of these."""
        return bool(self.by_class) and are_uneven(np.array([scores["n"] for scores in self.by_class.values()]))

    @property
    def finished(self) -> bool:
        """Whether it has come to a good end."""
        return self.status == "FINISHED"

    def probabilities(self) -> tuple[np.ndarray, np.ndarray] | None:
        """The test images' probabilities [n, k] and labels [n]; None where the run did not keep them. Raises Mistake
        for a damaged file.
        """
        path = self.fetch("evaluate/test.npz")
        if path is None:
            return None
        try:
            with np.load(path, allow_pickle=False) as saved:
                return saved["probabilities"], saved["labels"]
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise Mistake(f"{path} is damaged ({error}).\nMake it again: ssgan evaluate {self.run_id}") from None

    def sheet(self) -> Path | None:
        """The last sheet of generated images."""
        return self.fetch("train/samples-*.png")


def of_folder(folder: WorkFolder) -> Result:
    """The result in a work folder, finished or not."""
    facts = folder.facts
    found = facts.get("result", {})
    evaluation, score = found.get("evaluation", {}), today(found.get("score", {}))
    ids = run_ids(folder)
    return Result(
        ids[-1] if ids else folder.fingerprint, facts.get("name", folder.fingerprint), facts.get("dataset", ""),
        facts.get("recipe_name", ""), facts.get("labels", 0), facts.get("seed", 0), facts.get("split_seed", 0),
        facts.get("status", "not begun"), evaluation.get("error"), evaluation.get("total"),
        {row["name"]: row["error"] for row in found.get("baselines", [])}, score.get("inception_score"),
        score.get("inception_score_real"), sum(stage["seconds"] for stage in facts.get("stages", {}).values()),
        facts.get("ended") or 0.0, _settings(facts.get("params", {})), facts.get("inputs", {}).get("train"),
        _finder(folder.path), facts.get("error") or evaluation.get("reason"),
        **{name: score.get(name) for name in LATER_SCORES}, error_from=evaluation.get("error_from", "test"),
        balanced_error=evaluation.get("balanced_error"), by_class=evaluation.get("by_class", {}),
        balanced_baselines={row["name"]: row["balanced_error"] for row in found.get("baselines", [])
                            if "balanced_error" in row}, network=score.get("network", DOMAIN))


def of_stored(run: StoredRun) -> Result | None:
    """The result of a run in a store; None where it is no run of a label budget with an error."""
    params, metrics = run.params, today(run.metrics, "score/")
    where = next((where for where in ERRORS if f"{where}/error" in metrics), None)
    numbers = [params.get(name, "") for name in ("labels", "seed", "split_seed")]
    if not all(number.isdecimal() for number in numbers) or where is None or "dataset" not in params:
        return None
    labels, seed, split_seed = map(int, numbers)
    wrong, error = metrics.get(f"{where}/wrong"), metrics[f"{where}/error"]
    compared, balanced = ({name: metrics[metric] for name, baseline in BASELINES.items()
                           if (metric := baseline.metric(where, kind)) in metrics}
                          for kind in ("error", "balanced_error"))
    network = run.tags.get("ssgan.score.network", DOMAIN)
    other = "inception_score" if network == EFFICIENTNET else "efficientnet_score"  # a store keeps what was before
    metrics = {name: value for name, value in metrics.items() if other not in name}
    return Result(
        run.run_id, run.name, params["dataset"], params.get("recipe", ""), labels, seed, split_seed, run.status, error,
        round(wrong / error) if wrong and error else None, compared, metrics.get("score/inception_score"),
        metrics.get("score/inception_score_real"),
        sum(value for name, value in metrics.items() if name.startswith("stage/")), run.ended, _settings(params),
        run.images, run.fetch, **{name: metrics.get(f"score/{name}") for name in LATER_SCORES},
        error_from=ERRORS[where], balanced_error=metrics.get(f"{where}/balanced_error"),
        balanced_baselines=balanced, by_class=_by_class(metrics, where), network=network)


def _by_class(metrics: Mapping[str, float], where: str) -> dict[str, dict[str, float | None]]:
    """Recall, precision, f1 and n by class name, as a run's measurements have them."""
    names = [name.removeprefix(f"{where}/n/") for name in metrics if name.startswith(f"{where}/n/")]
    return {name: {score: metrics.get(f"{where}/{score}/{name}") for score in (*SCORES, "n")} for name in names}


def _settings(params: Mapping[str, Any]) -> dict[str, str]:
    """Every key that bears on training, under today's name; what an older run does not say is as `unsaid` has it."""
    merged = unsaid() | {RENAMED.get(key, key): value for key, value in params.items()}
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in merged.items()}
    return {key: text for key, text in texts.items() if key not in OWN and not key.startswith("evaluate.")}


def _finder(folder: Path) -> Callable[[str], Path | None]:
    """Finds the last file of a pattern in a folder."""
    return lambda pattern: max(folder.glob(pattern), default=None)
