"""The four stages of a lane group: split, train, evaluate, score. What is done already is not done again."""

import dataclasses
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ssgan import techniques
from ssgan.config import Recipe
from ssgan.data import splits
from ssgan.data.dataset import Dataset
from ssgan.data.images import Images
from ssgan.errors import Failed
from ssgan.evaluation import classifier, figures, generator_scores, networks, ranking, scoring_network
from ssgan.evaluation.baselines import BASELINES, Measured, TrainedWithout
from ssgan.evaluation.image_list import ImageList
from ssgan.evaluation.metrics import are_uneven
from ssgan.evaluation.scoring_network import DOMAIN
from ssgan.experiments import baseline_runs, cross_validation
from ssgan.experiments.group_training import explain, train_group
from ssgan.experiments.interrupt import Stop
from ssgan.experiments.member import Group, Member, lost
from ssgan.experiments.progress import Progress
from ssgan.files import write_text
from ssgan.models.sampling import Sampler
from ssgan.tracking.workfolder import WorkFolder
from ssgan.training.execution import size_of
from ssgan.training.loop import Interrupted
from ssgan.training.trained_model import TrainedModel

NO_LABELS = "it was trained without labels, so that none of its answers names a class: its images are scored alone"
BY_LABELS = "by_labels/"  # before the names of measurements whose step is the label budget
OTHER_STEPS = (BY_LABELS, "turing/")  # whose step is none of training: the second's is the number of answers


def check(recipe: Recipe, dataset: Dataset, until: str = "score", trained: str = "") -> list[str]:
    """Raises Mistake for a budget that the data cannot give, for techniques that cannot be combined, for networks that
    do not fit the images, and for scores that cannot be had where the stages go so far; returns what will be left out
    or be otherwise, in a line each.

    All that can be known before the first step, from the recipe and the counts of the data, is found here. It is cheap,
    and asked before anything is written. `trained` is the run where it has been trained already.
    """
    techniques.check(recipe, len(dataset.classes))
    size_of(recipe, dataset.train)  # the networks are put together too, which finds what does not fit
    _, held_out = splits.check_budget(dataset, recipe.labels, recipe.split)
    if until == "score" and techniques.draws_images(recipe):
        generator_scores.check(recipe.score, dataset.train, generator_scores.compared(dataset)[1], trained)
        networks.check(recipe.score.network)
    there = len(dataset.train) - int(held_out.sum())
    return [*_length(recipe, there), *_unscored(recipe, dataset), *(
        f"[{name}] will not be trained: {name}.batch = {least} is more than the {there} images there are to train on; "
        f"try --set {name}.batch={max(2, there // 2)}"
        for name, each in techniques.active(recipe).items() if (least := each.least_images()) > there)]


def _unscored(recipe: Recipe, dataset: Dataset) -> list[str]:
    """A line where scores over the steps are asked for and cannot be had."""
    if not recipe.score.every_steps or recipe.score.network != DOMAIN or networks.has_domain_network(dataset):
        return []
    return ["score.every_steps: nothing is scored while the run is trained, for the data have no full labels with a "
            "test part; score.network = inception needs none"]


