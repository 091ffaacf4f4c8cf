"""`ssgan bench`: the step's speed here, beside a plain loop and beside the machine's limit; and a whole table against
the clock.
"""

import datetime
import os
import sys
from dataclasses import replace
from pathlib import Path

import click

from ssgan.cli import output
from ssgan.cli.options import choose, parse_budgets, parse_seeds
from ssgan.errors import Mistake

BUDGETS, SEEDS = "20,50,100,200", "10"  # of the paper's table


@click.command("bench")
@click.option("--recipe", default="salimans2016-mnist", show_default=True, help="A shipped recipe or a TOML file.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Overrides a key of the recipe.")
@click.option("--lanes", default="1", show_default=True, help="Numbers of models trained at once, for example 1,4,10; "
                                                              "none leaves the step's speed out.")
@click.option("--seconds", type=click.FloatRange(0.1, 600), default=8.0, show_default=True,
              help="Time for each measurement of the step.")
@click.option("--table", "minutes", type=click.FloatRange(0.001, 100_000), metavar="MINUTES",
              help="Also trains a table of budgets x seeds for at most that long, evaluates it, and projects the time "
                   "of the rest.")
@click.option("--labels", help=f"Label budgets of the table.  [default: {BUDGETS}]")
@click.option("--seeds", help=f"Seeds of the table, each both training and label seed: 10 means 0 to 9.  [default: "
                              f"{SEEDS}]")
@click.option("--group", help="Runs of the table at once: auto is one on a CPU, and what memory and gain allow on a "
                              "GPU.  [default: auto]")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option("--data-dir", help="Folder of the data files. Default: SSGAN_DATA_DIR, else the user's cache folder.")
@click.option("--markdown", type=click.Path(), metavar="FILE", help="Also writes the result as Markdown tables.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object as the last line of stdout.")
def bench_command(recipe, overrides, lanes, seconds, minutes, labels, seeds, group, device, data_dir, markdown,
                  as_json) -> None:
    """Seconds a step here, side by side in one process: a textbook port's loop, ours, and what the machine could do.

    \b
    ssgan bench --lanes 1,4,10,40,80 --table 5     on a GPU: every group size, then the paper's 40 runs for five minutes
    """
    from ssgan.techniques import classifier_alone

    chosen = choose(None, None, recipe, overrides, None, None)
    chosen = replace(chosen, recipe=classifier_alone(chosen.recipe))  # whose step it is
    counts = _counts(lanes)
    if minutes is None:
        _only_with_table(labels=labels, seeds=seeds, group=group)
        if not counts:
            raise Mistake("--lanes none leaves nothing to measure: add --table MINUTES, or name numbers, for example "
                          "--lanes 1,4,10.")
    plan = _plan(chosen, labels, seeds, group) if minutes else None
    target = _writable(markdown) if markdown else None

    from ssgan.data.named import data_dir as data_folder
    from ssgan.data.named import load
    from ssgan.data.own_data import Reading
    from ssgan.experiments.fitted_recipe import fitted
    from ssgan.experiments.interrupt import Stop
    from ssgan.training import benchmark
    from ssgan.training.execution import prepare_process, resolved_for

    def say(text: str) -> None:
        print(f"bench: {text}", file=sys.stderr, flush=True)

    prepare_process()
    dataset = load(chosen.recipe.dataset, data_folder(data_dir),
                   Reading(chosen.recipe.image_size, skip_broken=True, colours=chosen.recipe.colours))
    if plan:
        plan.check(dataset, "evaluate")
        if not dataset.tested:
            raise Mistake(f"--table: {dataset.name} has no test part, on which its errors would be measured; leave it "
                          f"out.")
    if not chosen.recipe.labels:
        chosen = replace(chosen, recipe=fitted(chosen.recipe, dataset, say))
    resolved = resolved_for(chosen.recipe, dataset.train, device)
    found = {"recipe": recipe, "machine": benchmark.machine_name(resolved), "date": datetime.date.today().isoformat(),
             **benchmark.compare(chosen.recipe, dataset, resolved, counts, seconds, say)}
    stop = Stop()
    if plan:
        from ssgan.experiments.timed_table import train_table

        with stop.listening(), stop.polite():
            found["table"] = train_table(plan, dataset, resolved, minutes, found["limits"]["flop_per_second"], stop,
                                         say)
    if target:
        target.write_text(output.bench_markdown(_command(), found), encoding="utf-8")
    if as_json:
        output.as_json_line(found)
    else:
        output.bench(found)
    if stop.requested:
        sys.exit(130)


def _counts(text: str) -> list[int]:
    if text.strip() == "none":
        return []
    parts = text.split(",")
    if not all(part.strip().isdecimal() and 1 <= int(part) <= 1024 for part in parts):
        raise Mistake(f"--lanes {text}: write numbers from 1 to 1024 with commas, for example --lanes 1,4,10, or none.")
    return [int(part) for part in parts]


def _only_with_table(**options: str | None) -> None:
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise Mistake(f"--{given[0]} is of the table: add --table MINUTES, for example --table 5, or leave it out.")


def _plan(chosen, labels: str | None, seeds: str | None, group: str | None):
    from ssgan.experiments.grid import Plan

    if group not in (None, "auto") and not (group.isdecimal() and 1 <= int(group) <= 1024):
        raise Mistake(f"--group {group}: write auto, or a number from 1 to 1024.")
    pairs = tuple((seed, seed) for seed in parse_seeds("--seeds", seeds or SEEDS))
    return Plan(chosen.recipe, chosen.recipe_name, parse_budgets(labels or BUDGETS), pairs,
                lanes=None if group in (None, "auto") else int(group))


def _writable(markdown: str) -> Path:
    """The file's path. Raises Mistake where it cannot be written, before anything is measured."""
    path = Path(markdown)
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise Mistake(f"--markdown {path}: it cannot be written there; name a file in a folder that exists.")
    return path


def _command() -> str:
    """The command as it was typed, for whoever wants to repeat it."""
    import shlex

    return shlex.join(["ssgan", *sys.argv[1:]])
