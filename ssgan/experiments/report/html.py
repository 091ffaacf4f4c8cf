"""The report as one HTML page that needs nothing beside it: no script, no font, no other file."""

import base64
from html import escape
from pathlib import Path

from ssgan.experiments.report.table import Comparison, Row, Series
from ssgan.experiments.report.text import ACROSS, SAME_SPLIT, across_table, forecasts, how_good, how_sure, percent, remarks, same_split_table, table, what_more

USUAL_BUDGET = 100  # the one whose answer is open at first, if it was run

STYLE = """
:root { --ink: #22262b; --muted: #676e77; --line: #dfe3e8; --blue: #2f6db3; --pale: #f5f7fa }
* { box-sizing: border-box }
body { margin: 0; background: #fff; color: var(--ink); font: 16px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif }
main { max-width: 1140px; margin: 0 auto; padding: 28px 24px 64px }
h1 { font-size: 25px; line-height: 1.25; margin: 0 0 4px } h2 { font-size: 19px; margin: 40px 0 10px } h3 { font-size: 15px; margin: 0; color: var(--muted); font-weight: 600 }
p { margin: 6px 0 } .muted { color: var(--muted) } ul { margin: 8px 0; padding-left: 20px } li { margin: 3px 0 }
.answer { margin: 22px 0 8px } .answer > input { position: absolute; opacity: 0 }
.answer > span { font-size: 19px; margin: 0 8px 0 0 }
.answer > label { display: inline-block; padding: 5px 16px; margin-right: 6px; border: 1px solid var(--line); border-radius: 18px; cursor: pointer; font-weight: 600 }
.answer > input:checked + label { background: var(--blue); border-color: var(--blue); color: #fff }
.answer > input:focus-visible + label { outline: 3px solid #9dc0e6 }
.panel { display: none; grid-template-columns: repeat(3, 1fr); gap: 14px; margin-top: 16px }
.card { background: var(--pale); border-radius: 10px; padding: 16px 18px } .card ul { padding-left: 16px; font-size: 14px; color: var(--muted) }
.big { font-size: 29px; line-height: 1.2; font-weight: 650; margin: 6px 0 4px; letter-spacing: -.01em }
.scroll { overflow-x: auto } table { border-collapse: collapse; font-size: 13.5px; font-variant-numeric: tabular-nums }
th, td { padding: 6px 12px 6px 0; text-align: left; border-bottom: 1px solid var(--line); white-space: nowrap; vertical-align: top }
td.many { white-space: normal; min-width: 150px } th { font-weight: 600; color: var(--muted); white-space: normal; vertical-align: bottom }
td:first-child, td:nth-child(2):not(.many) { font-weight: 650 }
img { max-width: 100%; height: auto } .sheets { display: grid; grid-template-columns: repeat(auto-fill, minmax(220px, 1fr)); gap: 16px }
figure { margin: 0 } figcaption { font-size: 14px; margin-bottom: 4px } .sheets img { border-radius: 6px; image-rendering: pixelated }
@media (max-width: 760px) {
  main { padding: 18px 14px 40px } h1 { font-size: 21px } .panel { grid-template-columns: 1fr !important }
  .answer > span { font-size: 17px; margin-right: 4px } .answer > label { padding: 4px 11px; margin: 0 2px 6px 0 }
  .curve img { max-width: none; width: 680px } .sheets { grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)) }
}
"""


def page(comparison: Comparison, title: str, pictures: dict[str, bytes]) -> str:
    """The page; `pictures` are PNGs by data set."""
    body = [f"<header><h1>{escape(title)}</h1><p class='muted'>{escape(_extent(comparison))}</p></header>"]
    for dataset, picture in pictures.items():
        shown = [(number, series) for number, series in enumerate(comparison.series) if series.dataset == dataset]
        if len(pictures) > 1:
            body.append(f"<h2>{escape(dataset)}</h2>")
        number, main = shown[0]
        body.append(_answer(main, number, named=len(shown) > 1))
        body.append(f"<h2>The curve</h2><div class='scroll curve'><img alt='{escape(_described(shown))}' src='{_uri(picture)}'></div>")
        for _, series in shown:
            body += _series(series, named=len(shown) > 1)
    notes = remarks(comparison)
    if notes:
        body.append(f"<h2>Left out</h2>{_list(notes)}")
    body.append(f"<h2>How to read this</h2>{_list(READING)}")
    rules = "".join(f"#b{number}-{row.labels}:checked ~ .p{row.labels} {{ display: grid }} "
                    for number, series in enumerate(comparison.series) for row in series.rows)
    return ("<!doctype html>\n<html lang='en'><head><meta charset='utf-8'><meta name='viewport' content='width=device-width, initial-scale=1'>"
            f"<title>{escape(title)}</title><style>{STYLE}{rules}</style></head>\n<body><main>\n" + "\n".join(body) + "\n</main></body></html>\n")


