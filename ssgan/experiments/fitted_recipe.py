"""The recipe of a run on a person's own data, with what depends on the data put in."""

from collections.abc import Callable
from dataclasses import replace

from ssgan.config import Recipe
from ssgan.data.dataset import Dataset
from ssgan.data.own_data import is_own
from ssgan.errors import Mistake

IMAGES_PER_SPLIT = 10  # real images in each part of the Inception Score, at least


def fitted(recipe: Recipe, dataset: Dataset, say: Callable[[str], object] = lambda text: None) -> Recipe:
    """The recipe with all known labels as its budget where it names none, and, for one's own data, with batches and
    parts of the scores that are no larger than the data; what is changed is said. Raises Mistake for too few unlabelled
    images.

    A function of the recipe and the data alone: a recipe that has been fitted comes out as it is.
    """
    if not recipe.labels:
        recipe = replace(recipe, labels=all_labels(recipe, dataset))
    return _smaller(recipe, dataset, say) if is_own(dataset.name) else recipe


def all_labels(recipe: Recipe, dataset: Dataset) -> int:
    """The number of all training images of known class but for the validation images."""
    return max(1, len(dataset.train.known) - recipe.split.validation)


def _smaller(recipe: Recipe, dataset: Dataset, say: Callable[[str], object]) -> Recipe:
    left = len(dataset.train) - recipe.split.validation - recipe.labels
    if recipe.split.pool == "exclusive" and left < 2:
        raise Mistake(f"--labels {recipe.labels}: {dataset.name} has {max(0, left)} unlabelled images beside them, and "
                      f"at least 2 are needed; take fewer labels or --set split.pool=inclusive.")
    pool = left if recipe.split.pool == "exclusive" else len(dataset.train) - recipe.split.validation
    if recipe.train.batch > pool >= 2:
        say(f"train.batch = {recipe.train.batch} is more than the {pool:,} images: it is {pool} now")
        recipe = replace(recipe, train=replace(recipe.train, batch=pool))
    if recipe.pictures.batch > pool >= 2:
        recipe = replace(recipe, pictures=replace(recipe.pictures, batch=pool))
    real = len(dataset.test) if dataset.tested else len(dataset.train) // 2
    splits = max(1, min(recipe.score.splits, min(real, recipe.score.samples) // IMAGES_PER_SPLIT))
    if splits < recipe.score.splits:
        say(f"score.splits = {recipe.score.splits} is too many for {real:,} real images: it is {splits} now")
        recipe = replace(recipe, score=replace(recipe.score, splits=splits))
    return recipe
