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
@click.option("-n", "--number", type=click.IntRange(1, 10_000_000), help="Generated images.  [default: 100, or all of "
                                                                         "--top or --bottom]")
@click.option("-o", "--output", type=click.Path(path_type=Path),
              help="A .png to write, or a new folder for one file an image, <class>/*.png. Default: "
                   "samples-<run>.png here.")
@click.option("--class", "label", metavar="CLASS", help="Images of this class alone.")
@click.option("--generator", "which", metavar="NAME", help="Where a run has several: pictures or generator. Default: "
                                                           "pictures.")
@click.option("--top", metavar="SHARE", help="Of the images that were scored, those that bring most to the score, the "
                                             "best first: 1%, say.")
@click.option("--bottom", metavar="SHARE", help="Likewise those that bring least, the worst first.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), help="Seed of the latent vectors. Default: the run's.")
@click.option("--last", is_flag=True, help="The generator's last weights instead of the averaged ones.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object as the last line of stdout.")
@store_options
def sample_command(run, number, output, label, which, top, bottom, seed, last, as_json, tracking_uri,
                   experiment) -> None:
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
    sampler, ranked_by = _sampler(model, which, label, average=not last, seed=seed), None
    if top is not None or bottom is not None:
        ranked_by = folder.facts.get("result", {}).get("score", {}).get("network")
        sampler = _ranked(folder, sampler, top, bottom, last, {"--class": label, "--seed": seed})
        there = len(sampler.numbers)
        if number is not None and number > there:
            raise Mistake(f"-n {number}: that share of the scored images has {there:,}; leave -n out, or take more.")
        number = number or there
    number = number or 100
    output = output or Path(f"samples-{folder.fingerprint[:8]}.png")
    about = {"path": str(output), "images": number, "generator": sampler.name, "class": label,
             "ranked_by": ranked_by}
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


def _ranked(folder, sampler, top, bottom, last, others):
    """The images at one end of the ranking that the score stage has left. Raises Mistake."""
    from ssgan.evaluation import ranking

    if top is not None and bottom is not None:
        raise Mistake("--top and --bottom: take one of them.")
    given = [option for option, value in others.items() if value is not None]
    if given:
        raise Mistake(f"{given[0]}: --top and --bottom take the images that were scored; leave it out.")
    by_image = ranking.load(folder.path / "score", sampler.name, "last" if last else "average")
    option, share, end = ("--top", top, ranking.best) if top is not None else ("--bottom", bottom, ranking.worst)
    return ranking.Picked(sampler, end(by_image, ranking.parse_percent(option, share) / 100))


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
