"""The answers of a comparison in words, and its table in Markdown."""

import math
from collections.abc import Sequence
from dataclasses import replace

from ssgan.evaluation.baselines import BASELINES, NO_GENERATOR, SUPERVISED, TrainedWithout
from ssgan.experiments.report.forecast import BUDGETS, SEEDS, Interval
from ssgan.experiments.report.markdown_table import markdown_table
from ssgan.experiments.report.results import Result
from ssgan.experiments.report.table import ERROR_NAMES, Comparison, Row, Series, Stat, paper_row

ENOUGH = 10  # runs of a budget, as in the paper
FAR = 4  # times the largest budget: beyond it a forecast is a guess
IN_WORDS = {  # others have their name
    SUPERVISED: "the same network on the labels alone", NO_GENERATOR: "the same recipe without the generator"}


def percent(error: float) -> str:
    """A fraction as per cent, for a sentence."""
    return f"{100 * error:.2f} %"


def points(difference: float) -> str:
    """A difference of fractions, in percentage points."""
    return f"{100 * difference:.2f} points"


def spread(stat: Stat) -> str:
    """Mean ± std in per cent, without the sign."""
    return f"{100 * stat.mean:.2f}" + ("" if stat.std is None else f" ± {100 * stat.std:.2f}")


def about(labels: float) -> str:
    """A number of labels to two digits."""
    digits = max(0, math.floor(math.log10(max(labels, 1))) - 1)
    return f"{round(labels, -digits):,.0f}"


def how_good(row: Row) -> list[str]:
    """What the error at a budget is."""
    found = [f"about 1 image in {max(1, round(1 / row.stat.mean))} wrong" if row.stat.mean else "no test image wrong"]
    if row.stat.n > 1:
        found.append(f"median {percent(row.median)}, best {percent(min(row.errors))}, worst {percent(max(row.errors))}")
    for name, stat in row.baselines.items():
        if isinstance(BASELINES[name], TrainedWithout):
            found.append(f"{IN_WORDS.get(name, name)}: {percent(stat.mean)}")
    return found


def how_sure(row: Row, total: int | None) -> list[str]:
    """How far the error may be trusted; `total` images have told it."""
    interval = row.stat.interval()
    splits = len({result.split_seed for result in row.results})
    if interval is None and row.stat.n > 1:
        found = [f"{row.stat.n} runs came out alike, so they tell no interval: run more seeds"]
    elif interval is None:
        found = ["one run: how much the choice of the labelled images matters is not known; run more seeds"]
    else:
        over = (f"{splits} choices of the labelled images" if splits > 1
                else "one choice of the labelled images, other training seeds")
        found = [f"95 % interval of the mean, from {row.stat.n} runs over {over}",
                 f"one such choice differs from the mean by {points(row.stat.std)} (std)"]
        if row.stat.n < ENOUGH and row.stat.std:
            ten = replace(row.stat, n=ENOUGH).interval()
            found.append(f"{ENOUGH} runs that differ as much would narrow it to about {100 * ten.low:.2f} to "
                         f"{100 * ten.high:.2f} %: --seeds {ENOUGH}")
    if total and row.stat.mean:
        error = row.stat.mean
        estimated = any(result.error_from != "test" for result in row.results)
        found.append(f"and {total:,} {'held-out' if estimated else 'test'} images tell each run's error to ± "
                     f"{points(1.96 * math.sqrt(error * (1 - error) / total))}")
    return found


def what_more(series: Series, row: Row) -> tuple[str, list[str]]:
    """What as many labels again would buy: the short answer, measured where it was, else forecast; and what else is
    known.
    """
    double, after = 2 * row.labels, [other for other in series.rows if other.labels > row.labels]
    measured = next((other for other in after if other.labels == double), None)
    lines = []
    if after and measured is None:
        lines.append(f"measured: {after[0].labels:,} labels have {percent(after[0].stat.mean)}; "
                     f"{_change(series.gain(row, after[0]))}")
    if measured is not None:
        return _signed(series.gain(row, measured).mean), [f"measured with {double:,} labels: "
                                                          f"{percent(measured.stat.mean)}; "
                                                          f"{_change(series.gain(row, measured))}"]
    if series.forecast is None:
        return "not known", [*lines, f"a forecast needs {BUDGETS} budgets with {SEEDS} seeds "
                                     f"each" if after else f"measure {double:,} labels too"]
    gain = series.forecast.gain(row.labels, double)
    few = series.images is not None and double > series.images
    text = f"forecast: doubling your labels to {double:,} would bring about {points(gain.estimate)} ({_range(gain)})"
    return _signed(gain.estimate), [text + (f"; but there are only {series.images:,} training images" if few else ""),
                                    *lines]


