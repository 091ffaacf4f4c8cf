"""A whole table, budgets x seeds, trained against the clock: how fast it goes, how far it comes, how good that is."""

import contextlib
import gc
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from ssgan.data.dataset import Dataset
from ssgan.evaluation.classifier import evaluate
from ssgan.experiments.grid import Plan
from ssgan.experiments.interrupt import Stop
from ssgan.experiments.member import Member
from ssgan.experiments.progress import duration
from ssgan.experiments.stages import make_split
from ssgan.training import benchmark
from ssgan.training.cuda_graph import WARM_UP
from ssgan.training.execution import Resolved, pinned
from ssgan.training.loop import Interrupted, Record, run_to_end
from ssgan.training.trained_model import TrainedModel
from ssgan.training.trainer import Trainer

SETTLED = WARM_UP + 1  # steps before the speed counts: those before a graph, and its first replay
SAY_SECONDS = 10.0

Say = Callable[[str], None]


@dataclass
class _Trained:
    """A lane group that the clock or its last step has ended."""

    members: list[Member]
    steps: int
    all_steps: int  # of the recipe
    steps_per_epoch: int
    build: float  # seconds, with everything before the speed counts
    train: float
    evaluate: float
    rate: float  # steps a second
    errors: list[float | None]  # of the test images, a lane each; None where it was lost


def train_table(plan: Plan, dataset: Dataset, resolved: Resolved, minutes: float, peak: float, stop: Stop,
                say: Say) -> dict[str, Any]:
    """Trains every member of the plan in lane groups, one behind the other, for at most `minutes`, and evaluates where
    they are then.

    The time is split evenly over the groups; what one leaves goes to the others. `peak` is the device's rate of
    products, in operations a second. Ends early, with what there is, when `stop` says so.
    """
    began = time.monotonic()
    groups = plan.groups(dataset, resolved.device)
    chosen = time.monotonic() - began
    lanes = max(map(len, groups))
    each = duration(60 * minutes / len(groups))
    several = (f" in {len(groups)} groups, one behind the other; the time is split evenly, {each} each"
               if len(groups) > 1 else "")
    say(f"table: {len(plan.members())} runs, {lanes} at once, for at most {duration(60 * minutes)}{several}")
    flop = benchmark.step_flop(plan.recipe, dataset, resolved)
    found: list[_Trained] = []
    end = time.monotonic() + 60 * minutes
    for number, members in enumerate(groups):
        now = time.monotonic()
        if stop.requested:
            break
        deadline = now + (end - now) / (len(groups) - number)
        found.append(_run_group(members, dataset, resolved, deadline, stop,
                                lambda text: say(f"table: group {number + 1} of {len(groups)}, {text}")))
        gc.collect()  # a trainer and its graph know each other
    return _result(plan, groups, found, flop, peak, chosen, time.monotonic() - began)


def _run_group(members: list[Member], dataset: Dataset, resolved: Resolved, deadline: float, stop: Stop,
               say: Say) -> _Trained:
    began = time.monotonic()
    with pinned(resolved):
        tables = [make_split(member, dataset) for member in members]
        trainer = Trainer(members[0].recipe, dataset.train, tables, [member.seed for member in members], resolved)
        ready = time.monotonic()
        _advance(trainer, say, until=SETTLED)
        built, settled = time.monotonic(), trainer.done
        _advance(trainer, say, deadline=deadline, should_stop=lambda: stop.requested)
        trained, steps = time.monotonic(), trainer.done - settled
        lost = {failure.lane for failure in trainer.failures()}
        errors = [None if lane in lost else _error(trainer, lane, dataset) for lane in range(len(members))]
    evaluated = time.monotonic()
    rate = steps / (trained - built) if steps else settled / (built - ready)
    found = [100 * error for error in errors if error is not None]
    say(f"epoch {trainer.done / trainer.steps_per_epoch:.3g}: "
        + (f"test error {statistics.mean(found):.2f} %" if found else "nothing sound")
        + (f", mean of {len(found)}" if len(found) > 1 else ""))
    return _Trained(members, trainer.done, trainer.steps, trainer.steps_per_epoch, built - began, trained - built,
                    evaluated - trained, rate, errors)


