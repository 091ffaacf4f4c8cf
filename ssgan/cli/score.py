"""`ssgan score`: the scores of a run's generated images, or of any images, beside those of real ones."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from ssgan.cli.options import make_setting, place_options, recipe_options, work_root
from ssgan.cli.output import as_json_line
from ssgan.cli.run import stage_or_run, stoppable
from ssgan.data.plain_images import is_place
from ssgan.errors import Mistake

RUNS_OWN = ("dataset", "labels", "seed", "split_seed")  # what images alone know nothing of
WHILE_TRAINED = {f"score.{key}" for key in ("train_images", "train_epochs", "trainings", "every_steps", "step_samples")}


@click.command("score")
@click.argument("target", metavar="[RUN|FOLDER|npz:FILE]", required=False)
@click.option("--against", metavar="DATASET|FOLDER", help="The real images: a data set's name, folder:PATH or npz:FILE "
                                                          "with labels, or a folder of images alone. Default: the "
                                                          "run's own data set.")
@click.option("--network", type=click.Choice(("domain", "inception", "efficientnet")),
              help="What sees the images: a classifier of the data set's own classes, the Inception network of 2015, "
                   "or EfficientNet-Lite0.  [default: the recipe's, domain]")
@click.option("--inception-weights", metavar="FILE", type=click.Path(path_type=Path),
              help="Inception's weights, where they cannot be downloaded: checked, and kept for later.")
@click.option("--sheets", metavar="FOLDER", type=click.Path(path_type=Path, file_okay=False),
              help="Writes the best and the worst hundredth of the images here, best.png and worst.png; a run has "
                   "them in its folder.")
@recipe_options
@place_options
def score_command(target, against, network, inception_weights, sheets, **options) -> None:
    """Inception Score, FID, KID, precision and recall of a finished RUN, of a FOLDER of images, or of the settings
    given. A path that exists goes before a run's name.
    """
    if network is not None:
        options["overrides"] = (*options["overrides"], f"score.network={network}")
    if inception_weights is not None:
        from ssgan.evaluation.networks import use_weights

        use_weights(inception_weights)
    images = target is not None and is_place(target)
    if not images and against is None:
        if sheets is not None:
            raise Mistake("--sheets: a run has its sheets in its folder, score/best.png and score/worst.png; leave it "
                          "out.")
        stage_or_run("score", target, **options)
        return
    if target is None:
        raise Mistake("--against: name what is scored, a run or a folder of images: ssgan score FOLDER --against mnist")
    if against is None:
        raise Mistake(f"{target} is a place of images: name the real ones that they are held against, for example\n"
                      f"ssgan score {target} --against mnist")
    _score_images(target, against, sheets, images=images, **options)


def _score_images(target, against, sheets, *, images, as_json, device, data_dir, tracking_uri, experiment, quiet,
                  recheck, skip_broken, overrides, recipe, image_size, **own) -> None:
    """Images without a run, or a run's against other data: nothing is written into the run."""
    given = [name for name in RUNS_OWN if own[name] is not None]
    if given:
        raise Mistake(f"--{given[0].replace('_', '-')}: it means nothing for images that are scored against others; "
                      f"leave it out.")
    if images and tracking_uri is not None:
        raise Mistake("--tracking-uri: images without a run are in no store; leave it out.")
    if image_size is not None and not images and not is_place(against):
        raise Mistake(f"--image-size: the images of a run and those of {against} have their own size; leave it out.")
    if sheets is not None and not sheets.parent.is_dir():
        raise Mistake(f"--sheets {sheets}: there is no folder {sheets.parent}.")
    setting = make_setting(device, data_dir, "none" if images else tracking_uri, experiment, quiet)
    from ssgan.data.own_data import Reading
    from ssgan.experiments import image_scoring
    from ssgan.training.execution import find_device

    device = find_device(device)
    reading = Reading(image_size or 0, skip_broken, recheck, setting.progress)
    with stoppable(setting):
        try:
            settings, samplers = _images(target, overrides, recipe, reading) if images else \
                _generated(target, overrides, recipe, device, setting)
            reference = image_scoring.read_reference(against, Path(setting.data_source), reading)
            first = samplers[0]
            there = len(first.listed) if images else None
            shape = tuple(first.images(0, 1).shape[1:])
            image_scoring.check(settings, there, target, reference, shape)
            found = image_scoring.score(samplers, reference, settings, device, setting.progress, setting.stop)
        finally:
            setting.progress.end()
    summary = {"images": target, "against": reference.name, **found.summary()}
    if sheets is not None:
        summary["sheets"] = _write_sheets(samplers, found, sheets)
    _show(summary, as_json)


def _images(target: str, overrides, recipe, reading):
    """The settings, and the images of a place as a lone source; all of them, unless a number is asked for."""
    from ssgan.config import Recipe
    from ssgan.experiments.image_scoring import listed
    from ssgan.recipes import read

    settings = _settings(read(recipe).recipe if recipe else Recipe(), overrides, WHILE_TRAINED | {"score.generator"})
    source = listed(target, settings, reading)
    if not any(each.partition("=")[0].strip() == "score.samples" for each in overrides):
        settings = replace(settings, samples=len(source.listed))
    return settings, [source]


def _generated(run: str, overrides, recipe, device: str, setting):
    """The settings, and the generators of a run."""
    from ssgan.recipes import read
    from ssgan.tracking import find_run
    from ssgan.training.trained_model import TrainedModel

    model = TrainedModel.of_run(find_run(run, work_root(), setting.store))
    settings = _settings(read(recipe).recipe if recipe else model.recipe, overrides, WHILE_TRAINED)
    model.sampler()  # or the Mistake that there is none
    return settings, list(model.samplers(device, average=settings.generator == "average").values())


def _settings(recipe, overrides, unused: set[str]):
    """How the recipe has images scored. Raises Mistake, also for keys that change nothing about it."""
    from ssgan.config import override

    settings = override(recipe, list(overrides)).score
    for each in overrides:
        key = each.partition("=")[0].strip()
        if not key.startswith("score.") or key in unused:
            raise Mistake(f"--set {each}: it means nothing for images that are scored against others; leave it out.")
    return settings


def _write_sheets(samplers, found, sheets: Path) -> list[str]:
    from ssgan.experiments.stages import ranked_sheets
    from ssgan.files import writing

    with writing(sheets):
        sheets.mkdir(exist_ok=True)
    written = [ranked_sheets(sampler, found.generators[sampler.name].by_image, sheets,
                             f"{sampler.name}_" if number else "") for number, sampler in enumerate(samplers)]
    return [str(path) for pair in written for path in pair]


def _show(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        as_json_line(found)
        return
    from ssgan.cli.run_summary import score_lines

    click.echo(f"\n{found['images']} against {found['against']}\n")
    for name, text in score_lines(found, "real images"):
        click.echo(f"  {name:18} {text}".rstrip())
    click.echo()
