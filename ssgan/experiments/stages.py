"""The four stages of a lane group: split, train, evaluate, score. What is done already is not done again."""

import dataclasses
import json
import time
from pathlib import Path

import torch

from ssgan.evaluation import baselines
from ssgan.evaluation import classifier, domain_classifier, figures, inception_score
from ssgan.training import loop
from ssgan.training.trained_model import TrainedModel
from ssgan.config import Recipe
from ssgan.data import splits
from ssgan.data.dataset import Dataset
from ssgan.errors import Failed
from ssgan.files import write_text
from ssgan.experiments.member import Group, Member, lost
from ssgan.training.execution import compile_problem, pinned
from ssgan.training.trainer import Failure, Trainer
from ssgan.tracking.workfolder import WorkFolder


GAINS = {"gain": baselines.SUPERVISED, "generator_gain": baselines.NO_GENERATOR}  # measured, over which baseline
BY_LABELS = "by_labels/"  # before the names of measurements whose step is the label budget


def make_split(member: Member, dataset: Dataset) -> splits.Split:
    """The member's split. Raises Mistake where the data cannot give it."""
    return splits.make_split(dataset, member.recipe.labels, member.split_seed, member.recipe.split)


def split(group: Group) -> list[splits.Split]:
    """Makes and saves the index tables of every member; reads and checks the ones that are there."""
    found = []
    for member, folder in zip(group.members, group.folders):
        began, path = time.monotonic(), folder.stage_folder("split") / "split.npz"
        if folder.stage_finished("split"):
            table = splits.load(path)
            table.verify(group.dataset)
        else:
            table = make_split(member, group.dataset)
            table.save(path)
            summary = table.summary() | {"data_sha256": table.data_sha256, "classes": list(group.dataset.classes)}
            write_text(folder.stage_folder("split") / "split.json", json.dumps(summary, indent=1))
            folder.finish_stage("split", time.monotonic() - began)
        found.append(table)
    return found


def train(group: Group, tables: list[splits.Split]) -> None:
    """Trains the lanes and saves each one's pair as train/model.pt. Raises Failed when no lane came through, and Interrupted."""
    if all(folder.stage_finished("train") or lost(folder) for folder in group.folders):
        return
    trainer = _run_trainer(group, group.recipe, tables, "train", group.folders[0].checkpoint, record=True)
    failed = {failure.lane: failure for failure in trainer.failures()}
    for lane, folder in enumerate(group.folders):
        if lane in failed:
            folder.update(status="FAILED", error=_explain(failed[lane], group), failure=dataclasses.asdict(failed[lane]))
            continue
        TrainedModel.of_trainer(trainer, lane).save(folder)
        folder.finish_stage("train", trainer.seconds)
    if len(failed) == len(group.members):
        raise Failed(_explain(failed[0], group))
    if not failed:
        group.folders[0].checkpoint.unlink(missing_ok=True)


def evaluate(group: Group, tables: list[splits.Split], *, again: bool = False) -> None:
    """Looks at the test set, once, with the averaged last weights in fp32; then the baselines on the same splits."""
    lanes = [lane for lane, folder in enumerate(group.folders) if folder.stage_finished("train")]
    if not again and all(group.folders[lane].stage_finished("evaluate") for lane in lanes):
        return
    began = time.monotonic()
    alone = _networks_alone(group, tables)
    shared_seconds = (time.monotonic() - began) / max(1, len(lanes))
    for lane in lanes:
        began, folder, table = time.monotonic(), group.folders[lane], tables[lane]
        into = folder.stage_folder("evaluate")
        found = classifier.evaluate(TrainedModel.of_run(folder).classifier(group.resolved.device), group.dataset.test, torch.from_numpy(table.test))
        found.save(into / "test.npz")
        compared = list(alone[lane].values())
        if group.recipe.evaluate.classical:
            group.progress.begin("scikit-learn", 0)
            compared += baselines.classical(group.dataset, table, group.members[lane].split_seed)
            group.progress.end()
        rows = [dataclasses.asdict(baseline) for baseline in compared]
        write_text(into / "evaluation.json", json.dumps(found.summary() | {"baselines": rows}, indent=1))
        figures.confusion_picture(found.confusion, group.dataset.classes, into / "confusion.png")
        worst = classifier.worst_mistakes(found, 40)
        if len(worst):
            figures.mistakes_sheet(found, worst, group.dataset.test, into / "mistakes.png")
        step = _step(folder, again)
        folder.measure(step, found.measurements())
        folder.measure(step, {baselines.metric(baseline.name): baseline.error for baseline in compared})
        gains = {name: alone[lane][other].error - found.error for name, other in GAINS.items() if other in alone[lane]}
        folder.measure(step, {f"test/{name}": gain for name, gain in gains.items()})
        folder.measure(table.labels, _by_labels(table.labels, found.error, alone[lane], gains))
        folder.update(result=folder.facts.get("result", {}) | {"evaluation": found.summary(), "baselines": rows})
        folder.finish_stage("evaluate", time.monotonic() - began + shared_seconds)
    for path in group.folders[0].path.glob("checkpoint-*.pt"):
        path.unlink()


