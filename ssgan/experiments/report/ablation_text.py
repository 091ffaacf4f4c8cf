"""An ablation in words, and its table in Markdown."""

from ssgan.experiments.report.ablation import Ablation, AblationRow
from ssgan.experiments.report.markdown_table import markdown_table
from ssgan.experiments.report.table import Stat

SCALE = {"error": 100.0}  # what a person reads it in


def ablation_markdown(found: Ablation) -> str:
    """What was compared, the table, and what was left out."""
    seeds = ", ".join(f"{seed}" if seed == split else f"{seed} on split {split}" for seed, split in found.seeds)
    several = len(found.seeds) > 1
    whose = ("the generator that the classifier learns against" if found.generator == "generator"
             else f"the generator of {found.generator}")
    heading = ["", "error, %", "change, points", "Inception Score", "change", "Fréchet distance", "change",
               "ms a step", "change", f"errors of seeds {seeds}"]
    lines = [
        f"{found.recipe} on {found.dataset}, {found.labels} labels, n = {len(found.seeds)}: mean ± std. A change is "
        f"from the row “as it is”, of a technique alone from “labelled loss alone”, "
        + ("paired by seed, with its 95 % interval (Student's t)." if several else
           "with one seed: there is no interval, and nothing can be said of the spread; take --seeds 3 or more."),
        f"Scores are of {whose}{_real(found)}. ms a step is of the classifier's training, beside what else this "
        f"machine did.", "",
        markdown_table([heading, *(_line(found, row) for row in found.rows)])]
    notes = [f"- {row.name}: {row.note}." for row in found.rows if row.note]
    notes += [f"- Left out: {reason.rstrip('.')}." for reason in found.left_out]
    if found.lost:
        notes.append(f"- {found.lost} run{'s' * (found.lost > 1)} did not come through: each row is compared over the "
                     f"seeds that it has.")
    if found.unfinished:
        reasons = "; ".join(dict.fromkeys(reason.splitlines()[0] for reason in found.unfinished.values() if reason))
        notes.append(f"- {len(found.unfinished)} run{'s' * (len(found.unfinished) > 1)} evaluated, but not finished "
                     f"({reasons}): scores are missing, or of fewer runs.")
    if several:
        notes.append(f"- {_verdict(found)}")
    return "\n".join([*lines, "", *notes]) + "\n"


def _real(found: Ablation) -> str:
    if not found.comparable:
        return f", each by {found.network}, so rows cannot be compared by them"
    names = {"inception_score": ("Inception Score", 2), "fid": ("Fréchet distance", 1)}
    told = [f"{name} {found.real[measure]:.{digits}f}" for measure, (name, digits) in names.items()
            if measure in found.real]
    return f"; real images have {', '.join(told)}" if told else ""


def _line(found: Ablation, row: AblationRow) -> list[str]:
    cells = [row.name]
    for measure, digits in (("error", 2), ("inception_score", 2), ("fid", 1), ("ms_a_step", 2)):
        scale = SCALE.get(measure, 1.0)
        cells += [_spread(row.stat(measure, found.generator), scale, digits),
                  _change(found.difference(row, measure), scale, digits)]
    each = ", ".join("lost" if error is None else f"{100 * error:.2f}" for error in row.errors)
    each = "not told" if row.unlabelled else each
    return [*cells, each]


def _spread(stat: Stat | None, scale: float, digits: int) -> str:
    if stat is None:
        return ""
    return f"{scale * stat.mean:.{digits}f}" + (f" ± {scale * stat.std:.{digits}f}" if stat.std is not None else "")


def _change(stat: Stat | None, scale: float, digits: int) -> str:
    return "" if stat is None else stat.change(scale, digits)


def _verdict(found: Ablation) -> str:
    """Which techniques' errors differ by more than the seeds' spread."""
    differing = []
    for row in found.rows:
        stat = found.difference(row, "error")
        half = stat.half_width() if stat else None
        if half is not None and abs(stat.mean) > half:
            differing.append(f"{row.name} ({100 * stat.mean:+.2f})")
    if not differing:
        return "No row's error differs from its comparison by more than the seeds' spread."
    return f"The error differs by more than the seeds' spread: {', '.join(differing)}; the other rows' does not."
