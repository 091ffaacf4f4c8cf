"""`ssgan tune`: chooses settings by held-out training images, so that the test images stay unseen."""

import sys

import click

from ssgan.cli import output
from ssgan.cli.options import (
    DATASETS,
    SEEDS,
    choose,
    make_setting,
    parse_budgets,
    parse_number,
    parse_seeds,
    place_options,
    read_data,
    several_options,
    tell_old_names,
)
from ssgan.cli.run import stoppable
from ssgan.errors import NothingFinished
from ssgan.random_streams import FIRST_TO_TUNE


@click.command("tune")
@click.option("--dataset", help=DATASETS)
@click.option("--labels", help="Label budgets with commas, for example 20,100.")
@click.option("--grid", multiple=True, metavar="KEY=A,B", help="Values of a recipe key to choose from, e.g. "
                                                               "gan.weight=0,1; several keys give every combination.")
@SEEDS
@click.option("--split-seeds", help="Label seeds from 1000 on, every training seed with each of them. Default: 1000 + "
                                    "the training seed.")
@click.option("--validation", type=click.IntRange(1), help="Training images that are held out and judge. Default: the "
                                                           "recipe's split.validation, else a sixth of them.")
@click.option("--recipe", help="A shipped recipe or a TOML file. Default: the one named like the data set.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE",
              help="Overrides a key of the recipe, e.g. train.epochs=20.")
@several_options
@place_options
def tune_command(dataset, labels, grid, seeds, split_seeds, validation, recipe, overrides, image_size, lanes, workers,
                 as_json, device, data_dir, skip_broken, recheck, tracking_uri, experiment, quiet) -> None:
    """Every value of a grid x label budget x seed, trained and judged on held-out training images, never on test
    images.

    The same command again goes on where it was stopped; with more values or seeds it trains what is new.
    """
    budgets, count = parse_budgets(labels, overrides, dataset), parse_number("--workers", workers, 64)
    pairs = _pairs(seeds, split_seeds)
    chosen = choose(dataset, None, recipe, overrides, None, None, image_size=image_size)
    setting = make_setting(device, data_dir, tracking_uri, experiment, quiet)
    from ssgan.experiments.grid import Plan
    from ssgan.experiments.tune import check, run_tune

    plan = Plan(chosen.recipe, chosen.recipe_name, budgets, pairs, grid, parse_number("--lanes", lanes, 1024))
    tell_old_names()
    check(plan)  # what makes no sense is told before the data are read
    data = read_data(chosen.recipe, setting, recheck=recheck, skip_broken=skip_broken)
    plan = plan.fitted(data, setting.progress.say)
    named = [part for option, value in (("--dataset", dataset), ("--recipe", recipe)) if value
             for part in (option, value)]
    changes = [part for value in overrides if not value.startswith("split.validation") for part in ("--set", value)]
    following = ["ssgan", "sweep", *named, *changes, "--seeds", "10"]
    try:
        with stoppable(setting):
            found = run_tune(plan, data, setting, validation, count)
    except NothingFinished as failed:
        output.tune(failed.found, following, as_json)
        raise
    output.tune(found, following, as_json)
    if found.lost:
        sys.exit(1)


def _pairs(seeds: str, split_seeds: str | None) -> tuple[tuple[int, int], ...]:
    """(training seed, split seed) of every run of a budget and a value."""
    training = parse_seeds("--seeds", seeds)
    if split_seeds is None:
        return tuple((seed, FIRST_TO_TUNE + seed) for seed in training)
    return tuple((seed, split) for split in parse_seeds("--split-seeds", split_seeds) for seed in training)
