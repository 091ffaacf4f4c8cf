"""What a notebook needs, as plain functions: load data, split, train, evaluate, score, export."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import torch

from ssgan import evaluation, export, recipes, scoring, tracking, trained
from ssgan.config import Recipe, override
from ssgan.data import sources, splits
from ssgan.data.sources import Dataset
from ssgan.data.splits import Split
from ssgan.export import Agreement
from ssgan.layers import Context
from ssgan.resolve import find_device
from ssgan.sampling import sample_images
from ssgan.trained import Trained


def load_data(name: str, data_dir: str | Path | None = None) -> Dataset:
    """The data set of that name: digits, mnist or fashion-mnist. `data_dir` as --data-dir. Raises Mistake."""
    return sources.load(name, sources.data_dir(str(data_dir) if data_dir else None))


def read_recipe(name: str, *overrides: str, labels: int | None = None) -> Recipe:
    """The shipped recipe of that name, or the one in a file, with `a.b=value` put in, and another label budget. Raises Mistake."""
    recipe = override(recipes.read(str(name)).recipe, list(overrides))
    return recipe if labels is None else override(recipe, [f"labels={labels}"])


def make_split(dataset: Dataset, recipe: Recipe, seed: int = 0) -> Split:
    """Which images are labelled, unlabelled and held out, by the recipe's budget and the seed. Raises Mistake."""
    return splits.make_split(dataset, recipe.labels, seed, recipe.split.pool, recipe.split.validation)


def train(recipe: Recipe, dataset: Dataset, split: Split, seed: int = 0, *, device: str = "auto",
          callback: Callable[[int, dict[str, float]], object] = lambda step, values: None) -> Trained:
    """Trains in memory, untracked; `callback(step, {name: value})` comes every 100 steps. Raises Mistake and Failed."""
    split.verify(dataset)
    return trained.train(recipe, dataset.train, split, seed, device=device, callback=callback)


def load_run(run: str = "latest", *, folder: str | Path = "mlruns/work", tracking_uri: str | None = None) -> Trained:
    """The trained pair of a run of `ssgan run`: its id, a prefix of it, or latest, found as the command line finds it. Raises Mistake."""
    uri = tracking.resolve_uri(tracking_uri, Path.cwd())
    return trained.of_run(tracking.find_run(run, Path(folder), tracking.Store(uri) if uri else None))


def evaluate(model: Trained, dataset: Dataset) -> evaluation.Evaluation:
    """The classifier on the test images: .error, .wrong, .total, .low, .high, .confusion, .probabilities and so on."""
    return evaluation.evaluate(_logits_of(model), dataset.test, dataset.test.known)


def score(model: Trained, dataset: Dataset, *, device: str = "auto") -> scoring.Score:
    """The Inception Score of the generator, beside that of real images, by a network that is trained once and cached. Raises Mistake."""
    recipe = model.recipe
    if (dataset.train.labels >= 0).all():
        network = scoring.domain_classifier(dataset.train, dataset.test, find_device(device))
    else:
        network = scoring.itself(_logits_of(model))
    generator = model.generator(average=recipe.score.generator == "average")
    return scoring.score(lambda start, count: sample_images(generator, recipe, model.seed, start, count), dataset.test, network,
                         samples=recipe.score.samples, splits=recipe.score.splits, generator=recipe.score.generator)


def export_model(model: Trained, path: str | Path, dataset: Dataset | None = None, *, force: bool = False) -> Agreement:
    """Writes the classifier by the path's ending (.onnx, .pt2, none for an MLflow folder), checked on the test images, else on random ones.

    Raises Mistake, and Failed where the file's answers are not the classifier's; nothing is written then.
    """
    path = Path(path)
    kinds = {kind.ending: name for name, kind in export.FORMATS.items()}
    error = evaluate(model, dataset).error if dataset else model.test_error
    card = dataclasses.replace(model.card(), test_error=error)
    images = dataset.test.pixels.numpy() if dataset else export.random_images(card)
    return export.export_classifier(model.discriminator(), card, kinds.get(path.suffix.lower(), "mlflow"), path, images, force=force)


def _logits_of(model: Trained) -> Callable[[torch.Tensor], torch.Tensor]:
    network = model.discriminator()

    @torch.no_grad()
    def logits_of(x: torch.Tensor) -> torch.Tensor:
        return network(x, Context())[0]

    return logits_of
