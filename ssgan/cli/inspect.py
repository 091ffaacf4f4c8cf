"""`ssgan inspect`: what is in a folder, zip or tar of images, before anything is trained."""

import tempfile
from pathlib import Path

import click

from ssgan.cli.options import IMAGE_SIZE, choose
from ssgan.cli.output import as_json_line
from ssgan.data.own_data import FOLDER, NPZ
from ssgan.errors import Mistake


@click.command("inspect")
@click.argument("path")
@click.option("--labels", type=int, help="Label budget of the run whose cost is told. Default: all labels.")
@click.option("--recipe", help="The recipe of that run: a shipped one or a TOML file.  [default: folder]")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Overrides a key of the recipe.")
@IMAGE_SIZE
@click.option("--recheck", is_flag=True, help="Decodes every image again, whatever the cache has.")
@click.option("--html", type=click.Path(path_type=Path), metavar="F", help="Writes it as one HTML page.")
@click.option("--png", type=click.Path(path_type=Path), metavar="F", help="Writes a sheet of images of each class.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object as the last line of stdout.")
@click.option("--quiet", is_flag=True, help="No progress.")
def inspect_command(path, labels, recipe, overrides, image_size, recheck, html, png, device, as_json, quiet) -> None:
    """What is in the images at PATH: classes, counts, sizes, broken and double files, and what a run would cost.

    PATH is a folder, a zip or a tar, also as folder:PATH. Nothing is trained or written, but for decoded images in the
    user's cache and the files that are asked for.
    """
    if path.startswith(NPZ):
        raise Mistake(f"inspect {path}: it looks at images in files; arrays are what they are.")
    for option, file, suffix in (("--html", html, ".html"), ("--png", png, ".png")):
        if file is not None and (file.suffix.lower() != suffix or not file.parent.is_dir() or file.is_dir()):
            raise Mistake(f"{option} {file}: name a {suffix} file in a folder that exists.")
    name = path if path.startswith(FOLDER) else FOLDER + path
    chosen = choose(name, labels, recipe, overrides, None, None, image_size=image_size)
    from ssgan.data.own_data import Reading, read, split
    from ssgan.experiments.progress import Progress
    from ssgan.experiments.report import inspection, write
    from ssgan.training.execution import prepare_process

    prepare_process()
    progress = Progress(quiet=quiet)
    reading = Reading(chosen.recipe.image_size, skip_broken=True, recheck=recheck, watching=progress)
    try:
        own = read(Path(split(chosen.recipe.dataset)[1]), reading)
    finally:
        progress.end()
    found = inspection.Inspection(own, reading, *_cost(own, chosen.recipe, device))
    if html or png:
        sheet = _sheet(own)
        if png:
            write(png, sheet)
        if html:
            write(html, inspection.page(found, sheet).encode())
    if as_json:
        as_json_line(inspection.plain(found))
        return
    click.echo(inspection.text(found))
    for file in filter(None, (html, png)):
        click.echo(f"written: {file}")


def _cost(own, recipe, device: str):
    """What a run would cost, and why there is none."""
    from ssgan.experiments.fitted_recipe import fitted
    from ssgan.experiments.run_cost import cost_of

    try:
        own.check(skip_broken=True)
        dataset = own.dataset(recipe.dataset)
        return cost_of(fitted(recipe, dataset), dataset, device), ""
    except Mistake as mistake:
        return None, str(mistake)


def _sheet(own) -> bytes:
    """Images of each class as a PNG."""
    from ssgan.evaluation.figures import classes_sheet

    train, _ = own.parts()
    if not len(train.rows):
        raise Mistake(f"no image of {own.path} can be decoded: there is nothing to draw.")
    with tempfile.TemporaryDirectory(prefix="ssgan-") as folder:
        path = Path(folder, "sheet.png")
        classes_sheet(own.decoded.pixels[: len(train.rows)], train.labels, own.layout.classes, path)
        return path.read_bytes()
