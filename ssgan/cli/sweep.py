"""`ssgan sweep`: what every label budget brings, over several choices of the labelled images."""

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
    parse_targets,
    place_options,
    read_data,
    several_options,
    tell_old_names,
)
from ssgan.cli.run import stoppable
from ssgan.errors import NothingFinished


@click.command("sweep")
@click.option("--dataset", help=DATASETS)
@click.option("--labels", help="Label budgets with commas, for example 20,50,100,200.")
@SEEDS
@click.option("--split-seeds", help="Label seeds, every training seed with each of them. Default: each seed is both.")
@click.option("--recipe", help="A shipped recipe or a TOML file. Default: the one named like the data set.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE",
              help="Overrides a key of the recipe, e.g. train.epochs=20.")
@click.option("--grid", multiple=True, metavar="KEY=A,B", help="Sweeps a key of the recipe too, e.g. gan.weight=0,1; "
                                                               "may be given several times.")
@several_options
@click.option("--target", multiple=True, metavar="PERCENT", help="A test error in %: how many labels does it need? May "
                                                                 "be given several times.")
@place_options
def sweep_command(dataset, labels, seeds, split_seeds, recipe, overrides, grid, image_size, lanes, workers, target,
                  as_json, device, data_dir, skip_broken, recheck, tracking_uri, experiment, quiet) -> None:
    """Label budgets x seeds, each a run as `ssgan run` makes it, and a report of what more labels bring.

    The same command again goes on where it was stopped.
    """
    budgets = parse_budgets(labels, overrides, dataset)
    pairs = _pairs(seeds, split_seeds)
    targets, count = parse_targets(target), parse_number("--workers", workers, 64)
    chosen = choose(dataset, None, recipe, overrides, None, None, image_size=image_size)
    setting = make_setting(device, data_dir, tracking_uri, experiment, quiet)
    from ssgan.experiments.grid import Plan
    from ssgan.experiments.sweep import run_sweep

    plan = Plan(chosen.recipe, chosen.recipe_name, budgets, pairs, grid, parse_number("--lanes", lanes, 1024))
    tell_old_names()
    plan.variants()  # a grid that makes no sense is told before the data are read
    data = read_data(chosen.recipe, setting, recheck=recheck, skip_broken=skip_broken)
    plan = plan.fitted(data, setting.progress.say)
    try:
        with stoppable(setting):
            outcome = run_sweep(plan, data, setting, targets, count)
    except NothingFinished as failed:
        output.sweep(failed.found, as_json)
        raise
    _save_view(outcome, setting, plan.grid)
    output.sweep(outcome, as_json)
    if outcome.comparison.failed:
        sys.exit(1)


def _pairs(seeds: str, split_seeds: str | None) -> tuple[tuple[int, int], ...]:
    """(training seed, split seed) of every run of a budget."""
    training = parse_seeds("--seeds", seeds)
    if split_seeds is None:
        return tuple((seed, seed) for seed in training)
    return tuple((seed, split) for split in parse_seeds("--split-seeds", split_seeds) for seed in training)


def _save_view(outcome, setting, grid) -> None:
    """Puts the view into the MLflow experiment; where that cannot be, the report is there all the same."""
    from ssgan import tracking

    if setting.store is None:
        return
    try:
        tracking.save_view(setting.store, outcome.folder.fingerprint, outcome.folder.facts["name"],
                           [part.partition("=")[0].strip() for part in grid])
    except tracking.Undelivered as reason:
        setting.progress.say(f"no view in MLflow: {reason}; `ssgan ui --compare{setting.store.options()}` tries "
                             f"again")
