"""`ssgan export`: a run's classifier as a file or folder for people who do not have ssgan."""

import shlex
import sys
from pathlib import Path

import click

from ssgan.cli.options import open_store, store_options, work_root
from ssgan.cli.output import as_json_line
from ssgan.data.own_data import short
from ssgan.errors import Mistake

KINDS = ("onnx", "pt2", "mlflow")


@click.command("export")
@click.argument("run")
@click.option("--format", "kinds", multiple=True, metavar="|".join(KINDS),
              help="pt2 is torch.export's; several with commas.  [default: onnx]")
@click.option("-o", "--output", type=click.Path(path_type=Path),
              help="The file or folder to write; of several formats the folder that holds them all. Default: <data "
                   "set>-<labels>-<run> here.")
@click.option("--force", is_flag=True, help="Replaces what is there.")
@click.option("--register", metavar="NAME", help="Also puts the MLflow model into the store and registers it under "
                                                 "this name.")
@click.option("--data-dir", help="Folder of the data files, for the check on the test images. Default: SSGAN_DATA_DIR, "
                                 "else the user's cache folder.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object as the last line of stdout.")
@store_options
def export_command(run, kinds, output, force, register, data_dir, as_json, tracking_uri, experiment) -> None:
    """The classifier of RUN (a run id, a unique prefix, or latest), checked against the original before anything is
    written.

    It takes plain images, uint8 [n, c, h, w] of any n, and gives logits and probabilities. Class names, image size,
    colour mode, data set, label budget, test error and run id are in it.
    """
    kinds = _kinds(kinds, register)
    store = open_store(tracking_uri, experiment)
    if register and store is None:
        raise Mistake("--register: --tracking-uri none is no store to register in; leave it out, or name one.")
    if register:
        store.check_writable()
    from ssgan import tracking
    from ssgan.export.model_card import card_of
    from ssgan.export.write import check_path, export_classifier, size
    from ssgan.files import writing
    from ssgan.training.trained_model import TrainedModel

    folder = tracking.find_run(run, work_root(), store)
    model = TrainedModel.of_run(folder)
    card, discriminator = card_of(model), model.discriminator()
    paths = _paths(kinds, output, f"{short(card.dataset)}-{card.labels}-{card.run_id[:8]}")
    several = len(kinds) > 1 and output is not None
    for kind, path in paths.items():
        if path.parent.is_dir() or not several:
            check_path(path, kind, force)
    run_id = _registrable(folder, store, register) if register else None
    images, checked_on = _images(folder, card, data_dir)
    if several:
        with writing(output):
            output.mkdir(exist_ok=True)
    rows = []
    for kind, path in paths.items():
        agreement = export_classifier(discriminator, card, kind, path, images, force=force)
        rows.append({"format": kind, "path": str(path), "bytes": size(path), "images": agreement.images,
                     "equal": agreement.equal, "largest_difference_logits": agreement.logits,
                     "largest_difference_probabilities": agreement.probabilities})
        if not as_json:
            click.echo(f"{path}  {size(path) / 1e6:.2f} MB; every answer on {agreement.images:,} {checked_on} is that "
                       f"of the original, "
                       f"largest difference {agreement.logits:.1e} of a logit, {agreement.probabilities:.1e} of a "
                       f"probability")
    version = _register(store, run_id, paths["mlflow"], register, card) if register else None
    if as_json:
        registered = {"name": register, "version": version} if version else None
        as_json_line({"run_id": card.run_id, "checked_on": checked_on, "exports": rows, "registered": registered})
    elif version:
        click.echo(f"registered as {register}, version {version}: models:/{register}/{version}")


def _kinds(given: tuple[str, ...], register: str | None) -> list[str]:
    kinds = (list(dict.fromkeys(part.strip() for text in given for part in text.split(",")))
             or ["mlflow" if register else "onnx"])
    for kind in kinds:
        if kind not in KINDS:
            from ssgan.errors import unknown

            raise unknown("format", kind, KINDS)
    if register and "mlflow" not in kinds:
        raise Mistake("--register registers the MLflow model: add --format mlflow.")
    return kinds


