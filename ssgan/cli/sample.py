"""`ssgan sample`: a picture of generated images."""

from pathlib import Path

import click

from ssgan.cli.options import open_store, store_options, work_root
from ssgan.cli.output import as_json_line
from ssgan.errors import Mistake


@click.command("sample")
@click.argument("run")
@click.option("-n", "--number", type=click.IntRange(1, 10_000), default=100, show_default=True,
              help="Generated images.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The PNG to write. Default: samples-<run>.png "
                                                                      "here.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), help="Seed of the latent vectors. Default: the run's.")
@click.option("--last", is_flag=True, help="The generator's last weights instead of the averaged ones.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object as the last line of stdout.")
@store_options
def sample_command(run, number, output, seed, last, as_json, tracking_uri, experiment) -> None:
    """A picture of images that the generator of RUN makes (a run id, a unique prefix, or latest)."""
    store = open_store(tracking_uri, experiment)
    from ssgan.evaluation.figures import sample_sheet
    from ssgan.tracking import find_run
    from ssgan.training.trained_model import TrainedModel

    folder = find_run(run, work_root(), store)
    model = TrainedModel.of_run(folder)
    sampler = model.sampler(average=not last, seed=seed)
    output = output or Path(f"samples-{folder.fingerprint[:8]}.png")
    if output.suffix.lower() != ".png" or not output.parent.is_dir():
        raise Mistake(f"-o {output}: name a .png file in a folder that exists.")
    images = sampler.images(0, number)
    sample_sheet((images * 255).round().byte(), output, columns=max(1, round(number ** 0.5)))
    as_json_line({"path": str(output), "images": number}) if as_json else click.echo(
        f"{number} generated images: {output}")
