"""What a person reads at the end of a command, and what a program reads."""

import json
import shlex
from pathlib import Path
from typing import Any

import click

from ssgan.data import own_data

MOST_CLASSES = 5  # named in a line


def as_json_line(found: Any) -> None:
    """One JSON object as the last line of stdout."""
    click.echo(json.dumps(found))


def run(folder, found: dict[str, Any], as_json: bool) -> None:
    """The closing summary of a run."""
    if as_json:
        as_json_line(found)
        return
    from ssgan.experiments.progress import duration

    total = sum(found["seconds"].values())
    click.echo(f"\n{found['name']}, {found['status'].lower()} in {duration(total)}\n")
    for name, text in (*_errors(folder, found), *_scores(found), *_rest(found, duration)):
        click.echo(f"  {name:16} {text}".rstrip())
    click.echo()


def _errors(folder, found: dict[str, Any]):
    if found["error_from"] == "none":
        yield "error", f"not known: {found['error_reason']}"
    if found["test_error"] is None:
        return
    yield from _error(found)
    yield from _not_estimated(found)
    rows = folder.facts.get("result", {}).get("baselines", [])
    for row in rows:
        yield row["name"], f"{percent(row['error'])}  {row['note'] or ''}"
    if rows:
        best = min(rows, key=lambda row: row["error"])
        gain = best["error"] - found["test_error"]
        yield "gain", f"{100 * gain:+.2f} points over {best['name']}, the best of these"


def _error(found: dict[str, Any]):
    """The error and its interval; where classes are uneven the mean over them too; and how the classes do."""
    low, high = found["test_error_interval"]
    wrong, interval = f"{found['test_wrong']} wrong of", f"95 % interval {100 * low:.2f} to {100 * high:.2f} %"
    if found["error_from"] == "test":
        yield "test error", (f"{percent(found['test_error'])}  {wrong} {found['test_total']:,}; {interval}, for the "
                             f"choice of test images only")
    else:
        folds = found["folds"]
        yield "estimated error", (f"{percent(found['test_error'])}  {wrong} {found['test_total']:,} labelled images, "
                                  f"each held out once; {interval}, for the choice of these images only")
        yield "", (f"there is no test part: cross-validation, {folds} models, each trained on {folds - 1}/{folds} of "
                   f"the labels; this one, on all, may be better")
    if found["uneven_classes"]:
        yield "balanced error", f"{percent(found['balanced_error'])}  mean of the classes' errors"
        yield "by class", _by_class(found["per_class"])


def _not_estimated(found: dict[str, Any]):
    """The classes of which no image was held out."""
    if found["not_estimated"]:
        names = ", ".join(f"{name} ({count})" for name, count in list(found["not_estimated"].items())[:MOST_CLASSES])
        more = len(found["not_estimated"]) - MOST_CLASSES
        yield "not estimated", (f"{names}{f' and {more} more' if more > 0 else ''}: fewer labels than the "
                                f"{found['folds']} folds, so none was held out, and the error is of the other classes")


def _by_class(classes: dict[str, dict[str, Any]]) -> str:
    """The share of right answers in the classes that have the lowest."""
    known = sorted((scores["recall"], name, scores["n"]) for name, scores in classes.items() if scores["n"])
    told = ", ".join(f"{name} {100 * recall:.1f} % of {n:,}" for recall, name, n in known[:MOST_CLASSES])
    return f"right are {told}" + (f"; better in {len(known) - MOST_CLASSES} more" if len(known) > MOST_CLASSES else "")


def _scores(found: dict[str, Any]):
    if found["waiting"]:
        yield "waiting", found["waiting"]
    if found["inception_score"] is None:
        return
    network = found["score_network"]
    if found["score_network_error"] is not None:
        network += f", {100 * found['score_network_error']:.2f} % test error"
    yield "Inception Score", f"{found['inception_score']:.2f} ± {found['inception_score_std']:.2f}  {_real(found)}"
    yield "", f"{found['splits']} splits of {found['samples_per_split']:,} generated images; {network}"
    if found["generators"]:  # scored by a version that has these
        first, *others = found["generators"].items()
        yield "Fréchet distance", (f"{distance(found['frechet_distance'])}  real training images "
                                   f"{distance(found['frechet_distance_real'])}; {_counts(found)}")
        if found["train_images"]:
            yield "generated only", _generated_only(found)
        for name, score in others:
            yield f"  {name}", _other(score)


