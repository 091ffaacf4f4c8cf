"""`ssgan sample`: generated images, as one picture or as files."""

from pathlib import Path

import click

from ssgan.cli.options import open_store, store_options, work_root
from ssgan.cli.output import as_json_line
from ssgan.errors import Mistake, unknown

MOST_IN_A_PICTURE = 10_000
OTHER_PICTURES = {".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".pdf", ".svg"}


@click.command("sample")
@click.argument("run")
@click.option("-n", "--number", type=click.IntRange(1, 10_000_000), default=100, show_default=True,
              help="Generated images.")
@click.option("-o", "--output", type=click.Path(path_type=Path),
              help="A .png to write, or a new folder for one file an image, <class>/*.png. Default: "
                   "samples-<run>.png here.")
@click.option("--class", "label", metavar="CLASS", help="Images of this class alone.")
@click.option("--generator", "which", metavar="NAME", help="Where a run has several: pictures or generator. Default: "
                                                           "pictures.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), help="Seed of the latent vectors. Default: the run's.")
@click.option("--last", is_flag=True, help="The generator's last weights instead of the averaged ones.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object as the last line of stdout.")
@store_options
def sample_command(run, number, output, label, which, seed, last, as_json, tracking_uri, experiment) -> None:
    """Images that the generator of RUN makes (a run id, a unique prefix, or latest): a picture of them, or a folder of
    files."""
    store = open_store(tracking_uri, experiment)
    from ssgan.evaluation.figures import sample_sheet
    from ssgan.evaluation.sample_folder import write_folder
    from ssgan.experiments.progress import Progress
    from ssgan.tracking import find_run
    from ssgan.training.trained_model import TrainedModel

    folder = find_run(run, work_root(), store)
    model = TrainedModel.of_run(folder)
    sampler = _sampler(model, which, label, average=not last, seed=seed)
    output = output or Path(f"samples-{folder.fingerprint[:8]}.png")
    about = {"path": str(output), "images": number, "generator": sampler.name, "class": label}
    if output.suffix.lower() == ".png":
        if not output.parent.is_dir():
            raise Mistake(f"-o {output}: name a .png file in a folder that exists.")
        if number > MOST_IN_A_PICTURE:
            raise Mistake(f"-n {number}: a picture holds {MOST_IN_A_PICTURE:,} images at most; name a folder with -o.")
        images = sampler.images(0, number)
        sample_sheet((images * 255).round().byte(), output, columns=max(1, round(number ** 0.5)))
    elif output.suffix.lower() in OTHER_PICTURES:
        raise Mistake(f"-o {output}: pictures are written as .png; name such a file, or a new folder.")
    else:
        progress = Progress()
        progress.begin("images", number)
        about["counts"] = write_folder(sampler, model.classes, number, output, progress.update)
        progress.end()
    as_json_line(about) if as_json else click.echo(f"{number:,} generated images: {output}")


def _sampler(model, which, label, **settings):
    """The generator that is meant, told the class. Raises Mistake."""
    sampler = model.sampler(name=which, label=_class(model, label), **settings)
    if label is not None and not sampler.conditional:
        raise Mistake(f"--class {label}: the generator of this run is told no classes.\n"
                      f"Train one that is, with --set pictures.steps=20000, or leave --class out.")
    return sampler


def _class(model, label):
    """The class's number. Raises Mistake."""
    if label is None:
        return None
    if label not in model.classes:
        raise unknown("class", label, model.classes)
    return model.classes.index(label)
