"""`write_report`: the report's files, each written whole or not at all, and left alone where nothing has changed."""

import os
from pathlib import Path

from ssgan.efficiency.page import page
from ssgan.efficiency.picture import picture
from ssgan.efficiency.table import Comparison
from ssgan.efficiency.text import markdown
from ssgan.workfolder import writing


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
    return {dataset: picture(comparison, dataset) for dataset in dict.fromkeys(series.dataset for series in comparison.series)}


def write(path: Path, content: bytes) -> None:
    """Writes a file under a temporary name and renames it. Raises Mistake."""
    if path.is_file() and path.read_bytes() == content:
        return
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    with writing(path):
        try:
            partial.write_bytes(content)
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