def _real(found: dict[str, Any]) -> str:
    """The real images' score, and ours at their count where it is another."""
    text = f"real {_kind(found)} {found['inception_score_real']:.2f}"
    if found["real_samples"] == found["samples"]:
        return text
    return f"{text} on {found['real_samples']:,}, generated ones {found['inception_score_matched']:.2f} on as many"


def _counts(found: dict[str, Any]) -> str:
    """Of the images whose Fréchet distance is told, which grows as they become fewer."""
    text, real = f"of {found['samples']:,}", found["frechet_samples_real"]
    if real != found["samples"]:
        text += f", and of {real:,} real ones,"
    return f"{text} to {found['test_images']:,} {_kind(found)}, in the features of that network"


def _kind(found: dict[str, Any]) -> str:
    """What stands for real images; of a run without a test part it is a half of what it was trained on."""
    return "training images" if found["error_from"] in ("cross-validation", "none") else "test images"


def _generated_only(found: dict[str, Any]) -> str:
    """The test error of what was trained on generated images alone, beside that of real ones."""
    errors, real = found["generated_only_errors"], found["generated_only_error_real"]
    if errors is None:
        return "none: the generator is told no class (pictures.steps = 0, conditional.weight = 0)"
    text = f"{percent(found['generated_only_error']).strip()} test error of a small network trained on "
    text += f"{found['train_images']:,} of these images alone"
    text += f" ({min(errors) * 100:.2f} to {max(errors) * 100:.2f} in {len(errors)})" if len(errors) > 1 else ""
    return text if real is None else f"{text}; on real ones {percent(real).strip()}"


def _other(score: dict[str, Any]) -> str:
    """Another generator of the run, in a line."""
    parts = [f"Inception Score {score['inception_score']:.2f}",
             f"Fréchet distance {distance(score['frechet_distance'])}"]
    if score["generated_only_error"] is not None:
        parts.append(f"generated only {percent(score['generated_only_error']).strip()}")
    return ", ".join(parts)


def distance(value: float) -> str:
    """A Fréchet distance to three digits."""
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def _rest(found: dict[str, Any], duration):
    yield "time", ", ".join(f"{name} {duration(seconds)}" for name, seconds in found["seconds"].items())
    folder = Path(found["folder"])
    inside = folder.is_relative_to(Path.cwd())
    yield "files", str(folder.relative_to(Path.cwd()) if inside else folder)
    yield "run", found["run_id"]
    if "score" in found["seconds"]:
        short = found["run_id"][:8]
        budgets = ",".join(str(found["labels"] * times) for times in (1, 2, 4))
        yield "next", "ssgan ui                      all runs, in MLflow"
        yield "", f"ssgan sample {short} -n 100    a picture of generated images"
        file = shlex.quote(f"{own_data.short(found['dataset'])}.onnx")
        yield "", f"ssgan export {short} -o {file}    the classifier, for use without ssgan"
        sweep = f"ssgan sweep --dataset {shlex.quote(found['dataset'])} --labels {budgets} --seeds 3"
        yield "", f"{sweep}    what more labels would bring"


def percent(error: float) -> str:
    """A fraction as right-aligned per cent."""
    return f"{100 * error:6.2f} %"