def score(group: Group, *, again: bool = False) -> None:
    """The Inception Score of every member's generator, beside that of the real test images at the same count."""
    recipe, dataset = group.recipe, group.dataset
    lanes = [lane for lane, folder in enumerate(group.folders) if folder.stage_finished("train")]
    if recipe.gan.weight == 0 or not again and all(group.folders[lane].stage_finished("score") for lane in lanes):
        return
    began = time.monotonic()
    network = None
    if (dataset.train.labels >= 0).all():
        group.progress.begin("network", 0)
        network = domain_classifier.domain_classifier(dataset.train, dataset.test, group.resolved.device, group.progress.update)
        group.progress.end()
    shared_seconds = (time.monotonic() - began) / max(1, len(lanes))
    for lane in lanes:
        began, folder = time.monotonic(), group.folders[lane]
        into = folder.stage_folder("score")
        model, device = TrainedModel.of_run(folder), group.resolved.device
        found = inception_score.score(
            model.sampler(device, average=recipe.score.generator == "average"),
            dataset.test, network or inception_score.itself(model.classifier(device)), samples=recipe.score.samples,
            splits=recipe.score.splits, generator=recipe.score.generator)
        write_text(into / "score.json", json.dumps(found.summary(), indent=1))
        figures.class_histogram_picture(found.histogram, dataset.classes, into / "classes.png")
        folder.measure(_step(folder, again), found.measurements())
        folder.update(result=folder.facts.get("result", {}) | {"score": found.summary()})
        folder.finish_stage("score", time.monotonic() - began + shared_seconds)


def train_alone(group: Group, tables: list[splits.Split]) -> None:
    """Trains the networks of the baselines up to their checkpoints, from which `evaluate` then takes them. Raises Interrupted."""
    for without in dict.fromkeys(without for _, without, _ in _wanted_alone(group.recipe)):
        _trained_alone(group, tables, without)


def has_alone(recipe: Recipe) -> bool:
    """Whether the recipe asks for baselines that are the network trained without some of the help."""
    return bool(_wanted_alone(recipe))


def _wanted_alone(recipe: Recipe) -> list[tuple[str, Recipe, str]]:
    """The name, recipe and note of each such baseline."""
    wanted = []
    if recipe.evaluate.supervised:
        wanted.append((baselines.SUPERVISED, baselines.supervised_only(recipe), "same network, labelled images alone"))
    if recipe.evaluate.gan_off and recipe.gan.weight > 0:
        wanted.append((baselines.NO_GENERATOR, baselines.without_generator(recipe), "same recipe, no generated images"))
    return wanted


def _networks_alone(group: Group, tables: list[splits.Split]) -> list[dict[str, "baselines.Baseline"]]:
    """The baselines that are the same network trained without some of the help, by lane and name; those that come to the same are trained once."""
    found: list[dict[str, baselines.Baseline]] = [{} for _ in group.members]
    trained: dict[Recipe, dict[int, baselines.Baseline]] = {}
    for name, without, note in _wanted_alone(group.recipe):
        if without not in trained:
            trained[without] = _alone(group, tables, without)
        for lane, baseline in trained[without].items():
            found[lane][name] = dataclasses.replace(baseline, name=name, note=note)
    return found