def _length(recipe: Recipe, images: int) -> list[str]:
    """A line where a training on so many images is longer or shorter than its epochs say."""
    train, per_epoch = recipe.train, max(1, images // recipe.train.batch)
    asked, made = dataclasses.replace(train, least_steps=0, most_steps=0).steps_of(per_epoch), train.steps_of(per_epoch)
    if asked == made:
        return []
    key = "least_steps" if made > asked else "most_steps"
    return [f"train.epochs = {train.epochs:g} are {asked:,} steps of {train.batch} images here, and train.{key} makes "
            f"them {made:,}"]


def make_split(member: Member, dataset: Dataset) -> splits.Split:
    """The member's split. Raises Mistake where the data cannot give it."""
    return splits.make_split(dataset, member.recipe.labels, member.split_seed, member.recipe.split)


def split(group: Group) -> list[splits.Split]:
    """Makes and saves the index tables of every member; reads and checks the ones that are there."""
    found = []
    for member, folder in zip(group.members, group.folders):
        began, path = time.monotonic(), folder.stage_folder("split") / "split.npz"
        if folder.stage_finished("split") and path.exists():
            table = saved_split(folder, group.dataset)
        else:
            table = make_split(member, group.dataset)
            table.save(path)
            summary = table.summary() | {"data_sha256": table.data_sha256, "classes": list(group.dataset.classes)}
            write_text(folder.stage_folder("split") / "split.json", json.dumps(summary, indent=1))
            folder.finish_stage("split", time.monotonic() - began)
        found.append(table)
    return found


def saved_split(folder: WorkFolder, dataset: Dataset) -> splits.Split:
    """A run's index tables. Raises Mistake where there are none, or they are of other data."""
    table = splits.load(folder.path / "split" / "split.npz")
    table.verify(dataset)
    return table


def train(group: Group, tables: list[splits.Split]) -> None:
    """Trains the lanes and saves each one's pair as train/model.pt. Raises Failed when no lane came through, and
    Interrupted.
    """
    if all(folder.stage_finished("train") or lost(folder) for folder in group.folders):
        return
    trainer = train_group(group, group.recipe, tables, "train", group.folders[0].checkpoint, record=True)
    failed = {failure.lane: failure for failure in trainer.failures()}
    for lane, folder in enumerate(group.folders):
        if lane in failed:
            folder.update(status="FAILED", error=explain(failed[lane], group), failure=dataclasses.asdict(failed[lane]))
            continue
        TrainedModel.of_trainer(trainer, lane).save(folder)
        if trainer.waiting[lane]:
            group.progress.say(trainer.waiting[lane])
            folder.update(waiting=trainer.waiting[lane])
        folder.finish_stage("train", trainer.seconds)
    if len(failed) == len(group.members):
        raise Failed(explain(failed[0], group))
    if not failed:
        group.folders[0].checkpoint.unlink(missing_ok=True)


def evaluate(group: Group, tables: list[splits.Split], *, again: bool = False) -> None:
    """Looks at the test set, once, with the averaged last weights in fp32; then the baselines on the same splits.

    Without a test part, the error is estimated by cross-validation. A pair that was trained without labels has none.
    """
    lanes = _lanes_to_do(group, "evaluate", again)
    if not lanes:
        return
    began, tested, taught = time.monotonic(), group.dataset.tested, group.recipe.train.labelled_weight > 0
    trained = baseline_runs.measure_all(group, tables) if tested and taught else []
    shared_seconds = (time.monotonic() - began) / len(lanes)
    for lane in lanes:
        began, folder = time.monotonic(), group.folders[lane]
        if not taught:
            _write_evaluation(folder, cross_validation.Estimate(None, reason=NO_LABELS).summary(), ())
        elif tested:
            _evaluate_lane(group, lane, tables[lane], trained[lane], again)
        else:
            _estimate_lane(group, lane, tables[lane], again)
        folder.finish_stage("evaluate", time.monotonic() - began + shared_seconds)
    for folder in group.folders:
        baseline_runs.forget(folder)


def score(group: Group, *, again: bool = False) -> None:
    """The scores of every member's generators, beside those of real images at the same count."""
    dataset = group.dataset
    lanes = _lanes_to_do(group, "score", again) if techniques.draws_images(group.recipe) else []
    if not lanes:
        return
    began = time.monotonic()
    network, real = scoring(group.recipe, dataset, group.resolved.device, _watched(group))
    shared_seconds = (time.monotonic() - began) / len(lanes)
    for lane in lanes:
        began, folder = time.monotonic(), group.folders[lane]
        _score_lane(group, lane, network, real, again)
        folder.finish_stage("score", time.monotonic() - began + shared_seconds)


def scoring(recipe: Recipe, dataset: Dataset, device: str, watched: generator_scores.Watched,
            ) -> tuple[scoring_network.Network | None, generator_scores.RealScore | None]:
    """What a recipe's generators are scored by, and the scores of real images. None for a domain network where not all
    training images have a label, or none is there to test with.
    """
    network = networks.network_of(recipe.score.network, dataset, device, watched("network"))
    return network, None if network is None else _real_scores(recipe, dataset, network, device, watched)


def ready_scoring(recipe: Recipe, dataset: Dataset, device: str, watched: generator_scores.Watched) -> None:
    """Makes what `scoring` needs and is kept in the user's cache: the network of the data set's own domain, and what
    learns from its real images. Both once for a data set.
    """
    if recipe.score.network == DOMAIN:
        networks.network_of(DOMAIN, dataset, device, watched("network"))
    if techniques.told_classes(recipe):
        generator_scores.trained_errors(dataset, recipe.score, device, watched)


def _lanes_to_do(group: Group, stage: str, again: bool) -> list[int]:
    """All that have been trained, where one of them has the stage before it or does it again."""
    lanes = [lane for lane, folder in enumerate(group.folders) if folder.stage_finished("train")]
    return lanes if again or not all(group.folders[lane].stage_finished(stage) for lane in lanes) else []


def _evaluate_lane(group: Group, lane: int, table: splits.Split, trained: dict[str, Measured], again: bool) -> None:
    """One member's answers on the test images, and its baselines: those `trained`, and scikit-learn's."""
    folder = group.folders[lane]
    logits_of = TrainedModel.of_run(folder).classifier(group.resolved.device)
    evaluation = classifier.evaluate(logits_of, group.dataset.test, torch.from_numpy(table.test))
    evaluation.save(folder.stage_folder("evaluate") / "test.npz")
    compared = [*trained.values(), *baseline_runs.fit(group, lane, table)]
    gains = _gains(trained, evaluation.error)
    step = _step(folder, again)
    folder.measure(step, evaluation.measurements())
    folder.measure(step, _compared(evaluation, compared, "test"))
    folder.measure(step, {f"test/{name}": gain for name, gain in gains.items()})
    folder.measure(table.labels, _by_labels(table.labels, evaluation.error, trained, gains))
    _write_evaluation(folder, evaluation.summary() | {"error_from": "test"}, compared)
    _draw_evaluation(folder, evaluation, group.dataset.test)


def _estimate_lane(group: Group, lane: int, table: splits.Split, again: bool) -> None:
    """One member's answers on labelled images that were held out of its folds' trainings, or why there are none."""
    folder, found = group.folders[lane], cross_validation.estimate(group, lane, table)
    if found.evaluation is not None:
        where = "cross_validation"
        found.evaluation.save(folder.stage_folder("evaluate") / "cross-validation.npz")
        step = _step(folder, again)
        folder.measure(step, found.evaluation.measurements(where))
        folder.measure(step, _compared(found.evaluation, found.baselines, where))
        folder.measure(table.labels, _by_labels(table.labels, found.evaluation.error, {}, {}))
    _write_evaluation(folder, found.summary(), found.baselines)
    if found.evaluation is not None:
        _draw_evaluation(folder, found.evaluation, group.dataset.train)


def _compared(evaluation: classifier.Evaluation, baselines: Sequence[Measured], where: str) -> dict[str, float]:
    """Name and value of the baselines' errors, and where classes are uneven of their balanced ones."""
    kinds = ("error", *["balanced_error"] * are_uneven(evaluation.confusion.sum(1)))
    return {BASELINES[each.name].metric(where, kind): getattr(each, kind) for kind in kinds for each in baselines}


def _write_evaluation(folder: WorkFolder, summary: dict[str, Any], compared: Sequence[Measured]) -> None:
    """evaluation.json, and the same among the facts of the run."""
    rows = [dataclasses.asdict(measured) for measured in compared]
    write_text(folder.stage_folder("evaluate") / "evaluation.json", json.dumps(summary | {"baselines": rows}, indent=1))
    folder.update(result=folder.facts.get("result", {}) | {"evaluation": summary, "baselines": rows})


def _draw_evaluation(folder: WorkFolder, evaluation: classifier.Evaluation, images: Images) -> None:
    """The pictures of the confusion and of the worst mistakes among these images."""
    into = folder.stage_folder("evaluate")
    figures.confusion_picture(evaluation.confusion, evaluation.classes, into / "confusion.png")
    worst = classifier.worst_mistakes(evaluation, 40)
    if len(worst):
        figures.mistakes_sheet(evaluation, worst, images, into / "mistakes.png")


def _real_scores(recipe: Recipe, dataset: Dataset, network: scoring_network.Network, device: str,
                 watched: generator_scores.Watched) -> generator_scores.RealScore:
    """Of the data set's images."""
    return generator_scores.real_scores(dataset, network, recipe.score, device,
                                        labelled=techniques.told_classes(recipe), watched=watched)


def _score_lane(group: Group, lane: int, network: scoring_network.Network | None,
                real: generator_scores.RealScore | None, again: bool) -> None:
    """One member's scores by the network, or by its own classifier where there is none."""
    folder, settings = group.folders[lane], group.recipe.score
    model, device = TrainedModel.of_run(folder), group.resolved.device
    samplers = model.samplers(device, average=settings.generator == "average").values()
    if not samplers:  # the one that was asked for has not been trained, as the run says
        return
    if network is None:
        network = scoring_network.itself(model.discriminator().to(device))
        real = _real_scores(group.recipe, group.dataset, network, device, _watched(group))
    test = generator_scores.compared(group.dataset)[1]
    found = generator_scores.score(samplers, test, real, network, settings, device, _watched(group))
    group.progress.end()
    into = folder.stage_folder("score")
    write_text(into / "score.json", json.dumps(found.summary(), indent=1))
    for number, sampler in enumerate(samplers):
        before = f"{sampler.name}_" if number else ""
        one = found.generators[sampler.name]
        if one.histogram is not None:
            figures.class_histogram_picture(one.histogram, group.dataset.classes, into / f"{before}classes.png")
        ranked_sheets(sampler, one.by_image, into, before)
        if sampler.conditional:
            figures.by_class_sheet(sampler, group.dataset.classes, into / f"{before}by_class.png")
    ranking.save({name: one.by_image for name, one in found.generators.items()}, settings.generator, into)
    folder.measure(_step(folder, again), found.measurements())
    about = {f"ssgan.score.{name}": str(value) for name, value in found.about().items()}
    folder.update(result=folder.facts.get("result", {}) | {"score": found.summary()},
                  tags=folder.facts.get("tags", {}) | about)


def ranked_sheets(sampler: Sampler | ImageList, by_image: np.ndarray, into: Path,
                  before: str = "") -> list[Path]:
    """The best and the worst hundredth of the images that were scored, as two sheets in a folder, whose paths it
    returns. Raises Mistake.
    """
    paths = []
    for name, numbers in (("best", ranking.best(by_image)), ("worst", ranking.worst(by_image))):
        shown = ranking.Picked(sampler, numbers[: ranking.MOST])
        images = (shown.images(0, len(shown.numbers)) * 255).round().byte()
        paths.append(into / f"{before}{name}.png")
        figures.sample_sheet(images, paths[-1], columns=max(1, round(len(images) ** 0.5)))
    return paths


def _watched(group: Group) -> generator_scores.Watched:
    return watched(group.progress, group.stop)


def watched(progress: Progress, stop: Stop) -> generator_scores.Watched:
    """Shows what begins, and how far it is. Raises Interrupted when the run is asked to stop."""
    def update(done: int, total: int) -> None:
        if stop.requested:
            raise Interrupted(done)
        progress.update(done, total)

    def begin(stage: str) -> Callable[[int, int], None]:
        progress.begin(stage, 0)
        return update

    return begin


def _gains(trained: dict[str, Measured], error: float) -> dict[str, float]:
    """How much better the run is than its baselines, by the names of the measurements."""
    gains = {baseline.name: baseline.gain for baseline in BASELINES.values() if isinstance(baseline, TrainedWithout)}
    return {gains[name]: measured.error - error for name, measured in trained.items() if gains[name]}


def _step(folder: WorkFolder, again: bool) -> int:
    """The step at which results are noted: the newest one, or the next where a stage is done again, for steps must
    rise.
    """
    newest = max((step for _, step, _, values in folder.measurements()
                  if not any(name.startswith(OTHER_STEPS) for name in values)), default=0)
    return newest + again


def _by_labels(labels: int, error: float, trained: dict[str, Measured], gains: dict[str, float]) -> dict[str, float]:
    """In per cent, for charts over many runs: their step is the label budget, so that it is the axis, with a mean and a
    band of the seeds.
    """
    values = {"labels": float(labels), "error_percent": 100 * error}
    values |= {f"{BASELINES[name].key}_percent": 100 * measured.error for name, measured in trained.items()}
    values |= {f"{name}_points": 100 * gain for name, gain in gains.items()}
    return {BY_LABELS + name: value for name, value in values.items()}
