"""An ablation: a recipe with each technique off, and with one alone, on the same splits and seeds."""

import datetime
import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ssgan.data.dataset import Dataset
from ssgan.data.own_data import short
from ssgan.errors import NothingFinished
from ssgan.experiments.grid import Plan
from ssgan.experiments.report.ablation import SCORES, Ablation, AblationRow
from ssgan.experiments.report.ablation_evidence import ablation_evidence
from ssgan.experiments.report.ablation_picture import ablation_picture
from ssgan.experiments.report.ablation_text import ablation_markdown
from ssgan.experiments.report.report_files import write
from ssgan.experiments.run import Setting
from ssgan.experiments.scheduler import summary_run
from ssgan.experiments.sweep import check_error, run_members
from ssgan.experiments.switches import LABELS, Switch, Switches
from ssgan.tracking import ABLATION_TAG
from ssgan.tracking.workfolder import WorkFolder
from ssgan.training import benchmark
from ssgan.training.execution import Resolved


@dataclass(frozen=True)
class Outcome:
    """An ablation that has come to its end."""

    folder: WorkFolder  # the summary run's
    ablation: Ablation
    members: list[WorkFolder]


def run_ablation(plan: Plan, switches: Switches, dataset: Dataset, setting: Setting, workers: int | None = 1,
                 command: str = "") -> Outcome:
    """Runs every row with every seed, unless it is finished already, and writes the report into the summary run's
    folder. The plan's choices are those of the switches, its budget is one; `workers` as for a sweep; `command` is what
    the evidence says that it was made by.

    Raises Mistake before anything is written, NothingFinished, with the Outcome, where no run came through, and
    Interrupted.
    """
    check_error(plan, dataset)
    with summary_run("ablate", plan, dataset, setting) as (folder, groups):
        tags = setting.tags | {ABLATION_TAG: folder.fingerprint}
        members = run_members("ablate", plan, groups, dataset, replace(setting, tags=tags), workers)
        found = _ablation(plan, switches, dataset, members)
        if not any(error is not None for row in found.rows for error in row.errors):
            reasons = [member.facts["error"] for member in members if member.facts.get("error")]
            raise NothingFinished(f"none of the {len(members)} runs came through. The first: "
                                  f"{reasons[0] if reasons else 'it has not begun'}", Outcome(folder, found, members))
        _report(folder, found, command, _machine(members))
    return Outcome(folder, found, members)


def _ablation(plan: Plan, switches: Switches, dataset: Dataset, members: Sequence[WorkFolder]) -> Ablation:
    seeds, grids = plan.seeds, [grid for grid, _ in plan.variants()]
    rows = [_row(switch, grid, members[i * len(seeds): (i + 1) * len(seeds)])
            for i, (switch, grid) in enumerate(zip(switches.rows, grids, strict=True))]
    scores = [member.facts.get("result", {}).get("score", {}) for member in members]
    score = next(filter(None, scores), {})
    real = {measure: score[f"{measure}_real"] for measure in SCORES if score.get(f"{measure}_real") is not None}
    return Ablation(plan.recipe_name, short(dataset.name), plan.budgets[0], seeds, tuple(rows), switches.left_out, real,
                    score.get("score_network", ""))


def _row(switch: Switch, grid: dict, folders: Sequence[WorkFolder]) -> AblationRow:
    results = [folder.facts.get("result", {}) for folder in folders]
    scores = [result.get("score", {}) for result in results]
    return AblationRow(switch.name or "as it is", switch.off, switch.only, grid,
                       None if switch.against is None else switch.against or "as it is", switch.note,
                       LABELS in switch.off, tuple(folders),
                       [result.get("evaluation", {}).get("error") for result in results],
                       [_generators(score) for score in scores], [_step_ms(folder) for folder in folders])


def _generators(score: dict) -> dict[str, dict[str, float]]:
    """By generator, its scores."""
    named = score.get("generators") or ({"generator": score} if score else {})
    return {name: {measure: found[measure] for measure in SCORES if found.get(measure) is not None}
            for name, found in named.items()}


def _step_ms(folder: WorkFolder) -> float | None:
    """Milliseconds of a step of one lane: the median from one record of the classifier's training to the next, which a
    start, a pause and the work between steps do not move; of a training with fewer than three records, the mean of all
    its steps. None where it has not come through.
    """
    if not folder.stage_finished("train"):
        return None
    lanes = max(1, len(folder.facts.get("group", [])))
    noted = [(step, at) for _, step, at, values in folder.measurements() if "train/labelled_error" in values]
    paces = [(at - before) / (step - first)
             for (first, before), (step, at) in itertools.pairwise(noted) if step > first]
    if len(paces) < 2:
        steps = max((step for _, step, _, values in folder.measurements()
                     if any(name.startswith("train/") for name in values)), default=0)
        paces = [folder.facts["stages"]["train"]["seconds"] / steps] if steps else []
    return 1000 * statistics.median(paces) / lanes if paces else None


def _machine(members: Sequence[WorkFolder]) -> str:
    """This machine, and the day of the last run."""
    resolved = next(member.facts["resolved"] for member in members if "resolved" in member.facts)
    day = datetime.date.fromtimestamp(max(member.facts.get("ended") or 0 for member in members))
    return f"{benchmark.machine_name(Resolved(**resolved))}, {day.isoformat()}"


def _report(folder: WorkFolder, found: Ablation, command: str, machine: str) -> None:
    text = ablation_markdown(found)
    into = folder.stage_folder("report")
    write(into / "ablation.md", f"# {folder.facts['name']}\n\n{text}".encode())
    write(into / "ablation.png", ablation_picture(found))
    if command:
        write(into / "ablation.toml", ablation_evidence(found, command, machine).encode())
    folder.update(tags=folder.facts["tags"] | {"mlflow.note.content": text})
    for number, row in enumerate(found.rows):
        values = {f"ablation/{name}_mean": statistics.mean(there)
                  for name, column in row.columns(found.generator).items()
                  if (there := [value for value in column if value is not None])}
        folder.measure(number, values)