def _alone(group: Group, tables: list[splits.Split], recipe: Recipe) -> dict[int, "baselines.Baseline"]:
    """The recipe trained on every lane's split and evaluated, by lane; a lane that failed is left out."""
    trainer, name = _trained_alone(group, tables, recipe)
    failed = {failure.lane for failure in trainer.failures()}
    found = {}
    for lane in set(range(len(group.members))) - failed:
        began = time.monotonic()
        logits_of = TrainedModel.of_trainer(trainer, lane).classifier(group.resolved.device)
        result = classifier.evaluate(logits_of, group.dataset.test, torch.from_numpy(tables[lane].test))
        result.save(group.folders[lane].stage_folder("evaluate") / f"{name}.npz")
        seconds = trainer.seconds / len(group.members) + time.monotonic() - began
        found[lane] = baselines.Baseline(name, result.wrong, result.total, result.error, seconds, "")
    return found


def _trained_alone(group: Group, tables: list[splits.Split], recipe: Recipe) -> tuple[Trainer, str]:
    """The trainer of a baseline at its end, and what its files are named after."""
    name = next(name for name, without, _ in _wanted_alone(group.recipe) if without == recipe).replace(" ", "-")
    path = group.folders[0].path / f"checkpoint-{name}.pt"
    if group.resolved.compiled and compile_problem(recipe, group.dataset.train, group.resolved):
        group = dataclasses.replace(group, resolved=dataclasses.replace(group.resolved, compiled=False))
    trainer = _run_trainer(group, recipe, tables, name, path, record=False)
    if trainer.first < trainer.steps:
        loop.save(trainer, path)  # until the stage is done, so that another baseline's end does not cost this one again
    return trainer, name


def _run_trainer(group: Group, recipe: Recipe, tables: list[splits.Split], stage: str, checkpoint: Path, *, record: bool) -> Trainer:
    with pinned(group.resolved), group.stop.polite():
        trainer = Trainer(recipe, group.dataset.train, tables, group.seeds, group.resolved)
        events = loop.run_to_end(trainer, checkpoint, checkpoint_seconds=group.checkpoint_seconds, should_stop=lambda: group.stop.requested,
                                before_save=lambda: [folder.flush() for folder in group.folders])
        begun = False
        if group.resolved.compiled:
            group.progress.begin(f"{stage}: compiling the step", 0)
        for event in events:
            if not begun:
                group.progress.begin(stage, trainer.steps, trainer.first)
                begun = True
            if isinstance(event, loop.Record):
                shown = {name: values[0] for name, values in event.values.items() if "loss" in name or "val" in name}
                group.progress.update(event.step, values=shown)
            if record:
                _note(group, event)
        group.progress.end()
    return trainer


def _note(group: Group, event: loop.Record | loop.Sheet | Failure) -> None:
    """Writes what training yields into the work folders."""
    if isinstance(event, loop.Record):
        for lane, folder in enumerate(group.folders):
            values = {name if "/" in name else f"train/{name}": values[lane] for name, values in event.values.items()}
            folder.measure(event.step, values)
    elif isinstance(event, loop.Sheet):
        for folder, images in zip(group.folders, event.images):
            figures.sample_sheet(images, folder.stage_folder("train") / f"samples-{event.step:07d}.png", columns=10)
    elif len(group.members) > 1:
        group.progress.say(_explain(event, group))


def _explain(failure: Failure, group: Group) -> str:
    member = group.members[failure.lane]
    return (f"training failed (seed {member.seed}, {member.recipe.labels} labels): {failure.name} was not finite at step {failure.step}.\n"
            f"Try a smaller step, --set train.learning_rate={member.recipe.train.learning_rate / 3:.2g}, or --set train.precision=fp32.")


def _step(folder: WorkFolder, again: bool) -> int:
    """The step at which results are noted: the newest one, or the next where a stage is done again, for steps must rise."""
    newest = max((step for _, step, _, values in folder.measurements() if not any(name.startswith(BY_LABELS) for name in values)), default=0)
    return newest + again


def _by_labels(labels: int, error: float, alone: dict[str, "baselines.Baseline"], gains: dict[str, float]) -> dict[str, float]:
    """In per cent, for charts over many runs: their step is the label budget, so that it is the axis, with a mean and a band of the seeds."""
    found = {"labels": float(labels), "error_percent": 100 * error}
    found |= {f"{name.replace(' ', '_')}_percent": 100 * baseline.error for name, baseline in alone.items()}
    found |= {f"{name}_points": 100 * gain for name, gain in gains.items()}
    return {BY_LABELS + name: value for name, value in found.items()}
