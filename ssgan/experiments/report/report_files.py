"""`write_report`: the report's files, each written whole or not at all, and left alone where nothing has changed."""

from pathlib import Path

from ssgan.experiments.report.curve import picture
from ssgan.experiments.report.html import page
from ssgan.experiments.report.table import Comparison
from ssgan.experiments.report.text import markdown
from ssgan.files import replacing


def write_report(comparison: Comparison, folder: Path, title: str) -> dict[str, Path]:
    """report.html, report.md and efficiency.png (one for each data set) in a folder; their paths. Raises Mistake."""
    made = pictures(comparison)
    paths = {"html": folder / "report.html", "markdown": folder / "report.md", "png": folder / "efficiency.png"}
    write(paths["html"], page(comparison, title, made).encode())
    write(paths["markdown"], markdown(comparison, title).encode())
    for number, content in enumerate(made.values(), 1):
        write(paths["png"] if number == 1 else folder / f"efficiency-{number}.png", content)
    return paths


def pictures(comparison: Comparison) -> dict[str, bytes]:
    """A PNG for each data set, in the order of the series."""
    return {dataset: picture(comparison, dataset) for dataset in dict.fromkeys(
        series.dataset for series in comparison.series)}


def write(path: Path, content: bytes) -> None:
    """Writes a file, unless it has that content already. Raises Mistake."""
    if path.is_file() and path.read_bytes() == content:
        return
    with replacing(path) as file:
        file.write(content)
