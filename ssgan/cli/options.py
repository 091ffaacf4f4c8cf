"""Options that several commands share, and what they mean together."""

import functools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ssgan.data.named import SOURCES
from ssgan.data.own_data import absolute, is_own
from ssgan.errors import Mistake, unknown

if TYPE_CHECKING:
    from ssgan.config import Recipe
    from ssgan.data.dataset import Dataset
    from ssgan.experiments.run import Setting
    from ssgan.tracking import Store

OWN_RECIPE = "folder"  # of one's own data
SEED = click.IntRange(0, 2**31 - 1)
DATASETS = (f"Name of the data set: {', '.join(SOURCES)}; or folder:PATH, a folder, zip or tar of your own images, or "
            f"npz:FILE.")


@dataclass(frozen=True)
class Chosen:
    """A recipe with the command line's changes, and the seeds."""

    recipe: "Recipe"
    recipe_name: str
    seed: int
    split_seed: int


def recipe_options(command):
    """--dataset, --labels, --recipe, --set, --image-size, --seed, --split-seed."""
    options = (
        click.option("--dataset", help=DATASETS),
        click.option("--labels", type=int, help="Label budget: labelled images over all classes. Default: the "
                                                "recipe's."),
        click.option("--recipe", help="A shipped recipe or a TOML file. Default: the one named like the data set."),
        click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE",
                     help="Overrides a key of the recipe, e.g. train.epochs=20."),
        IMAGE_SIZE,
        click.option("--seed", type=SEED, help="Training seed: weights, noise, order.  [default: 0]"),
        click.option("--split-seed", type=SEED, help="Label seed: which images are labelled.  [default: --seed]"))
    return _with(options, command)


def place_options(command):
    """--device, --data-dir, --skip-broken, --recheck, --tracking-uri, --experiment, --json, --quiet."""
    options = (
        click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N."),
        click.option("--data-dir", help="Folder of the data files. Default: SSGAN_DATA_DIR, else the user's cache "
                                        "folder."),
        click.option("--skip-broken", is_flag=True, help="Goes on without labelled images that cannot be decoded."),
        click.option("--recheck", is_flag=True, help="Decodes every image of a folder again, whatever the cache has."),
        *STORE_OPTIONS,
        click.option("--json", "as_json", is_flag=True, help="One JSON object as the last line of stdout."),
        click.option("--quiet", is_flag=True, help="No progress."))
    return _with(options, command)


def several_options(command):
    """--image-size, --lanes, --workers: of commands that train many models."""
    options = (
        IMAGE_SIZE,
        click.option("--lanes", default="auto", show_default=True,
                     help="Models trained at once; auto is one on a CPU and what its memory holds on a GPU."),
        click.option("--workers", default="auto", show_default=True,
                     help="Processes side by side; auto is one a core, and one on a GPU."))
    return _with(options, command)


SEEDS = click.option("--seeds", default="3", show_default=True,
                     help="Seeds: 10 means 0 to 9; also 1000-1009, and 3,7.")
IMAGE_SIZE = click.option("--image-size", type=click.IntRange(0, 1024), metavar="PIXELS",
                          help="Side to which the images of a folder are brought; 0 is found by looking.  "
                               "[default: the recipe's]")

STORE_OPTIONS = (
    click.option("--tracking-uri", help="MLflow store; none keeps everything in the work folder. Default: "
                                        "MLFLOW_TRACKING_URI, else mlruns/mlflow.db here."),
    click.option("--experiment", default="ssgan", show_default=True, help="MLflow experiment."))


def store_options(command):
    """--tracking-uri and --experiment."""
    return _with(STORE_OPTIONS, command)


def _with(options, command):
    return functools.reduce(lambda inner, option: option(inner), reversed(options), command)


def choose(dataset, labels, recipe, overrides, seed, split_seed, base: "Recipe | None" = None,
           image_size: int | None = None) -> Chosen:
    """The recipe that the options mean; without a label budget, one's own data are taken with all their labels. Raises
    Mistake.
    """
    from ssgan.config import override
    from ssgan.recipes import names, read

    if base is not None:
        found, name = base, ""
    elif recipe:
        file = read(recipe)
        found, name = file.recipe, file.name
    elif dataset:
        if is_own(dataset):
            found, name = read(OWN_RECIPE).recipe, OWN_RECIPE
        elif dataset not in names():
            if dataset not in SOURCES:
                raise unknown("data set", dataset, SOURCES)
            other = f"salimans2016-{dataset}" if f"salimans2016-{dataset}" in names() else "mnist"
            raise Mistake(f"no recipe is named {dataset}: take another one, for example "
                          f"--dataset {dataset} --recipe {other}; `ssgan recipes` lists them.")
        else:
            found, name = read(dataset).recipe, dataset
    else:
        raise Mistake(f"no data set is named: type --dataset NAME ({', '.join(SOURCES)}; digits is bundled), "
                      f"or --recipe NAME; see `ssgan recipes`.")
    if base is None and dataset and is_own(dataset):
        found = replace(found, labels=0)
    found = override(found, list(overrides))
    tell_old_names()
    dataset = dataset or found.dataset
    found = replace(found, dataset=absolute(dataset) if is_own(dataset) else dataset)
    if image_size is not None:
        found = replace(found, image_size=image_size)
    if labels is not None:
        if labels < 1:
            raise Mistake(f"--labels {labels}: a label budget is a positive number, for example --labels 100.")
        found = replace(found, labels=labels)
    first = 0 if seed is None else seed
    return Chosen(found, name, first, first if split_seed is None else split_seed)


