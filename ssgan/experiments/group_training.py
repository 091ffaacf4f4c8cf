"""A lane group is trained to its last step: shown to a person, and what it yields written into the work folders."""

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ssgan import techniques
from ssgan.config import Recipe
from ssgan.data.class_shares import are_even, class_shares, told
from ssgan.data.splits import Split
from ssgan.evaluation import figures
from ssgan.experiments import step_scores
from ssgan.training import loop
from ssgan.training.execution import pinned
from ssgan.training.trainer import Failure, Trainer

if TYPE_CHECKING:
    from ssgan.experiments.member import Group


def train_group(group: "Group", recipe: Recipe, tables: list[Split], stage: str, checkpoint: Path, *,
                record: bool) -> Trainer:
    """The trainer at its end, from the checkpoint on if there is one; `stage` is its name for a person.

    With `record`, measurements and sheets of generated images go into the group's folders. Raises Interrupted.
    """
    scored = record and step_scores.wanted(group)
    scores = step_scores.StepScores.of(group) if scored else None
    with pinned(group.resolved), group.stop.polite():
        trainer = Trainer(recipe, group.dataset.train, tables, group.seeds, group.resolved)
        if record:
            _tell_shares(group, tables)
        events = loop.run_to_end(trainer, checkpoint, checkpoint_seconds=group.checkpoint_seconds, scored=scored,
                                 before_further=lambda: _take_all_cores(group),
                                 should_stop=lambda: group.stop.requested,
                                 before_save=lambda: [folder.flush() for folder in group.folders])
        waits = _before_the_first_step(trainer)
        if waits:
            group.progress.begin(f"{stage}: {waits}", 0)
        part = ""
        for event in events:
            part = _show(group, trainer, stage, part, event)
            if isinstance(event, loop.Samples):
                _score(group, trainer, event, scores)
            elif record:
                _note(group, event)
        group.progress.end()
    return trainer


def _take_all_cores(group: "Group") -> None:
    """Gives what is trained after the classifier the cores that were another process's. Raises Interrupted."""
    if group.resolved.further_threads:
        group.alone()
        torch.set_num_threads(group.resolved.further_threads)


def _before_the_first_step(trainer: Trainer) -> str:
    """What takes long before the first step that is made here; empty where nothing does."""
    work = trainer.gan.phases.get(trainer.done, ()) if trainer.done < trainer.gan.steps else ()
    return ", ".join([*work, *["compiling the step"] * trainer.gan.compiled])


def _score(group: "Group", trainer: Trainer, event: loop.Samples, scores: step_scores.StepScores) -> None:
    """Notes the scores of every lane that is still trained."""
    lost = {failure.lane for failure in trainer.failures()}
    for lane, folder in enumerate(group.folders):
        if lane not in lost:
            folder.measure(event.step, scores.measurements(event.images[lane]))


def _show(group: "Group", trainer: Trainer, stage: str, shown: str,
          event: loop.Record | loop.Sheet | loop.Samples | Failure) -> str:
    """Shows a person how far it is, each part of a training by its own steps: returns the part that is shown."""
    pair = trainer.gan.steps
    part = stage if event.step <= pair else ", ".join(techniques.further(trainer.recipe))
    before, steps = (0, pair) if part == stage else (pair, trainer.steps - pair)
    if part != shown:
        group.progress.begin(part, steps, max(trainer.first - before, 0))
    if isinstance(event, loop.Record):
        values = {name: values[0] for name, values in event.values.items() if "loss" in name or "val" in name}
        group.progress.update(event.step - before, values=values)
    return part


def explain(failure: Failure, group: "Group") -> str:
    """What a person is told of a lane that was lost, and what may help."""
    member = group.members[failure.lane]
    own = failure.name.removesuffix("_loss")
    name = next((name for name, technique in techniques.active(member.recipe).items()
                 if technique.further_steps() and own in technique.parts), "train")
    smaller = getattr(member.recipe, name).learning_rate / 3
    return (f"training failed (seed {member.seed}, {member.recipe.labels} labels): "
            f"{failure.name} was not finite at step {failure.step}.\n"
            f"Try a smaller step, --set {name}.learning_rate={smaller:.2g}, or --set train.precision=fp32.")


def _tell_shares(group: "Group", tables: list[Split]) -> None:
    """Says what losses take the classes' shares to be, where they are not even."""
    found = [class_shares(group.dataset.train, table) for table in tables]
    uneven = [shares for shares in found if not are_even(shares)]
    if uneven:
        several = f" (in the first of {len(uneven)} runs)" if len(uneven) > 1 else ""
        group.progress.say(f"class shares estimated from the labels: {told(uneven[0], group.dataset.train.classes)}"
                           f"{several}")


def _note(group: "Group", event: loop.Record | loop.Sheet | Failure) -> None:
    """Writes what training yields into the work folders."""
    if isinstance(event, loop.Record):
        for lane, folder in enumerate(group.folders):
            values = {name if "/" in name else f"train/{name}": values[lane] for name, values in event.values.items()}
            folder.measure(event.step, values)
    elif isinstance(event, loop.Sheet):
        for folder, images in zip(group.folders, event.images):
            figures.sample_sheet(images, folder.stage_folder("train") / f"samples-{event.step:07d}.png", columns=10)
    elif len(group.members) > 1:
        group.progress.say(explain(event, group))
