"""`ssgan ablate`: what each technique of a recipe brings, and what it costs."""

import shlex
import sys

import click

from ssgan.cli import output
from ssgan.cli.options import (
    DATASETS,
    SEEDS,
    choose,
    make_setting,
    parse_number,
    parse_seeds,
    place_options,
    read_data,
    several_options,
    tell_old_names,
)
from ssgan.cli.run import stoppable
from ssgan.errors import Mistake, NothingFinished

# The comparisons of a run of its own, which would be trained for every row.
NO_BASELINES = ("evaluate.supervised=false", "evaluate.gan_off=false", "evaluate.classical=false")


@click.command("ablate")
@click.argument("recipe")
@click.option("--off", metavar="A,B", help="Techniques to switch off, each in a row of its own; A+B is one row without "
                                           "both; labels is the pair without labels, scored alone. "
                                           "Default: every technique that the recipe has on.")
@click.option("--only", metavar="A,B", help="Techniques to try alone: nothing but the labelled loss, what it needs, "
                                            "and it.")
@SEEDS
@click.option("--labels", type=int, help="Label budget: labelled images over all classes. Default: the recipe's.")
@click.option("--dataset", help=DATASETS + " Default: the recipe's.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE",
              help="Overrides a key of the recipe, e.g. train.epochs=20; evaluate.supervised=true trains its baseline "
                   "for every row too.")
@several_options
@place_options
def ablate_command(recipe, off, only, seeds, labels, dataset, overrides, image_size, lanes, workers, as_json, device,
                   data_dir, skip_broken, recheck, tracking_uri, experiment, quiet) -> None:
    """RECIPE with each technique switched off, and with each of --only alone: error, scores of the generated images and
    time a step, paired by seed.

    `ssgan explain` lists the techniques. The same command again goes on where it was stopped.
    """
    pairs = tuple((seed, seed) for seed in parse_seeds("--seeds", seeds))
    count, most = parse_number("--workers", workers, 64), parse_number("--lanes", lanes, 1024)
    chosen = choose(dataset, labels, recipe, [*NO_BASELINES, *overrides], None, None, image_size=image_size)
    from ssgan.experiments.switches import switches

    tell_old_names()
    rows = switches(chosen.recipe, _listed("--off", off), _listed("--only", only) or [])
    setting = make_setting(device, data_dir, tracking_uri, experiment, quiet)
    from ssgan.experiments.ablation import run_ablation
    from ssgan.experiments.grid import Plan

    plan = Plan(chosen.recipe, chosen.recipe_name, (chosen.recipe.labels,), pairs, lanes=most,
                choices=tuple(row.choice for row in rows.rows))
    data = read_data(chosen.recipe, setting, recheck=recheck, skip_broken=skip_broken)
    plan = plan.fitted(data, setting.progress.say)
    command = _command(recipe, off, only, seeds, labels, dataset, image_size, overrides)
    try:
        with stoppable(setting):
            outcome = run_ablation(plan, rows, data, setting, count, command)
    except NothingFinished as failed:
        output.ablation(failed.found, as_json)
        raise
    _save_view(outcome, setting)
    output.ablation(outcome, as_json)
    if outcome.ablation.lost or outcome.ablation.unfinished:
        sys.exit(1)


def _command(recipe, off, only, seeds, labels, dataset, image_size, overrides) -> str:
    """What to type for the same again."""
    said = (("--off", off), ("--only", only), ("--seeds", seeds), ("--labels", labels), ("--dataset", dataset),
            ("--image-size", image_size))
    options = [part for option, value in said if value is not None for part in (option, str(value))]
    changes = [part for value in overrides for part in ("--set", value)]
    return shlex.join(["ssgan", "ablate", recipe, *options, *changes])


def _listed(option: str, text: str | None) -> list[str] | None:
    """The names of `a,b+c`. Raises Mistake."""
    if text is None:
        return None
    names = [name.strip() for name in text.split(",")]
    if not all(part.strip() for name in names for part in name.split("+")):
        raise Mistake(f"{option} {text}: write techniques with commas, for example {option} augment,vat; `ssgan "
                      f"explain` lists them.")
    again = next((name for name in names if names.count(name) > 1), None)
    if again:
        raise Mistake(f"{option} {text}: {again} comes twice; name every one once.")
    return names


def _save_view(outcome, setting) -> None:
    """Puts the view into the MLflow experiment; where that cannot be, the report is there all the same."""
    from ssgan import tracking

    if setting.store is None:
        return
    try:
        tracking.save_ablation_view(setting.store, outcome.folder.fingerprint, outcome.folder.facts["name"])
    except tracking.Undelivered as reason:
        setting.progress.say(f"no view in MLflow: {reason}; `ssgan ui --compare` tries again")
