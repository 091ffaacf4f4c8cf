"""The label-efficiency picture: test error over labels, both in logarithms, with intervals."""

from io import BytesIO

import numpy as np

from ssgan.evaluation.baselines import BASELINES, NO_GENERATOR, SUPERVISED
from ssgan.experiments.report.table import Comparison, Series, paper_row

FAILED = "#b3261e"
INK, MUTED, GRID = "#22262b", "#767d86", "#e3e6ea"
COLOURS = ("#2f6db3", "#c0562f", "#3f8f5b", "#8a5bb0", "#b08a1e", "#c2457c", "#4aa3a8", "#6b6f76")
DRESS = {  # colour and mark of the baselines; one that is not here has those of OTHER
    SUPERVISED: ("#c0562f", "s"), NO_GENERATOR: ("#b08a1e", "D"), "LabelSpreading": ("#3f8f5b", "^"),
    "SelfTraining": ("#8a5bb0", "v"), "SVM": ("#8c8f94", "x")}
OTHER = ("#4aa3a8", "*")
LEAST = 2e-4  # of an error of 0, which has no logarithm
ROOM = 4  # times the largest and the least error, to which the axis reaches where something lies there
TICKS = 3  # of the errors' axis, at least
WIDE = 120  # letters beside one another above the curve
AHEAD = 4  # times the largest budget, up to which the forecast is drawn


def picture(comparison: Comparison, dataset: str, title: str = "", notes: dict[str, str] | None = None) -> bytes:
    """The PNG of all series of a data set; baselines and the forecast are shown where there is one series only.

    A title stands above the names; `notes` are texts that the file carries unseen, by name.
    """
    from matplotlib.figure import Figure

    shown = [series for series in comparison.series if series.dataset == dataset]
    figure = Figure(figsize=(9.2, 5.2), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    if failed := sum(result.dataset == dataset for result in comparison.failed):
        axes.set_title(f"{failed} of the runs failed", loc="left", fontsize=9, color=FAILED)
    if len(shown) == 1:
        _baselines(axes, shown[0])
    for number, series in enumerate(shown):
        aside = 1.03 ** (number - (len(shown) - 1) / 2)  # of its neighbours' points
        alone = ("ssgan: mean with its 95 % interval, and every run" if any(row.stat.n > 1 for row in series.rows)
                 else "ssgan: one run of each budget")
        _curve(axes, series, COLOURS[number % len(COLOURS)], alone if len(shown) == 1 else series.title, aside,
               beside=1.045 if len(shown) == 1 else 1.0)
        _forecast(axes, series, COLOURS[number % len(COLOURS)], labelled=len(shown) == 1)
    _paper(axes, dataset, {row.labels for series in shown for row in series.rows})
    _dress(axes, shown, title)
    file = BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None, **(notes or {})})
    return file.getvalue()


def _curve(axes, series: Series, colour: str, label: str, aside: float, beside: float) -> None:
    labels = [aside * row.labels for row in series.rows]
    means = [max(LEAST, row.stat.mean) for row in series.rows]
    intervals = [row.stat.interval() for row in series.rows]
    low = [mean - max(LEAST, min(mean, limits.low)) if limits else 0 for mean, limits in zip(means, intervals)]
    high = [limits.high - limits.estimate if limits else 0 for limits in intervals]
    _, caps, bars = axes.errorbar(labels, _percent(means), yerr=[_percent(low), _percent(high)], color=colour,
                                  marker="o", markersize=6, linewidth=2, elinewidth=1.2, capsize=3, label=label,
                                  zorder=4)
    for whisker in (*caps, *bars):
        whisker.set_alpha(0.6)  # so that the baselines behind it are seen
    for place, row in ((place, row) for place, row in zip(labels, series.rows) if row.stat.n > 1):
        errors = np.maximum(sorted(row.errors), LEAST)
        # runs of the same error stand side by side
        again = [sum(errors[:i] == error) for i, error in enumerate(errors)]
        axes.scatter([place * beside * 1.022**times for times in again], _percent(errors), s=15, color=colour,
                     alpha=0.6, linewidths=0, zorder=5)


def _forecast(axes, series: Series, colour: str, labelled: bool) -> None:
    if series.forecast is None:
        return
    last = min(AHEAD * series.rows[-1].labels, series.images or np.inf)
    labels = np.geomspace(series.rows[0].labels, max(last, series.rows[-1].labels), 60)
    found = np.array([series.forecast.error(count) for count in labels])  # [60, 3]
    axes.plot(labels, _percent(found[:, 0]), color=colour, linestyle=(0, (4, 3)), linewidth=1.2, zorder=2,
              label="forecast of the typical (median) run, 90 %" if labelled else None)
    axes.fill_between(labels, _percent(np.maximum(found[:, 1], LEAST)), _percent(found[:, 2]), color=colour, alpha=0.1,
                      linewidth=0, zorder=1)