READING = (
    "Test error is that of the averaged last weights, looked at once, at the end; mean ± std (ddof 1) over n runs.",
    "The 95 % interval of the mean (the whiskers of the curve) is Student's t over the runs, of the mean's logarithm, so it never reaches 0: it is about the choice "
    "of labelled images and training seeds, not about the choice of test images. A dot is one run. Three runs say little; ten say much more.",
    "“Supervised only” is the same network on the labelled images alone; “no generator” is the same recipe without generated images.",
    "The forecast is a power law with a floor, fitted to the medians; its 90 % intervals come from seeds drawn anew at every budget. It knows nothing of "
    "what lies beyond the largest budget.")


def _answer(series: Series, number: int, named: bool) -> str:
    """The question and its answer for each budget, one of which is open."""
    budgets = [row.labels for row in series.rows]
    opened = USUAL_BUDGET if USUAL_BUDGET in budgets else budgets[len(budgets) // 2]
    choices = "".join(f"<input type='radio' name='b{number}' id='b{number}-{labels}'{' checked' * (labels == opened)}>"
                      f"<label for='b{number}-{labels}'>{labels:,}</label>" for labels in budgets)
    which = f"<p class='muted'>{escape(series.title)}</p>" if named else ""
    return (f"<section class='answer'>{which}<span>I have</span>{choices}<span>labels.</span>"
            + "".join(_panel(series, row) for row in series.rows) + "</section>")


def _panel(series: Series, row: Row) -> str:
    interval, (gain, more) = row.stat.interval(), what_more(series, row)
    sure = f"{100 * interval.low:.2f} to {100 * interval.high:.2f} %" if interval else "one run only" if row.stat.n == 1 else f"{row.stat.n} runs, all alike"
    cards = (("How good is that?", f"{percent(row.stat.mean)} test error", how_good(row)), ("How sure are we?", sure, how_sure(row, series.total)),
             (f"What would {row.labels:,} more buy?", gain, more))
    return f"<div class='panel p{row.labels}'>" + "".join(
        f"<div class='card'><h3>{escape(question)}</h3><p class='big'>{escape(answer)}</p>{_list(lines)}</div>" for question, answer, lines in cards) + "</div>"


def _series(series: Series, named: bool) -> list[str]:
    cells = table(series)
    parts = [f"<h2>{escape(series.title) if named else 'The table'}</h2>", _table([line[:-1] for line in cells]),
             "<h2>Every run</h2>" * (not named), _table([[line[0], line[-1]] for line in cells], many=True), f"<h2>What more labels would bring</h2>{_list(forecasts(series))}"]
    for heading, text, cells in (("Ensembles on the same labels", SAME_SPLIT, same_split_table(series)),
                                 ("Ensembles over different labels", ACROSS, across_table(series))):
        if cells:
            parts.append(f"<h2>{heading}</h2><p class='muted'>{escape(text)} Test error in %.</p>{_table(cells)}")
    sheets = [(row, path) for row in series.rows for path in [_sheet(row)] if path is not None]
    if sheets:
        figures = "".join(f"<figure><figcaption>{row.labels:,} labels</figcaption><img alt='Generated images with {row.labels:,} labels' "
                          f"src='{_uri(path.read_bytes())}'></figure>" for row, path in sheets)
        parts.append(f"<h2>What the generators make</h2><p class='muted'>From the run nearest the median of each budget.</p><div class='sheets'>{figures}</div>")
    return parts


def _sheet(row: Row) -> Path | None:
    return min(row.results, key=lambda result: abs(result.error - row.median)).sheet()


def _table(cells: list[list[str]], many: bool = False) -> str:
    """A table; where `many`, the last column may break its lines."""
    heading = "".join(f"<th>{escape(cell)}</th>" for cell in cells[0])
    lines = "".join("<tr>" + "".join(f"<td{' class=many' * (many and i == len(line) - 1)}>{escape(cell)}</td>" for i, cell in enumerate(line)) + "</tr>" for line in cells[1:])
    return f"<div class='scroll'><table><thead><tr>{heading}</tr></thead><tbody>{lines}</tbody></table></div>"


def _list(lines) -> str:
    return "<ul>" + "".join(f"<li>{escape(line).replace(' %', '&nbsp;%')}</li>" for line in lines) + "</ul>"


def _uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _extent(comparison: Comparison) -> str:
    """What the comparison is made of, in one line."""
    if len(comparison.series) > 1:
        return f"{len(comparison.series)} settings, {sum(row.stat.n for series in comparison.series for row in series.rows)} runs"
    series, = comparison.series
    runs, splits = sum(row.stat.n for row in series.rows), len({result.split_seed for row in series.rows for result in row.results})
    return f"{series.title}: {runs} runs, {len(series.rows)} label budgets, {splits} choices of the labelled images"


def _described(shown: list[tuple[int, Series]]) -> str:
    values = ", ".join(f"{row.labels} labels {percent(row.stat.mean)}" for row in shown[0][1].rows)
    return f"Test error over labelled images, in logarithms: {values}"