def reach(series: Series, error: float, needed: Interval) -> str:
    """How many labels an error needs."""
    most, asked = series.images or math.inf, f"{100 * error:g} %"
    limits = f"90 %: {_limit(needed.low, most)} to {_limit(needed.high, most)}"
    if needed.estimate > most or math.isinf(needed.estimate):
        why = f"the curve flattens at about {percent(series.forecast.floor.estimate)}"
        if not math.isinf(needed.estimate):
            why = f"it would take about {about(needed.estimate)} labels, and there are {most:,} training images"
        sure = (f", though the luckiest of the possible curves come there with {about(needed.low)} labels"
                if needed.low <= most else "")
        return f"{asked} is not reachable with this recipe: {why}{sure}"
    if needed.high <= series.rows[0].labels:
        return f"{asked} is reached with fewer than {series.rows[0].labels:,} labels already"
    far = "; far beyond what was measured" if needed.estimate > FAR * series.rows[-1].labels else ""
    return f"to reach {asked} you need about {about(needed.estimate)} labels ({limits}){far}"


def forecasts(series: Series) -> list[str]:
    """What the forecast says of a series, or why there is none."""
    if series.forecast is None:
        return [f"no forecast: it needs {BUDGETS} budgets with {SEEDS} seeds or more each"]
    found = [reach(series, error, needed) for error, needed in series.targets.items()]
    text = what_more(series, series.rows[-1])[1][0].removeprefix("forecast: ")
    return [*found, f"from {series.rows[-1].labels:,} labels on, {text}"]


def columns(series: Sequence[Series]) -> list[str]:
    """The baselines that some row has."""
    return [name for name in BASELINES if any(name in row.baselines for one in series for row in one.rows)]


def table(series: Series) -> list[list[str]]:
    """The table of a series: a heading and a line for each budget, as texts; errors in per cent."""
    names, paper = columns([series]), paper_row(series.dataset)
    extra = [("ensemble, same labels", lambda row: _ensemble(row.same_split))]
    if paper:
        extra += [(paper["source"], lambda row: _paper(paper, "errors", row)),
                  ("its 10 models averaged", lambda row: _paper(paper, "averaged", row))]
    extra = [("balanced, %", lambda row: spread(row.balanced_error) if row.balanced_error else "–"), *extra]
    extra += [*((name, lambda row, name=name: _baseline(row, name)) for name in names), ("Inception Score", _score),
              ("EfficientNet score", _efficientnet), ("Fréchet distance", _frechet),
              ("trained on generated, %", _generated_only)]
    kept = [(name, cell) for name, cell in extra if any(cell(row) != "–" for row in series.rows)]
    heading = ["labels", f"{series.error_name}, %", "median", "n", *(name for name, _ in kept), "every run"]
    lines = [[f"{row.labels:,}", spread(row.stat), f"{100 * row.median:.2f}", str(row.stat.n),
              *(cell(row) for _, cell in kept), " ".join(map(_error, row.results))]
              for row in series.rows]
    return [heading, *lines]


def across_table(series: Series) -> list[list[str]]:
    """Ensembles over different splits, which use more labels than one budget: [] where there are none."""
    rows = [row for row in series.rows if row.across]
    if not rows:
        return []
    sizes = sorted({size for row in rows for size in row.across.errors})
    heading = ["labels in each", *(f"{size} model{'s' * (size > 1)}" for size in sizes), "uses up to"]
    return [heading,
            *([f"{row.labels:,}",
               *(f"{100 * row.across.errors[size].mean:.2f}" if size in row.across.errors else "–" for size in sizes),
                        f"{max(row.across.errors)} × {row.labels:,} labels"] for row in rows)]


def same_split_table(series: Series) -> list[list[str]]:
    """Ensembles of one split's members with different training seeds, by size: [] where there are none."""
    rows = [row for row in series.rows if row.same_split]
    if not rows:
        return []
    sizes = sorted({size for row in rows for size in row.same_split.errors})
    heading = ["labels", *(f"{size} model{'s' * (size > 1)}" for size in sizes), "splits"]
    return [heading,
            *([f"{row.labels:,}",
               *(spread(row.same_split.errors[size]) if size in row.same_split.errors else "–" for size in sizes),
                        str(row.same_split.groups)] for row in rows)]


