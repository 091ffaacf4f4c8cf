"""What a person reads at the end of a command, and what a program reads."""

import json
import shlex
from pathlib import Path
from typing import Any

import click


def as_json_line(found: Any) -> None:
    """One JSON object as the last line of stdout."""
    click.echo(json.dumps(found))


def percent(error: float) -> str:
    """A fraction as right-aligned per cent."""
    return f"{100 * error:6.2f} %"


def store_options(folder) -> str:
    """What a command needs to come to the store that a folder's run is for."""
    from ssgan.tracking import Store

    return Store(folder.facts["tracking_uri"], folder.facts["experiment"]).options()


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
        plain = ("         -          -" if row["speedup"] is None else
                 f"{1e3 * row['plain_seconds_per_step']:10.2f}   {row['speedup']:7.2f}x")
        click.echo(f"  {row['lanes']:5}   {1e3 * step:9.2f}   {plain}   "
                   f"{1e3 * row['bound_seconds']:8.2f}   {100 * row['share_of_bound']:6.0f} %   "
                   f"{100 * row['share_of_peak']:5.0f} %   "
                   f"{row['steps_per_second']:7.1f}   {row['lane_steps_per_second']:12.1f}")
    for row in found["rows"]:
        click.echo(f"\n  {whole_recipe(row)}")
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
             *(["", ""] if row["speedup"] is None else [f"{1e3 * row['plain_seconds_per_step']:.1f}",
                                                        f"{row['speedup']:.1f}"]), f"{1e3 * row['bound_seconds']:.2f}",
             f"{100 * row['share_of_bound']:.0f} %", f"{100 * row['share_of_peak']:.0f} %"] for row in found["rows"])]))
        parts += [whole_recipe(row) for row in found["rows"]]
    if "table" in found:
        heading = ["labels", "test error, %, mean ± std", "median", "n", "every split seed"]
        parts += [clocked(found["table"]), markdown_table([heading, *(
            [row["labels"], _spread(row), "" if row["median"] is None else f"{row['median']:.2f}", row["n"],
             _seeds(row)] for row in found["table"]["rows"])])]
    return "\n\n".join(parts) + "\n"


def whole_recipe(row: dict[str, Any]) -> str:
    """One sentence on what the recipe takes from its first to its last step, at the speed that was measured."""
    from ssgan.experiments.progress import duration

    lanes = row["lanes"]
    several = f", {lanes} runs at once" if lanes > 1 else ""
    days = row["recipe_seconds"] / 86_400
    took = duration(row["recipe_seconds"]) if days < 3 else f"{days:,.0f} days"
    return (f"{row['flop_per_lane_step']:.3g} operations a step and run, {row['flop_per_second']:.3g} a second; "
            f"the recipe's {row['recipe_steps']:,} steps, {row['recipe_flop_per_lane']:.2g} operations, would take "
            f"{took}{several}.")


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
        ("html", "report.html"), ("markdown", "report.md"), ("png", "efficiency.png"))
        if outcome.comparison.series}  # a report of an earlier try has other results
    ids = run_ids(folder)
    if as_json:
        members = [{**summary(member), "grid": outcome.grid[member.fingerprint]} for member in outcome.members]
        as_json_line({"sweep": folder.fingerprint, "summary_run_id": ids[-1] if ids else None,
                      "name": folder.facts["name"], "members": members, **as_plain(outcome.comparison),
                      "report": paths})
        return
    click.echo("\n" + markdown(outcome.comparison, folder.facts["name"]))
    if not paths:
        return
    inside = folder.path.is_relative_to(Path.cwd())
    click.echo(f"report  {Path(paths['html']).relative_to(Path.cwd()) if inside else paths['html']}")
    if folder.facts["tracking_uri"] != "none":
        click.echo(f"next    ssgan ui --compare{store_options(folder)}     the same runs in MLflow, grouped by budget")


def ablation(outcome, as_json: bool) -> None:
    """The rows of an ablation, and where its report is."""
    from ssgan.experiments.report.ablation import ablation_plain
    from ssgan.experiments.report.ablation_text import ablation_markdown
    from ssgan.tracking import run_ids

    folder = outcome.folder
    paths = {name: folder.path / "report" / f"ablation.{ending}"
             for name, ending in (("markdown", "md"), ("png", "png"), ("toml", "toml"))}
    paths = {name: path for name, path in paths.items() if path.exists()}  # none, where no run came through
    ids = run_ids(folder)
    if as_json:
        as_json_line({"ablation": folder.fingerprint, "summary_run_id": ids[-1] if ids else None,
                      "name": folder.facts["name"], **ablation_plain(outcome.ablation),
                      "report": {name: str(path) for name, path in paths.items()}})
        return
    click.echo(f"\n# {folder.facts['name']}\n\n{ablation_markdown(outcome.ablation)}")
    inside = folder.path.is_relative_to(Path.cwd())
    for path in [paths["png"]] if "png" in paths else []:
        click.echo(f"picture {path.relative_to(Path.cwd()) if inside else path}")
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
    if not best:
        return
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