def bench(found: dict[str, Any]) -> None:
    """The step's speed as a table, and a table against the clock."""
    resolved, limits = found["resolved"], found["limits"]
    click.echo(f"\n{found['recipe']} on {found['machine']}: {resolved['device']}, {resolved['precision']}, "
               f"{resolved['threads']} threads, "
               f"{'compiled, ' * resolved['compiled']}torch {resolved['torch']}")
    click.echo(f"machine: products {limits['flop_per_second'] / 1e9:,.0f} GFLOP/s, copies "
               f"{limits['bytes_per_second'] / 1e9:,.0f} GB/s\n")
    if found["rows"]:
        click.echo("  lanes   ms a step   plain loop   speed-up   bound ms   of bound   of peak   steps/s   "
                   "lane-steps/s")
    for row in found["rows"]:
        step = row["seconds_per_step"]
        click.echo(f"  {row['lanes']:5}   {1e3 * step:9.2f}   {1e3 * row['plain_seconds_per_step']:10.2f}   "
                   f"{row['speedup']:7.2f}x   "
                   f"{1e3 * row['bound_seconds']:8.2f}   {100 * row['share_of_bound']:6.0f} %   "
                   f"{100 * row['share_of_peak']:5.0f} %   "
                   f"{row['steps_per_second']:7.1f}   {row['lane_steps_per_second']:12.1f}")
    for row in found["rows"]:
        shares = ", ".join(f"{name} {1e3 * seconds:.2f}" for name, seconds in sorted(
            row["parts"].items(), key=lambda part: -part[1]))
        click.echo(f"\n  ms by part, {row['lanes']} lane{'s' * (row['lanes'] > 1)} (profiled, so a little slower): "
                   f"{shares}")
    if "table" in found:
        click.echo(f"\n  {clocked(found['table'])}\n")
        for row in found["table"]["rows"]:
            click.echo(f"  {row['labels']:6} labels   {_spread(row)}, n = {row['n']}: {_seeds(row)}")
    click.echo()


def bench_markdown(command: str, found: dict[str, Any]) -> str:
    """The same as Markdown, with the command, the machine and the day."""
    from ssgan.experiments.report.markdown_table import markdown_table

    resolved = found["resolved"]
    parts = [f"`{command}`: {found['recipe']} on {found['machine']}, {resolved['precision']}, "
             f"{'compiled, ' * resolved['compiled']}torch {resolved['torch']}, {found['date']}."]
    if found["rows"]:
        heading = ["lanes", "ms a step", "steps/s", "lane-steps/s", "plain loop, ms", "speed-up", "bound, ms",
                   "share of bound", "share of peak"]
        parts.append(markdown_table([heading, *(
            [row["lanes"], f"{1e3 * row['seconds_per_step']:.2f}", f"{row['steps_per_second']:.1f}",
             f"{row['lane_steps_per_second']:.1f}",
             f"{1e3 * row['plain_seconds_per_step']:.1f}", f"{row['speedup']:.1f}", f"{1e3 * row['bound_seconds']:.2f}",
             f"{100 * row['share_of_bound']:.0f} %", f"{100 * row['share_of_peak']:.0f} %"] for row in found["rows"])]))
    if "table" in found:
        heading = ["labels", "test error, %, mean ± std", "median", "n", "every split seed"]
        parts += [clocked(found["table"]), markdown_table([heading, *(
            [row["labels"], _spread(row), "" if row["median"] is None else f"{row['median']:.2f}", row["n"],
             _seeds(row)] for row in found["table"]["rows"])])]
    return "\n\n".join(parts) + "\n"


def clocked(table: dict[str, Any]) -> str:
    """One sentence on a table against the clock."""
    from ssgan.experiments.progress import duration

    groups = f"{table['runs']} runs, {table['lanes']} at once"
    groups += (f" in {len(table['groups'])} groups one behind the other, the time split evenly"
               if len(table["groups"]) > 1 else "")
    if not table["steps"]:
        return f"{groups}: stopped before the first group."
    speed = (f"{table['steps_per_second']:.1f} steps/s, {table['lane_steps_per_second']:.1f} lane-steps/s, "
             f"{100 * table['share_of_peak']:.1f} % of the peak of products")
    epochs = " to ".join(dict.fromkeys(f"{value:.3g}" for value in table["epochs"]))
    took = f"{epochs} of {table['epochs_of_recipe']:g} epochs in {duration(60 * table['minutes'])}"
    if len(table["steps"]) < len(table["groups"]):
        took += f", stopped after {len(table['steps'])} of {len(table['groups'])} groups"
    if table["complete"]:
        return f"{groups}: {speed}; {took}, everything included."
    return (f"{groups}: {speed}; {took}, {duration(60 * table['minutes_projected'])} projected for all of them. The "
            f"errors are those of unfinished training.")