def _baselines(axes, series: Series) -> None:
    for name in BASELINES:
        rows = [row for row in series.rows if name in row.baselines]
        colour, mark = DRESS.get(name, OTHER)
        if rows:
            errors = _percent([max(LEAST, row.baselines[name].mean) for row in rows])
            axes.plot([row.labels for row in rows], errors, color=colour, marker=mark, markersize=4.5, linewidth=1.1,
                      alpha=0.9, label=name, zorder=3)


def _paper(axes, dataset: str, budgets: set[int]) -> None:
    paper = paper_row(dataset)
    found = {int(labels): value for labels, value in (paper or {}).get("errors", {}).items() if int(labels) in budgets}
    if found:
        means, stds = (np.array([value[i] for value in found.values()]) for i in (0, 1))
        axes.errorbar(list(found), means, yerr=[np.minimum(stds, means * 0.95), stds], color=INK, marker="P",
                      markersize=6, linewidth=0, elinewidth=1, capsize=3, label=f"{paper['source']}, ± std", zorder=3)


def _error_name(shown: list[Series]) -> str:
    names = {series.error_name for series in shown}
    return names.pop() if len(names) == 1 else "error"


def _dress(axes, shown: list[Series], title: str) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axes.set(xscale="log", yscale="log", xlabel="labelled images", ylabel=f"{_error_name(shown)}, %")
    budgets = sorted({row.labels for series in shown for row in series.rows})
    if len(budgets) == 1:  # whose points would else be at both ends of the axis
        axes.set_xlim(budgets[0] / 1.9, budgets[0] * 1.9)
    last = axes.get_xlim()[1]
    beyond = [budgets[-1] * factor for factor in (2, 4) if budgets[-1] * factor <= last]
    axes.xaxis.set_major_locator(FixedLocator(_apart([*budgets, *beyond])))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    low, high = _limits(shown, axes.get_ylim())
    axes.set_ylim(low, high)
    axes.yaxis.set_major_locator(FixedLocator(_round_numbers(low, high)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MUTED)
    axes.tick_params(colors=INK, length=0)
    handles, names = axes.get_legend_handles_labels()
    order = sorted(range(len(names)), key=lambda i: (names[i] in BASELINES, names[i].startswith("forecast")))
    look = {"handles": [handles[i] for i in order], "labels": [names[i] for i in order], "fontsize": 9,
            "edgecolor": "none", "title": title, "title_fontsize": 12, "alignment": "left"}
    if any(series.forecast for series in shown):  # the curve falls, so there is room above its end
        axes.legend(**look, loc="upper right", facecolor="white", framealpha=0.85)
    else:
        longest = max(len(series.title) for series in shown) if len(shown) > 1 else 0  # else the names are short
        axes.figure.legend(**look, loc="outside upper left", ncols=min(3, max(1, WIDE // (longest + 6))),
                           columnspacing=1.6)


def _limits(shown: list[Series], found: tuple[float, float]) -> tuple[float, float]:
    """From below the least point to above the largest, and not much farther: an interval or a forecast that goes beyond
    is cut off.
    """
    points = np.concatenate(
        [[*row.errors, *(stat.mean for stat in row.baselines.values())] for series in shown for row in series.rows])
    return max(found[0], _percent(max(LEAST, points.min()) / ROOM)), min(
        found[1], _percent(max(LEAST, points.max()) * ROOM))


def _round_numbers(low: float, high: float) -> list[float]:
    """Ticks of a logarithmic axis: three a power of ten, or evenly spaced ones where the axis is short."""
    from matplotlib.ticker import MaxNLocator

    found = [step * 10.0**power for power in range(-3, 3) for step in (1, 2, 5) if low <= step * 10.0**power <= high]
    if len(found) < TICKS:
        found = [tick for tick in MaxNLocator(6).tick_values(low, high) if low <= tick <= high]
    return found


def _apart(ticks: list[int]) -> list[int]:
    """Ticks of which none stands on its neighbour's number."""
    kept: list[int] = []
    for tick in ticks:
        if not kept or tick >= 1.25 * kept[-1]:
            kept.append(tick)
    return kept


def _percent(errors):
    return 100 * np.asarray(errors)
