"""The public functions: load data, split, train, evaluate, score, export; each leaves the process as it was."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from ssgan import recipes, tracking
from ssgan.config import Recipe, override
from ssgan.data import named, own_data, splits
from ssgan.data.dataset import Dataset
from ssgan.data.splits import Split
from ssgan.errors import Mistake
from ssgan.evaluation import classifier, generator_scores, networks, scoring_network
from ssgan.experiments.fitted_recipe import fitted
from ssgan.experiments.progress import Progress
from ssgan.export import formats, write
from ssgan.export.model_card import card_of
from ssgan.training import in_memory
from ssgan.training.execution import find_device
from ssgan.training.process_state import process_kept
from ssgan.training.trained_model import TrainedModel


@process_kept()
def load_data(name: str, data_dir: str | Path | None = None, *, image_size: int = 0,
              skip_broken: bool = False, colours: str = "any") -> Dataset:
    """The data set of that name: one of `ssgan.data.named.SOURCES`, with `data_dir` as --data-dir; or folder:PATH or
    npz:FILE, with `image_size` and `skip_broken` as on the command line, and `colours` as the recipe's key has it; what
    is found there is said. Raises Mistake.
    """
    name = own_data.absolute(name) if own_data.is_own(name) else name
    progress = Progress()
    try:
        return named.load(name, named.data_dir(str(data_dir) if data_dir else None),
                          own_data.Reading(image_size, skip_broken, watching=progress, colours=colours))
    finally:
        progress.end()


def read_recipe(name: str, *overrides: str, labels: int | None = None) -> Recipe:
    """The shipped recipe of that name, or the one in a file, with `a.b=value` put in, and another label budget. Raises
    Mistake.
    """
    recipe = override(recipes.read(str(name)).recipe, list(overrides))
    return recipe if labels is None else override(recipe, [f"labels={labels}"])


def make_split(dataset: Dataset, recipe: Recipe, seed: int = 0) -> Split:
    """Which images are labelled, unlabelled and held out, by the recipe's budget and the seed. Raises Mistake."""
    recipe = fitted(recipe, dataset)
    return splits.make_split(dataset, recipe.labels, seed, recipe.split)


def train(recipe: Recipe, dataset: Dataset, split: Split, seed: int = 0, *, device: str = "auto",
          callback: Callable[[int, dict[str, float]], object] = lambda step, values: None) -> TrainedModel:
    """Trains in memory, untracked; `callback(step, {name: value})` comes every 100 steps. Raises Mistake and Failed."""
    split.verify(dataset)
    return in_memory.train(fitted(recipe, dataset), dataset.train, split, seed, device=device, callback=callback)


@process_kept()
def load_run(run: str = "latest", *, folder: str | Path = "mlruns/work",
             tracking_uri: str | None = None) -> TrainedModel:
    """The trained pair of a run of `ssgan run`: its id, a prefix of it, or latest, found as the command line finds it.
    Raises Mistake.
    """
    uri = tracking.resolve_uri(tracking_uri, Path.cwd())
    return TrainedModel.of_run(tracking.find_run(run, Path(folder), tracking.Store(uri) if uri else None))


@process_kept()
def evaluate(model: TrainedModel, dataset: Dataset) -> classifier.Evaluation:
    """The classifier on the test images: .error, .balanced_error, .wrong, .total, .low, .high, .confusion,
    .probabilities and so on. Raises Mistake where there are none.
    """
    if not dataset.tested:
        raise Mistake(f"{dataset.name} has no test part: `ssgan run` estimates the error by cross-validation.")
    return classifier.evaluate(model.classifier(), dataset.test, dataset.test.known)


@process_kept()
def score(model: TrainedModel, dataset: Dataset, *, device: str = "auto") -> generator_scores.Score:
    """How good the generated images are, beside real ones, by a network that is trained once and cached:
    .inception_score, .fid, .generated_only_error (of a generator that is told classes), .real, and each
    generator's in .generators. Raises Mistake.
    """
    settings, device = model.recipe.score, find_device(device)
    test = generator_scores.compared(dataset)[1]
    generator_scores.check(settings, dataset.train, test)
    model.sampler()  # or the Mistake that there is none
    samplers = model.samplers(device, average=settings.generator == "average").values()
    network = networks.network_of(settings.network, dataset, device) or scoring_network.itself(
        model.discriminator().to(device))
    real = generator_scores.real_scores(dataset, network, settings, device,
                                        labelled=any(sampler.conditional for sampler in samplers))
    return generator_scores.score(samplers, test, real, network, settings, device)


@process_kept()
def export_model(model: TrainedModel, path: str | Path, dataset: Dataset | None = None, *,
                 force: bool = False) -> write.Agreement:
    """Writes the classifier by the path's ending (.onnx, .pt2, none for an MLflow folder), checked on the test images,
    else on random ones.

    Raises Mistake, and Failed where the file's answers are not the classifier's; nothing is written then.
    """
    path = Path(path)
    kinds = {kind.ending: name for name, kind in formats.FORMATS.items()}
    card = card_of(model)
    if dataset and dataset.tested:
        card = dataclasses.replace(card, test_error=evaluate(model, dataset).error, error_from="test")
    real = dataset and (dataset.test if dataset.tested else dataset.train)
    images = real.pixels.numpy() if real else write.random_images(card)
    return write.export_classifier(model.discriminator(), card, kinds.get(path.suffix.lower(), "mlflow"), path, images,
                                   force=force)
