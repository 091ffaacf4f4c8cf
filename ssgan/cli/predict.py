"""`ssgan predict`: labels and probabilities of image files, from an exported classifier or a run."""

import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from ssgan.cli.options import open_store, store_options, work_root
from ssgan.errors import Mistake


@click.command("predict")
@click.argument("model")
@click.argument("paths", nargs=-1, required=True)
@click.option("--top-k", "top", type=click.IntRange(1), default=1, show_default=True,
              help="The most probable classes of each image.")
@click.option("--threshold", type=click.FloatRange(0, 1), default=0.0,
              help="Below this probability the answer is `unsure`.")
@click.option("--batch", type=click.IntRange(1, 65536), default=256, show_default=True,
              help="Images at a time; all that is held in memory.")
@click.option("--csv", "as_csv", is_flag=True, help="Comma-separated values in UTF-8 with a line of names.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object as the last line of stdout.")
@store_options
def predict_command(model, paths, top, threshold, batch, as_csv, as_json, tracking_uri, experiment) -> None:
    """What MODEL says of the images at PATHS.

    MODEL is a file.onnx, a file.pt2 or an MLflow folder from `ssgan export`, or a run (its id, a unique prefix, or
    latest). PATHS are files, folders with all images below, zips, tars, patterns in quotes, or - for a list on stdin.
    Other colours and sizes are converted, which is said once; files that cannot be read are listed at the end, with
    exit code 1.
    """
    if as_csv and as_json:
        raise Mistake("--csv and --json: choose one.")
    from ssgan.data.image_files import find
    from ssgan.data.image_reader import Reader
    from ssgan.export.load import is_export, open_model
    from ssgan.export.predict import Unreadable, predict
    from ssgan.files import shown

    opened = open_model(Path(model)) if is_export(model) else _of_run(model, tracking_uri, experiment)
    reader = Reader(opened.card.shape, lambda text: print(f"ssgan: {text}", file=sys.stderr))
    unreadable: list[Unreadable] = []

    def answers():
        for item in predict(opened, find(paths, sys.stdin.buffer), reader, batch=batch, top=top):
            if isinstance(item, Unreadable):
                unreadable.append(item)
            else:
                yield item

    if as_json:
        _as_json(model, answers(), unreadable, threshold)
    elif as_csv:
        _as_csv(answers(), min(top, len(opened.card.classes)), threshold)
    else:
        _as_table(answers(), opened.card.classes, threshold)
    if unreadable:
        for item in unreadable:
            print(f"ssgan: no answer for {shown(item.path)}: {item.reason}", file=sys.stderr)
        sys.exit(1)


def _of_run(run: str, tracking_uri: str | None, experiment: str):
    """A run's classifier as a model."""
    store = open_store(tracking_uri, experiment)
    import torch

    from ssgan.export.classifier import Classifier
    from ssgan.export.load import Model
    from ssgan.export.model_card import card_of
    from ssgan.tracking import find_run
    from ssgan.training.trained_model import TrainedModel

    model = TrainedModel.of_run(find_run(run, work_root(), store))
    classifier = Classifier(model.discriminator())
    return Model(card_of(model), lambda images: tuple(each.numpy() for each in classifier(torch.from_numpy(images))))


def _as_table(answers: Iterator, classes: tuple[str, ...], threshold: float) -> None:
    """Lines as they come: the answer, the probabilities, and the path, which is last for it may be of any length."""
    from ssgan.files import shown

    width = max(len("unsure"), *(len(shown(name)) for name in classes))
    for answer in answers:
        first, *others = ((shown(name), value) for name, value in answer.top)
        more = "".join(f"  {name:{width}} {100 * value:6.2f} %" for name, value in others)
        label = shown(answer.label(threshold))
        doubt = "" if label == first[0] else f"  {first[0]}?"
        click.echo(f"{label:{width}} {100 * first[1]:6.2f} %{doubt}{more}  {shown(answer.path)}")


class _Utf8Lines:
    """What the csv module writes its rows into: UTF-8 whatever the locale, and the bytes of names that are no text as
    they are; the lines end with \\r\\n on the way, or it would not quote a name with one of these in it.
    """

    def write(self, line: str) -> None:
        sys.stdout.buffer.write((line.removesuffix("\r\n") + "\n").encode(errors="surrogateescape"))


def _as_csv(answers: Iterator, top: int, threshold: float) -> None:
    writer = csv.writer(_Utf8Lines(), lineterminator="\r\n")
    writer.writerow(["path", "label",
                     *(f"{name}_{place}" for place in range(1, top + 1) for name in ("class", "probability"))])
    for answer in answers:
        writer.writerow([answer.path, answer.label(threshold),
                         *(value for pair in answer.top for value in pair)])


def _as_json(model: str, answers: Iterator, unreadable: list, threshold: float) -> None:
    """One line that is written while the answers come, so that it may be longer than the memory."""
    write = sys.stdout.write
    write(f'{{"model": {json.dumps(model)}, "predictions": [')
    for number, answer in enumerate(answers):
        top = [{"class": name, "probability": value} for name, value in answer.top]
        write((", " if number else "")
              + json.dumps({"path": str(answer.path), "label": answer.label(threshold), "top": top}))
    failures = [{"path": str(item.path), "reason": item.reason} for item in unreadable]
    write(f'], "unreadable": {json.dumps(failures)}}}\n')
