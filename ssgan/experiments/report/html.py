"""The report as one HTML page, from the template report.html.j2: here what it says, there how it looks."""

import base64
from collections.abc import Mapping
from typing import Any

from ssgan.experiments.report.by_class import class_table
from ssgan.experiments.report.table import Comparison, Row, Series
from ssgan.experiments.report.text import (
    ACROSS,
    SAME_SPLIT,
    across_table,
    forecasts,
    how_good,
    how_sure,
    percent,
    remarks,
    same_split_table,
    table,
    what_more,
)

USUAL_BUDGET = 100  # the one whose answer is open at first, if it was run


def page(comparison: Comparison, title: str, pictures: dict[str, bytes],
         scores: Mapping[str, bytes | None] = {}) -> str:
    """The page; `pictures` are PNGs by data set, `scores` those of the error against the score, where there are some.
    Texts from outside, such as a run's reason of failure, are escaped.
    """
    parts = [_part(f"b{number}", dataset, picture, [one for one in comparison.series if one.dataset == dataset])
             | {"scores": scores.get(dataset)} for number, (dataset, picture) in enumerate(pictures.items())]
    template = environment().get_template("report.html.j2")
    return template.render(title=title, extent=_extent(comparison), parts=parts, notes=remarks(comparison)) + "\n"


def environment():
    """Where the templates of pages are filled in; texts are escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    jinja = Environment(loader=PackageLoader(__package__, ""), autoescape=True, undefined=StrictUndefined,
                        trim_blocks=True, lstrip_blocks=True)
    jinja.filters |= {"data_uri": _data_uri, "unbroken": _unbroken}
    return jinja


def _part(group: str, dataset: str, picture: bytes, shown: list[Series]) -> dict[str, Any]:
    """A data set on the page: its picture, the answers for each budget of the first series, every series' tables."""
    budgets = [row.labels for row in shown[0].rows]
    return {
        "group": group, "dataset": dataset, "picture": picture, "described": _described(shown[0]),
        "opened": USUAL_BUDGET if USUAL_BUDGET in budgets else budgets[len(budgets) // 2],
        "answers": [{"labels": row.labels, "cards": _cards(shown[0], row)} for row in shown[0].rows],
        "series": [_series(series) for series in shown]}


def _cards(series: Series, row: Row) -> list[dict[str, Any]]:
    """Three questions with a short answer, and what else is known."""
    interval, (gain, more) = row.stat.interval(), what_more(series, row)
    alike = "one run only" if row.stat.n == 1 else f"{row.stat.n} runs, all alike"
    sure = f"{100 * interval.low:.2f} to {100 * interval.high:.2f} %" if interval else alike
    return [{"question": question, "answer": answer, "lines": lines} for question, answer, lines in (
        ("How good is that?", f"{percent(row.stat.mean)} {series.error_name}", how_good(row)),
        ("How sure are we?", sure, how_sure(row, row.total)),
        (f"What would {row.labels:,} more buy?", gain, more))]


def _series(series: Series) -> dict[str, Any]:
    cells = table(series)
    ensembles = (("Ensembles on the same labels", SAME_SPLIT, same_split_table(series)),
                 ("Ensembles over different labels", ACROSS, across_table(series)))
    middle = {row.labels: min(row.results, key=lambda result: abs(result.error - row.median)) for row in series.rows}
    sheets = {labels: result.sheet() for labels, result in middle.items()}
    return {
        "title": series.title, "forecasts": forecasts(series), "by_class": class_table(series),
        "table": [line[:-1] for line in cells], "runs": [[line[0], line[-1]] for line in cells],
        "ensembles": [{"heading": heading, "text": text, "table": found}
                      for heading, text, found in ensembles if found],
        "sheets": {labels: path.read_bytes() for labels, path in sheets.items() if path is not None}}


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _unbroken(line: str) -> str:
    """A line that does not break between a number and its sign of per cent."""
    return line.replace(" %", "\u00a0%")


def _extent(comparison: Comparison) -> str:
    """What the comparison is made of, in one line."""
    if len(comparison.series) > 1:
        return (f"{len(comparison.series)} settings, "
                f"{sum(row.stat.n for series in comparison.series for row in series.rows)} runs")
    series, = comparison.series
    runs, splits = sum(row.stat.n for row in series.rows), len(
        {result.split_seed for row in series.rows for result in row.results})
    return f"{series.title}: {runs} runs, {len(series.rows)} label budgets, {splits} choices of the labelled images"


def _described(series: Series) -> str:
    values = ", ".join(f"{row.labels} labels {percent(row.stat.mean)}" for row in series.rows)
    return f"{series.error_name.capitalize()} over labelled images, in logarithms: {values}"
