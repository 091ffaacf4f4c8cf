"""The training loop: brings a trainer to its last step and yields what it measures."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ssgan.training import checkpoint as checkpoint_file
from ssgan.training.state import keep_lanes
from ssgan.training.trained_model import TrainedModel
from ssgan.training.trainer import Failure, Trainer

SHEETS = 8  # sample sheets in a run
SHEET_IMAGES = 100
MONITORS = 40  # looks at the validation images in a run


@dataclass(frozen=True)
class Record:
    """Means since the last record, one number a lane; `step` is the number of steps done."""

    step: int
    values: dict[str, list[float]]


@dataclass(frozen=True)
class Sheet:
    """Generated images of every lane: uint8 [r, n, c, h, w]."""

    step: int
    images: Tensor


@dataclass(frozen=True)
class Samples:
    """Generated images of every lane, to be scored: uint8 [r, n, c, h, w]."""

    step: int
    images: Tensor


class Interrupted(Exception):
    """Training was asked to stop; a checkpoint, where there is to be one, has been saved at `step`."""

    def __init__(self, step: int):
        super().__init__(f"stopped at step {step}")
        self.step = step


def run_to_end(trainer: Trainer, checkpoint: Path | None, *, checkpoint_seconds: float = 30.0,
               should_stop: Callable[[], bool] = lambda: False, before_save: Callable[[], object] = lambda: None,
               before_further: Callable[[], object] = lambda: None, until: int | None = None,
               deadline: float = math.inf, looks: bool = True,
               scored: bool = False) -> Iterator[Record | Sheet | Samples | Failure]:
    """Runs the trainer to its last step, yielding records, sheets and failures; goes on from the checkpoint if there is
    one.

    A failed lane keeps its rows of the last good checkpoint and the others go on; with no lane left the loop ends.
    `before_save` brings to the disk what was yielded. Raises Interrupted after saving when `should_stop` says so.
    `before_further` is called before the first step here that trains what comes after the classifier, if there is any.
    It ends before the last step after the step `until`, and at the `deadline`, a time of `time.monotonic`. Without
    `looks` it yields neither validation errors nor sheets; `scored`, it yields samples as often as the recipe says.
    """
    if checkpoint and checkpoint.exists():
        trainer.restore(checkpoint_file.load(checkpoint))
    known = {failure.lane for failure in trainer.failures()}
    if len(known) == len(trainer.seeds):
        return
    saved = time.monotonic()
    monitor_steps, sheet_steps = (_multiple(steps / parts, trainer.record_steps)
                                  for steps, parts in ((trainer.gan.steps, MONITORS), (trainer.steps, SHEETS)))
    limit = math.inf if until is None else until
    further = False
    while trainer.done < min(limit, trainer.steps) and time.monotonic() < deadline:
        if trainer.done >= trainer.gan.steps and not further:
            further = True
            if checkpoint and trainer.done > trainer.first:  # what is called may take long, and be stopped
                before_save()
                save(trainer, checkpoint)
                saved = time.monotonic()
            before_further()
        began = time.monotonic()
        trainer.step()
        last = trainer.done == trainer.steps
        recorded = trainer.record_due
        values = trainer.read() if recorded else {}  # waits for a device
        trainer.seconds += time.monotonic() - began
        if recorded:
            failures = [failure for failure in trainer.failures() if failure.lane not in known]
            yield Record(trainer.done, values)
            yield from failures
            known |= {failure.lane for failure in failures}
            if len(known) == len(trainer.seeds):
                return
        classifying = trainer.done <= trainer.gan.steps
        if looks and classifying and (trainer.done % monitor_steps == 0 or trainer.done == trainer.gan.steps):
            yield from _monitor(trainer)
        if looks and (trainer.done % sheet_steps == 0 or last):
            yield from _images(trainer, Sheet, SHEET_IMAGES)
        if scored and trainer.done % trainer.recipe.score.every_steps == 0:
            yield from _images(trainer, Samples, trainer.recipe.score.step_samples)
        stop = should_stop() and not last
        if checkpoint and (stop or time.monotonic() - saved > checkpoint_seconds):
            before_save()
            save(trainer, checkpoint)
            saved = time.monotonic()
        if stop:
            raise Interrupted(trainer.done)


def save(trainer: Trainer, path: Path) -> None:
    """Saves the trainer; rows of lanes that have failed stay as the last good checkpoint has them."""
    state = trainer.checkpoint()
    bad = [failure.lane for failure in trainer.failures()]
    if bad and path.exists():
        state = keep_lanes(state, checkpoint_file.load(path), bad)
    if len(bad) < len(trainer.seeds):
        checkpoint_file.save(path, state)


def _multiple(steps: float, record_steps: int) -> int:
    """The steps as a multiple of the record's, so that looks fall together."""
    return max(1, round(steps / record_steps)) * record_steps


def _monitor(trainer: Trainer) -> Iterator[Record]:
    """The averaged classifiers' error on the validation images of each lane, where there are any."""
    if not len(trainer.splits[0].validation):
        return
    index = torch.stack([torch.from_numpy(split.validation) for split in trainer.splits]).to(trainer.device)
    wrong = torch.zeros(len(trainer.seeds), device=trainer.device)
    for part in index.split(1000, 1):
        logits = trainer.averaged_logits(trainer.images.gather(part, dtype=trainer.master))
        wrong += (logits.argmax(-1) != trainer.images.labels[part]).sum(1)
    yield Record(trainer.done, {"val/error": [count / index.shape[1] for count in wrong.tolist()]})


def _images(trainer: Trainer, kind: type[Sheet | Samples], count: int) -> Iterator[Sheet | Samples]:
    """Images of every lane's first generator; none before a generator was trained, or where a lane has none."""
    models = [TrainedModel.of_trainer(trainer, lane).samplers() for lane in range(len(trainer.seeds))]
    if all(models):
        images = torch.stack([next(iter(samplers.values())).images(0, count) for samplers in models])
        yield kind(trainer.done, (images * 255).round().to(torch.uint8).cpu())