def _advance(trainer: Trainer, say: Say, *, until: int | None = None, deadline: float = math.inf,
             should_stop: Callable[[], bool] = lambda: False) -> None:
    """Trains up to a step, or until the deadline, or until `should_stop`; the device has done it when it returns."""
    said = began = time.monotonic()
    first = trainer.done
    with contextlib.suppress(Interrupted):
        for event in run_to_end(trainer, None, looks=False, until=until, deadline=deadline, should_stop=should_stop):
            now = time.monotonic()
            if isinstance(event, Record) and now - said > SAY_SECONDS:
                said = now
                losses = [f"{name} {statistics.mean(values):.3g}" for name, values in event.values.items()
                          if name.endswith("loss")]
                rate = (event.step - first) / (now - began)
                say(f"step {event.step} of {trainer.steps}, {rate:.1f} a second, {', '.join(losses)}")
    if trainer.device.type == "cuda":
        torch.cuda.synchronize(trainer.device)


def _error(trainer: Trainer, lane: int, dataset: Dataset) -> float:
    """The share of wrong answers of a lane's averaged classifier on the test images."""
    logits_of = TrainedModel.of_trainer(trainer, lane).classifier(trainer.device)
    return evaluate(logits_of, dataset.test, torch.from_numpy(trainer.splits[lane].test)).error


def _result(plan: Plan, groups: list[list[Member]], found: list[_Trained], flop: float, peak: float, chosen: float,
            seconds: float) -> dict[str, Any]:
    """What is told of the table; the rest of the training is projected at the measured speed, groups that were not
    begun as the others.
    """
    trained = sum(group.train for group in found)
    steps = sum(group.rate * group.train for group in found)
    lane_steps = sum(len(group.members) * group.rate * group.train for group in found)
    whole = [group.build + group.all_steps / group.rate + group.evaluate for group in found]
    epochs = [group.steps / group.steps_per_epoch for group in found]
    done = len(found) == len(groups) and all(group.steps == group.all_steps for group in found)
    return {
        "budgets": list(plan.budgets), "runs": sum(map(len, groups)), "groups": [len(group) for group in groups],
        "lanes": max(map(len, groups)), "steps_per_second": steps / trained if trained else None,
        "lane_steps_per_second": lane_steps / trained if trained else None,
        "share_of_peak": lane_steps / trained * flop / peak if trained else None, "flop_per_lane_step": flop,
        "epochs": [min(epochs), max(epochs)] if epochs else None, "epochs_of_recipe": plan.recipe.train.epochs,
        "steps": [group.steps for group in found], "steps_of_recipe": found[0].all_steps if found else None,
        "complete": done, "minutes": seconds / 60,
        "minutes_projected": (chosen + statistics.mean(whole) * len(groups)) / 60 if found else None,
        "seconds_of": {"group size": chosen, "building": sum(group.build for group in found), "training": trained,
                       "evaluation": sum(group.evaluate for group in found)},
        "rows": [_row(budget, found) for budget in plan.budgets]}


def _row(budget: int, found: list[_Trained]) -> dict[str, Any]:
    """The errors of a budget, in %, by split seed."""
    pairs = [(member.split_seed, error) for group in found for member, error in zip(group.members, group.errors)
             if member.recipe.labels == budget]
    errors = [round(100 * error, 4) for _, error in pairs if error is not None]
    std = statistics.stdev(errors) if len(errors) > 1 else None
    return {"labels": budget, "mean": statistics.mean(errors) if errors else None, "std": std,
            "standard_error": std / math.sqrt(len(errors)) if std is not None else None,
            "median": statistics.median(errors) if errors else None, "n": len(errors), "errors": errors,
            "split_seeds": [seed for seed, error in pairs if error is not None],
            "lost": [seed for seed, error in pairs if error is None]}