def _spread(row: dict[str, Any]) -> str:
    if row["mean"] is None:
        return "none"
    return f"{row['mean']:.2f}" + (f" ± {row['std']:.2f}" if row["std"] is not None else "")


def _seeds(row: dict[str, Any]) -> str:
    lost = f"; lost: split seeds {', '.join(map(str, row['lost']))}" if row["lost"] else ""
    return ", ".join(f"{error:.2f}" for error in row["errors"]) + lost


def sweep(outcome, as_json: bool) -> None:
    """The answers of a sweep, and where its report is."""
    from ssgan.experiments.report import as_plain, markdown
    from ssgan.experiments.run import summary
    from ssgan.tracking import run_ids

    folder = outcome.folder
    paths = {name: str(folder.path / "report" / file) for name, file in (
        ("html", "report.html"), ("markdown", "report.md"), ("png", "efficiency.png"))}
    ids = run_ids(folder)
    if as_json:
        members = [{**summary(member), "grid": outcome.grid[member.fingerprint]} for member in outcome.members]
        as_json_line({"sweep": folder.fingerprint, "summary_run_id": ids[-1] if ids else None,
                      "name": folder.facts["name"], "members": members, **as_plain(outcome.comparison),
                      "report": paths})
        return
    click.echo("\n" + markdown(outcome.comparison, folder.facts["name"]))
    inside = folder.path.is_relative_to(Path.cwd())
    click.echo(f"report  {Path(paths['html']).relative_to(Path.cwd()) if inside else paths['html']}")
    if folder.facts["tracking_uri"] != "none":
        click.echo("next    ssgan ui --compare     the same runs in MLflow, grouped by budget")


def ablation(outcome, as_json: bool) -> None:
    """The rows of an ablation, and where its report is."""
    from ssgan.experiments.report.ablation import ablation_plain
    from ssgan.experiments.report.ablation_text import ablation_markdown
    from ssgan.tracking import run_ids

    folder = outcome.folder
    paths = {name: folder.path / "report" / f"ablation.{ending}"
             for name, ending in (("markdown", "md"), ("png", "png"), ("toml", "toml"))}
    ids = run_ids(folder)
    if as_json:
        as_json_line({"ablation": folder.fingerprint, "summary_run_id": ids[-1] if ids else None,
                      "name": folder.facts["name"], **ablation_plain(outcome.ablation),
                      "report": {name: str(path) for name, path in paths.items()}})
        return
    click.echo(f"\n# {folder.facts['name']}\n\n{ablation_markdown(outcome.ablation)}")
    inside = folder.path.is_relative_to(Path.cwd())
    click.echo(f"picture {paths['png'].relative_to(Path.cwd()) if inside else paths['png']}")
    if folder.facts["tracking_uri"] != "none":
        click.echo("next    ssgan ui --compare     the same rows in MLflow, side by side")


def tune(found, command: list[str], as_json: bool) -> None:
    """What tuning found; `command` is a sweep that measures the best values on other splits, but for these."""
    from ssgan.experiments.grid import written
    from ssgan.experiments.tune import as_plain, markdown

    if as_json:
        as_json_line(as_plain(found))
        return
    click.echo(f"\n# {found.folder.facts['name']}\n\n{markdown(found)}")
    best: dict[str, list[str]] = {}
    for labels, rows in found.budgets.items():
        if rows[0].errors:
            changes = [part for value in written(rows[0].grid) for part in ("--set", value)]
            best.setdefault(shlex.join(changes), []).append(str(labels))
    click.echo("The best values were chosen by these figures, which flatter them. On the test images, with other "
               "splits:")
    for changes, budgets in best.items():
        click.echo(f"next    {shlex.join([*command, '--labels', ','.join(budgets)])} {changes}")


def comparison(found, text: str, as_json: bool, paths: dict[str, Path | None]) -> None:
    """A comparison as text, and where its files are."""
    from ssgan.experiments.report import as_plain

    written = {name: str(path) for name, path in paths.items() if path}
    if as_json:
        as_json_line({**as_plain(found), "report": written})
        return
    click.echo(text)
    for path in written.values():
        click.echo(f"written: {path}")