def markdown(comparison: Comparison, title: str) -> str:
    """The whole report as Markdown, without pictures."""
    parts = [f"# {title}", ""]
    for series in comparison.series:
        if len(comparison.series) > 1:
            parts += [f"## {series.title}", ""]
        parts += [markdown_table(table(series)), "",
                  f"{series.error_name.capitalize()} in %, mean ± std (ddof 1) over n runs.{_meant(series)}", ""]
        parts += [f"- {line}" for line in forecasts(series)] + [""]
        for text, cells in ((SAME_SPLIT, same_split_table(series)), (ACROSS, across_table(series))):
            if cells:
                parts += [f"{text} Test error in %.", "", markdown_table(cells), ""]
    parts += [f"- {line}" for line in remarks(comparison)]
    return "\n".join(parts).rstrip() + "\n"


SAME_SPLIT = "Averaged probabilities of models with the same labelled images and different training seeds."
ACROSS = ("Averaged probabilities of models with different labelled images: an ensemble uses up to n × N labels, so it "
          "is no answer to N labels.")


def remarks(comparison: Comparison) -> list[str]:
    """What was left out, and what failed."""
    found = [f"{'no result' if result.error is None else 'evaluated, but not finished'}: {result.name}, "
             + result.status.lower() + (f": {result.reason.splitlines()[0]}" if result.reason else "")
             for result in comparison.failed]
    if comparison.repeated:
        found.append(f"{comparison.repeated} older run{'s' * (comparison.repeated > 1)} of the same settings and seeds "
                     f"left out")
    if comparison.dropped:
        found.append(f"{comparison.dropped} more settings with fewer runs left out")
    return found


def _meant(series: Series) -> str:
    """What errors are that were not measured on test images, and what balanced ones are, where there are some."""
    found = ""
    if series.error_name != ERROR_NAMES["test"]:
        found += " Cross-validated: of labelled images, each held out of a training on the others."
    if any(row.balanced_error for row in series.rows):
        found += " Balanced: the mean of the classes' errors."
    return found


def _change(gain: Stat) -> str:
    """The change from one budget to another, of runs with the same seeds."""
    half = gain.half_width()
    if half is None:
        return f"{_plus(-gain.mean)} points"
    chance = ", which may be chance" if half >= abs(gain.mean) else ""
    return (f"{_plus(-gain.mean)} points (95 %: {_plus(-gain.mean - half)} to {_plus(half - gain.mean)}, {gain.n} "
            f"pairs of runs){chance}")


def _signed(gain: float) -> str:
    """A fall of the error in words."""
    return f"{points(abs(gain))} {'lower' if gain >= 0 else 'higher'}"


def _plus(change: float) -> str:
    """A change in points with its sign."""
    return f"{100 * change:+.2f}".replace("-", "−")


def _range(interval: Interval) -> str:
    return f"90 %: {100 * interval.low:.2f} to {100 * interval.high:.2f}"


def _limit(labels: float, most: float) -> str:
    if math.isinf(labels):
        return "never"
    return about(labels) if labels <= most else f"more than all {most:,}"


def _ensemble(found) -> str:
    if found is None:
        return "–"
    size, stat = found.largest
    return f"{spread(stat)} ({size})"


def _error(result: Result) -> str:
    """A run's error, and how it ended where that was not well."""
    return f"{100 * result.error:.2f}" + ("" if result.finished else f" ({result.status.lower()})")


def _baseline(row: Row, name: str) -> str:
    if name not in row.baselines:
        return "–"
    balanced = row.balanced_baselines.get(name)
    return spread(row.baselines[name]) + (f"; balanced {spread(balanced)}" if balanced else "")


def _paper(paper: dict, kind: str, row: Row) -> str:
    found = paper.get(kind, {}).get(str(row.labels))
    return f"{found[0]:.2f} ± {found[1]:g}" if found else "–"


def _score(row: Row) -> str:
    return _beside_real(row.score and f"{row.score.mean:.2f}", row.results[0].score_real, "{:.2f}")


def _efficientnet(row: Row) -> str:
    return _beside_real(row.efficientnet_score and f"{row.efficientnet_score.mean:.2f}",
                        row.results[0].efficientnet_score_real, "{:.2f}")


def _frechet(row: Row) -> str:
    return _beside_real(row.fid and f"{row.fid.mean:.3g}",
                        row.results[0].fid_real, "{:.3g}")


def _generated_only(row: Row) -> str:
    real = row.results[0].generated_only_error_real
    return _beside_real(row.generated_only_error and spread(row.generated_only_error), real and 100 * real, "{:.2f}")


def _beside_real(text: str | None, real: float | None, form: str) -> str:
    """A score of generated images, with that of real ones."""
    return "–" if text is None else text + (f" (real {form.format(real)})" if real is not None else "")
