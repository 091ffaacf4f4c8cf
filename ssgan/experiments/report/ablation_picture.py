"""An ablation as a picture: what each row changes, with its interval, measure by measure."""

from io import BytesIO

from ssgan.experiments.report.ablation import Ablation

PANELS = {  # title, and what a value is multiplied by
    "error": ("error, points", 100.0), "inception_score": ("Inception Score", 1.0),
    "fid": ("Fréchet distance", 1.0), "ms_a_step": ("ms a step", 1.0)}
BETTER = {"error": "lower is better", "inception_score": "higher is better", "fid": "lower is better",
          "ms_a_step": "lower is better"}
INK, MUTED, COLOUR = "#222222", "#888888", "#1f6feb"


def ablation_picture(found: Ablation) -> bytes:
    """A PNG with a panel a measure: each row's mean change with its 95 % interval, and every seed's."""
    from matplotlib.figure import Figure

    rows = [row for row in found.rows if row.against is not None]
    shown = [measure for measure in PANELS if any(found.difference(row, measure) for row in rows)]
    figure = Figure(figsize=(3.2 + 2.4 * len(shown), 1.7 + 0.34 * len(rows)), dpi=150, layout="constrained")
    figure.suptitle(f"{found.recipe}, {found.labels} labels, n = {len(found.seeds)}: change by switching off, or by "
                    f"one alone", fontsize=11, color=INK)
    places = range(len(rows))
    for number, (measure, axes) in enumerate(zip(shown, figure.subplots(1, len(shown), sharey=True, squeeze=False)[0])):
        title, scale = PANELS[measure]
        axes.axvline(0, color=MUTED, linewidth=1, zorder=1)
        for place, row in zip(places, rows):
            stat = found.difference(row, measure)
            if stat is not None:
                half = stat.half_width() or 0.0
                axes.errorbar([scale * stat.mean], [place], xerr=[scale * half], color=COLOUR, marker="o",
                              markersize=5, capsize=3, linewidth=1.4, zorder=3)
        _each_seed(axes, found, rows, measure, scale)
        whole = found.rows[0].stat(measure, found.generator)
        is_now = f"as it is {scale * whole.mean:.3g}" if whole else "as it is: none"
        axes.set_title(f"{title}\n{is_now}; {BETTER[measure]}", fontsize=8.5, color=INK)
        if number == 0:  # the others share its axis
            axes.set_yticks(list(places), [row.name for row in rows], fontsize=8.5)
        axes.tick_params(colors=INK, length=0, labelsize=8.5)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.grid(axis="x", color="#eeeeee")
        axes.set_axisbelow(True)
        axes.set_ylim(len(rows) - 0.5, -0.5)
    file = BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def _each_seed(axes, found: Ablation, rows, measure: str, scale: float) -> None:
    for place, row in enumerate(rows):
        ours, others = (each.columns(found.generator)[measure] for each in (row, found.row(row.against)))
        if found.difference(row, measure) is None:
            continue
        points = [scale * (own - other) for own, other in zip(ours, others) if own is not None and other is not None]
        axes.scatter(points, [place + 0.22] * len(points), s=9, color=COLOUR, alpha=0.45, linewidths=0, zorder=2)
