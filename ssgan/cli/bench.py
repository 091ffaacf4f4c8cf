"""`ssgan bench`: the step's speed here, beside a plain loop and beside the machine's limit."""

import sys

import click

from ssgan.cli import show
from ssgan.cli.options import choose


@click.command("bench")
@click.option("--recipe", default="salimans2016-mnist", show_default=True, help="A shipped recipe or a TOML file.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Overrides a key of the recipe.")
@click.option("--lanes", default="1", show_default=True, help="Numbers of models trained at once, for example 1,4,10.")
@click.option("--seconds", type=click.FloatRange(0.1, 600), default=8.0, show_default=True, help="Time for each measurement.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option("--data-dir", help="Folder of the data files. Default: SSGAN_DATA_DIR, else the user's cache folder.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object as the last line of stdout.")
def bench_command(recipe, overrides, lanes, seconds, device, data_dir, as_json) -> None:
    """Seconds a step here, side by side in one process: a textbook port's loop, ours, and what the machine could do."""
    chosen = choose(None, None, recipe, overrides, None, None)
    counts = _counts(lanes)
    from ssgan import bench
    from ssgan.data.sources import data_dir as data_folder
    from ssgan.data.sources import load
    from ssgan.resolve import resolve
    from ssgan.trainer import pair_size

    dataset = load(chosen.recipe.dataset, data_folder(data_dir))
    resolved = resolve(device, chosen.recipe.train.precision, pair_size(chosen.recipe, dataset.train))
    found = bench.compare(chosen.recipe, dataset, resolved, counts, seconds, lambda text: print(f"bench: {text}", file=sys.stderr))
    if as_json:
        show.as_json_line({"recipe": recipe, **found})
    else:
        show.bench(recipe, found)


def _counts(text: str) -> list[int]:
    from ssgan.errors import Mistake

    parts = text.split(",")
    if not all(part.strip().isdigit() and 1 <= int(part) <= 1024 for part in parts):
        raise Mistake(f"--lanes {text}: write numbers from 1 to 1024 with commas, for example --lanes 1,4,10.")
    return [int(part) for part in parts]
