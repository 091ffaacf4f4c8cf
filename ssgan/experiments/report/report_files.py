"""`write_report`: the report's files, each written whole or not at all, and left alone where nothing has changed."""

from pathlib import Path

from ssgan.experiments.report.curve import picture
from ssgan.experiments.report.html import page
from ssgan.experiments.report.score_picture import score_picture
from ssgan.experiments.report.table import Comparison
from ssgan.experiments.report.text import markdown
from ssgan.files import replacing


def write_report(comparison: Comparison, folder: Path, title: str) -> dict[str, Path]:
    """report.html, report.md, efficiency.png and scores.png (one for each data set) in a folder; the paths of all but
    the last, which there need not be. Raises Mistake.
    """
    made = pictures(comparison)
    scores = score_pictures(comparison)
    paths = {"html": folder / "report.html", "markdown": folder / "report.md", "png": folder / "efficiency.png"}
    write(paths["html"], page(comparison, title, made, scores).encode())
    write(paths["markdown"], markdown(comparison, title).encode())
    for number, content in enumerate(made.values(), 1):
        write(paths["png"] if number == 1 else folder / f"efficiency-{number}.png", content)
    for number, content in enumerate(scores.values(), 1):
        if content is not None:
            write(folder / ("scores.png" if number == 1 else f"scores-{number}.png"), content)
    return paths


def pictures(comparison: Comparison) -> dict[str, bytes]:
    """A PNG for each data set, in the order of the series."""
    return {dataset: picture(comparison, dataset) for dataset in dict.fromkeys(
        series.dataset for series in comparison.series)}


def score_pictures(comparison: Comparison) -> dict[str, bytes | None]:
    """The same of the error against the score; None for a data set whose runs have none."""
    return {dataset: score_picture(comparison, dataset) for dataset in dict.fromkeys(
        series.dataset for series in comparison.series)}


def write(path: Path, content: bytes) -> None:
    """Writes a file, unless it has that content already. Raises Mistake."""
    if path.is_file() and path.read_bytes() == content:
        return
    with replacing(path) as file:
        file.write(content)
