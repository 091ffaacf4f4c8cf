"""A sweep: budgets x seeds, and a grid over recipe keys where wanted, trained in lane groups on this machine."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ssgan.data.dataset import Dataset
from ssgan.errors import Mistake, NothingFinished
from ssgan.experiments import cross_validation, report
from ssgan.experiments.grid import Plan, worker_count
from ssgan.experiments.member import Member
from ssgan.experiments.run import Setting
from ssgan.experiments.scheduler import folder_of, run_groups, summary_run
from ssgan.experiments.stages import ready_scoring, watched
from ssgan.techniques import draws_images
from ssgan.tracking import SWEEP_TAG
from ssgan.tracking.workfolder import WorkFolder
from ssgan.training.execution import find_device


@dataclass(frozen=True)
class Outcome:
    """A sweep that has come to its end."""

    folder: WorkFolder  # the summary run's
    members: list[WorkFolder]
    grid: dict[str, dict[str, Any]]  # the grid's values of each member, by fingerprint
    comparison: report.Comparison


def run_sweep(plan: Plan, dataset: Dataset, setting: Setting, targets: Sequence[float] = (),
              workers: int | None = 1) -> Outcome:
    """Runs every member that is not finished yet, and writes the report into the summary run's folder.

    `targets` are errors for which the report says how many labels they need. `workers` processes run members side by
    side, on data that they load by name; None chooses. Raises Mistake before anything is written,
    NothingFinished, with the Outcome, where no member came through, and Interrupted.
    """
    check_error(plan, dataset)
    with summary_run("sweep", plan, dataset, setting) as (folder, groups):
        tags = setting.tags | {SWEEP_TAG: folder.fingerprint}
        folders = run_members("sweep", plan, groups, dataset, replace(setting, tags=tags), workers)
        comparison = report.compare([report.of_folder(found) for found in folders], targets=targets)
        if comparison.series:
            _report(folder, plan, comparison)
        variants = plan.variants()
        grid = {found.fingerprint: variants[number * len(variants) // len(folders)][0]
                for number, found in enumerate(folders)}
        outcome = Outcome(folder, folders, grid, comparison)
        if len(comparison.failed) == len(folders):
            reasons = [failed.reason for failed in comparison.failed if failed.reason]
            raise NothingFinished(f"none of the {len(folders)} runs came through. The first: "
                                  f"{reasons[0] if reasons else 'it has not begun'}", outcome)
    return outcome


def run_members(kind: str, plan: Plan, groups: list[list[Member]], dataset: Dataset, setting: Setting,
                workers: int | None) -> list[WorkFolder]:
    """Runs every member that is not finished yet, to its scores; the folders of all, in the plan's order."""
    device = find_device(setting.device)
    count = worker_count(workers, groups, device)
    if count > 1 and draws_images(plan.recipe):  # once, into the cache, and not in every worker
        ready_scoring(plan.recipe, dataset, device, watched(setting.progress, setting.stop))
        setting.progress.end()
    run_groups(kind, plan, groups, dataset, setting, count)
    return [folder_of(member, dataset, setting) for member in plan.members()]


def check_error(plan: Plan, dataset: Dataset) -> None:
    """Raises Mistake where a budget's error can neither be measured nor estimated: a sweep is about nothing else."""
    plan.check(dataset)
    for budget in plan.budgets:
        if not dataset.tested and not cross_validation.stages(dataset, replace(plan.recipe, labels=budget)):
            raise Mistake(f"--labels {budget}: {dataset.name} has no test part, and with fewer than two classes of two "
                          f"labels or more nothing can be held out to estimate the error.\n"
                          f"Take more labels, or give the data a test part; a run alone is `ssgan run`.")


def _report(folder: WorkFolder, plan: Plan, comparison: report.Comparison) -> None:
    paths = report.write_report(comparison, folder.stage_folder("report"), title=folder.facts["name"])
    note = paths["markdown"].read_text(encoding="utf-8").partition("\n")[2].strip()  # MLflow shows the title itself
    folder.update(tags=folder.facts["tags"] | {"mlflow.note.content": note})
    for series in comparison.series[:1]:
        for row in series.rows:
            folder.measure(row.labels, row.measurements())