def _paths(kinds: list[str], output: Path | None, name: str) -> dict[str, Path]:
    """Where each format goes; several go into one folder."""
    endings = {"onnx": ".onnx", "pt2": ".pt2", "mlflow": "-mlflow"}
    if output is None:
        return {kind: Path(name + endings[kind]) for kind in kinds}
    if len(kinds) == 1:
        return {kinds[0]: output}
    return {kind: output / f"classifier{endings[kind]}" for kind in kinds}


def _images(folder, card, data_dir):
    """The run's test images, uint8 [n, c, h, w], and their name; random ones, openly, where its data cannot be had."""
    from ssgan.data.named import data_dir as data_folder
    from ssgan.data.named import load
    from ssgan.data.own_data import Reading
    from ssgan.export.write import random_images

    try:
        made = folder.facts["settings"]["recipe"]
        reading = Reading(made.get("image_size", 0), skip_broken=True, colours=made.get("colours", "any"))
        dataset = load(card.dataset, data_folder(data_dir), reading)
    except Mistake as mistake:
        why = f"its data set is not here: {str(mistake).splitlines()[0]}"
    else:
        if dataset.sha256 == folder.facts["settings"]["data"]:
            part, kind = (dataset.test, "test") if dataset.tested else (dataset.train, "training")
            return part.pixels.numpy(), f"{kind} images"
        why = f"the {card.dataset} here is not the data of the run"
    print(f"ssgan: checked on random images instead of the run's test images; {why}", file=sys.stderr)
    return random_images(card), "random images"


def _registrable(folder, store, name: str) -> str:
    """The run's id in the store. Raises Mistake where it is not there, and for names that no model can have."""
    from ssgan import tracking
    from ssgan.tracking import Undelivered
    from ssgan.tracking.store import faults

    if not name.strip() or set(name) & set("/:"):
        raise Mistake(f"--register {name!r}: a registered model's name is not empty, and has no / and no : in it.")
    run_id = tracking.run_id(folder, store)
    if run_id is None:  # the store may have been moved since
        run_id = next(filter(store.has_run, tracking.run_ids(folder)), None)
    if run_id is None and folder.path.parent.parent.name == "runs":
        run_id = folder.path.parent.name  # fetched from the store into the cache, which keeps it under its id
    if run_id is None or not store.has_run(run_id):
        raise Mistake(f"--register {name}: the run is not in {store.name} yet; bring it there first: "
                      f"ssgan deliver{store.options()}")
    try:
        with faults(store):
            deleted = store.client().get_run(run_id).info.lifecycle_stage == "deleted"
    except Undelivered as undelivered:
        raise Mistake(f"--register {name}: {undelivered}.") from undelivered
    if deleted:
        raise Mistake(f"--register {name}: the run was deleted in MLflow; restore it there first:\n"
                      f"MLFLOW_TRACKING_URI={shlex.quote(store.name)} mlflow runs restore --run-id {run_id}")
    return run_id


def _register(store, run_id: str, path: Path, name: str, card) -> str:
    """Puts the checked folder among the run's artifacts and registers it there; the new version's number. Raises
    Mistake.
    """
    from mlflow.exceptions import MlflowException

    from ssgan.tracking import Undelivered
    from ssgan.tracking.store import faults

    try:
        with faults(store):
            client = store.client()
            try:
                client.create_registered_model(name, description="made by ssgan export")
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            client.log_artifacts(run_id, str(path), "classifier")
            source = f"{client.get_run(run_id).info.artifact_uri}/classifier"
            tags = {f"ssgan.{key}": str(getattr(card, key)) for key in ("dataset", "labels", "test_error")}
            return str(client.create_model_version(name, source, run_id, tags=tags).version)
    except Undelivered as undelivered:
        raise Mistake(f"{path} is written, but --register {name} failed: {undelivered}.") from undelivered