def tell_old_names() -> None:
    """Tells of every key that was written under its old name, once."""
    from ssgan.settings import old_names

    for line in old_names():
        click.echo(f"ssgan: {line}", err=True)


def work_root() -> Path:
    """The folder of work folders: mlruns/work here."""
    return Path.cwd() / "mlruns" / "work"


def open_store(tracking_uri: str | None, experiment: str) -> "Store | None":
    """The store of the options, checked for being read; None for `none`. Raises Mistake."""
    from ssgan import tracking

    uri = tracking.resolve_uri(tracking_uri, Path.cwd())
    if uri is None:
        return None
    store = tracking.Store(uri, experiment)
    store.check()
    return store


def make_setting(device, data_dir, tracking_uri, experiment, quiet) -> "Setting":
    """Where a command works and whom it tells. Raises Mistake, also for a store that its runs can never come to."""
    store = open_store(tracking_uri, experiment)
    if store is not None:
        from ssgan.tracking import check_target

        check_target(store, work_root())
    from ssgan.data.named import data_dir as data_folder
    from ssgan.experiments.progress import Progress
    from ssgan.experiments.run import Setting
    from ssgan.training.execution import prepare_process

    prepare_process()

    return Setting(work_root(), store, device, str(data_folder(data_dir)), Progress(quiet=quiet))


def read_data(recipe: "Recipe", setting: "Setting", *, recheck: bool = False, skip_broken: bool = False) -> "Dataset":
    """The data set of a recipe; what is found in one's own is said. Raises Mistake."""
    from ssgan.data.named import load
    from ssgan.data.own_data import Reading

    try:
        return load(recipe.dataset, Path(setting.data_source),
                    Reading(recipe.image_size, skip_broken, recheck, setting.progress, recipe.colours))
    finally:
        setting.progress.end()


def parse_budgets(text: str | None, overrides: Sequence[str] = (), dataset: str | None = None) -> tuple[int, ...]:
    """Label budgets of `20,50,100`, in rising order; without one, all labels of one's own data are one (0). Raises
    Mistake, also where one of the overrides names a budget.
    """
    if any(override.partition("=")[0].strip() == "labels" for override in overrides):
        raise Mistake("--set labels: the label budgets are named with --labels 20,50,100.")
    if text is None and dataset and is_own(dataset):
        return (0,)
    if text is None or not text.strip(" ,"):
        raise Mistake("no label budget is named: type --labels with numbers and commas, for example --labels "
                      "20,50,100,200.")
    parts = [part.strip() for part in text.split(",")]
    bad = [part for part in parts if not part.isdecimal() or len(part) > 9 or int(part) == 0]
    if bad:
        raise Mistake(f"--labels {text}: {bad[0]!r} is no label budget; write positive numbers with commas, for "
                      f"example --labels 20,50,100,200.")
    return tuple(sorted(_once("--labels", text, [int(part) for part in parts])))


def parse_seeds(option: str, text: str) -> tuple[int, ...]:
    """Seeds of `10` (0 to 9), `1000-1009`, `3,7` or several of the last two. Raises Mistake."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) == 1 and parts[0].isdecimal() and 1 <= int(parts[0]) <= 10_000:
        return tuple(range(int(parts[0])))
    found: list[int] = []
    for part in parts:
        first, _, last = part.partition("-")
        ends = first.strip(), (last if "-" in part else first).strip()
        numbers = all(end.isdecimal() and int(end) < 2**31 for end in ends)
        if not numbers or len(parts) == 1 and "-" not in part or not 0 <= int(ends[1]) - int(ends[0]) < 10_000:
            raise Mistake(f"{option} {text}: write a number of seeds (10 means 0 to 9), a range such as 1000-1009, or "
                          f"a list such as 3,7; one seed alone is 7-7.")
        found += range(int(ends[0]), int(ends[1]) + 1)
    return _once(option, text, found)


def parse_targets(texts: tuple[str, ...]) -> tuple[float, ...]:
    """Test errors in per cent as fractions. Raises Mistake."""
    found = []
    for text in texts:
        try:
            value = float(text.strip().removesuffix("%"))
        except ValueError:
            value = 0.0
        if not 0 < value < 100:
            raise Mistake(f"--target {text}: write a test error in %, between 0 and 100, for example --target 1.0.")
        found.append(value / 100)
    return tuple(found)


def parse_number(option: str, text: str, most: int) -> int | None:
    """A number, or None for auto. Raises Mistake."""
    if text == "auto":
        return None
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise Mistake(f"{option} {text}: write auto, or a number from 1 to {most}.")
    return int(text)


def _once(option: str, text: str, numbers: list[int]) -> tuple[int, ...]:
    repeated = [number for number, count in Counter(numbers).items() if count > 1]
    if repeated:
        raise Mistake(f"{option} {text}: {repeated[0]} comes twice; name every one once.")
    return tuple(numbers)
