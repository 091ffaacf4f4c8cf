"""`ssgan compare`: what is in the store, as a table and a picture."""

import tempfile
from pathlib import Path

import click

from ssgan.cli import output
from ssgan.cli.options import open_store, parse_targets, store_options
from ssgan.errors import Mistake


@click.command("compare")
@click.option("--dataset", help="Only runs on that data set.")
@click.option("--html", type=click.Path(path_type=Path), metavar="F", help="Writes the report as one HTML page.")
@click.option("--png", type=click.Path(path_type=Path), metavar="F", help="Writes the picture.")
@click.option("--markdown", type=click.Path(path_type=Path), metavar="F", help="Writes the table as Markdown.")
@click.option("--target", multiple=True, metavar="PERCENT", help="A test error in %: how many labels does it need? May "
                                                                 "be given several times.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object as the last line of stdout.")
@store_options
def compare_command(dataset, html, png, markdown, target, as_json, tracking_uri, experiment) -> None:
    """The label-efficiency report of all finished runs in a store, local or http."""
    targets = parse_targets(target)
    for option, path, suffix in (("--html", html, ".html"), ("--png", png, ".png"), ("--markdown", markdown, ".md")):
        if path is not None and (path.suffix.lower() != suffix or not path.parent.is_dir() or path.is_dir()):
            raise Mistake(f"{option} {path}: name a {suffix} file in a folder that exists.")
    store = open_store(tracking_uri, experiment)
    if store is None:
        raise Mistake("--tracking-uri none: there is no store to compare runs of; leave it out, or name one.")
    from ssgan import tracking
    from ssgan.experiments import report

    with tempfile.TemporaryDirectory(prefix="ssgan-") as downloads:
        try:
            runs = tracking.stored_runs(store, Path(downloads))
            comparison = report.compare(_results(runs, dataset, store), targets)
            title = f"{store.experiment}: test error by label budget"
            pictures = report.pictures(comparison) if html or png else {}
            page = report.page(comparison, title, pictures, report.score_pictures(comparison)).encode() if html else b""
        except tracking.Undelivered as reason:
            raise Mistake(f"{store.name} cannot be read: {reason}.\n"
                          f"Start that server, or name another store: --tracking-uri sqlite:////folder/mlflow.db or "
                          f"http://host:port.") from None
    text = report.markdown(comparison, title)
    for path, content in ((html, page), (png, next(iter(pictures.values()), b"")), (markdown, text.encode())):
        if path is not None:
            report.write(path, content)
    output.comparison(comparison, text, as_json, {"html": html, "png": png, "markdown": markdown})


def _results(runs, dataset, store) -> list:
    """The runs that can be compared. Raises Mistake where there is none."""
    from ssgan.experiments.report import of_stored

    found = [result for run in runs if (result := of_stored(run)) is not None and dataset in (None, result.dataset)]
    if not found:
        which = f" on {dataset}" if dataset else ""
        there = (f"{len(runs)} finished runs, none of them an evaluated run of a label budget{which}" if runs
                 else "no finished run")
        raise Mistake(f"nothing to compare: experiment {store.experiment!r} in {store.name} has {there}.\n"
                      f"Make some: ssgan sweep --dataset digits --labels 20,50,100,200 --seeds 3")
    return found
