"""Error against score, run by run: the tension of the paper between a good classifier and good pictures."""

from collections import Counter
from io import BytesIO

from ssgan.evaluation.scoring_network import EFFICIENTNET, OWN
from ssgan.experiments.report.curve import COLOURS, GRID, INK, MUTED
from ssgan.experiments.report.results import Result
from ssgan.experiments.report.table import Comparison

LEAST_RUNS = 2  # of which a picture tells anything


def score_picture(comparison: Comparison, dataset: str) -> bytes | None:
    """The PNG: a point for each run, coloured by budget, over its Inception Score (or EfficientNet's) and over its
    Fréchet distance, of the network by which most runs were scored; None where fewer than two runs have them.
    """
    from matplotlib.figure import Figure

    runs = [run for series in comparison.series if series.dataset == dataset for row in series.rows
            for run in row.results if _score(run)[0] is not None and run.fid is not None and run.network != OWN]
    (network, _), = Counter(run.network for run in runs).most_common(1) or [("", 0)]
    runs = [run for run in runs if run.network == network]
    if len(runs) < LEAST_RUNS:
        return None
    figure = Figure(figsize=(9.2, 3.8), dpi=150, layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    _points(left, runs, [_score(run)[0] for run in runs], _score(runs[0])[1])
    _points(right, runs, [run.fid for run in runs], runs[0].fid_real)
    name = "EfficientNet score" if network == EFFICIENTNET else f"Inception Score ({network} network)"
    left.set_xlabel(f"{name}: better to the right", fontsize=9, color=INK)
    right.set_xlabel(f"Fréchet distance ({network} network): better to the left", fontsize=9, color=INK)
    left.set_ylabel("error, %", fontsize=9, color=INK)
    right.legend(fontsize=8, frameon=False)
    file = BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def _score(run: Result) -> tuple[float | None, float | None]:
    """Of generated images and of real ones, by the network that scored last."""
    if run.network == EFFICIENTNET:
        return run.efficientnet_score, run.efficientnet_score_real
    return run.score, run.score_real


def _points(axes, runs: list[Result], scores: list[float], real: float | None) -> None:
    for number, labels in enumerate(sorted({run.labels for run in runs})):
        chosen = [place for place, run in enumerate(runs) if run.labels == labels]
        axes.scatter([scores[place] for place in chosen], [100 * runs[place].error for place in chosen], s=28,
                     color=COLOURS[number % len(COLOURS)], label=f"{labels:,} labels", zorder=3)
    if real is not None:
        axes.axvline(real, color=MUTED, linewidth=1, linestyle="--", label="real images")
    axes.grid(color=GRID)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
