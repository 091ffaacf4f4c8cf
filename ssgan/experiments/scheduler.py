"""The members of a plan, brought to their end on this machine one after the other or side by side; what is done is not
done again.
"""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from ssgan import tracking
from ssgan.data.dataset import Dataset
from ssgan.data.own_data import title
from ssgan.errors import Mistake, NothingFinished
from ssgan.experiments import cross_validation, identity
from ssgan.experiments.eta import Pace, roughly, share
from ssgan.experiments.executors.local import LocalExecutor
from ssgan.experiments.grid import Plan
from ssgan.experiments.member import Member, lost
from ssgan.experiments.run import Setting, begun_group, deliver_finished, joined_tags, stages_of, validation_error
from ssgan.experiments.units import STOPPED, Shown, run_unit, side_by_side
from ssgan.tracking.workfolder import WorkFolder
from ssgan.training.execution import find_device
from ssgan.training.loop import Interrupted

# of plans, and what MLflow calls their summary runs
KINDS = {"sweep": "summary", "tune": "tune-summary", "ablate": "ablation-summary"}


@contextlib.contextmanager
def summary_run(kind: str, plan: Plan, dataset: Dataset, setting: Setting) -> Iterator[
    tuple[WorkFolder, list[list[Member]]]]:
    """The folder of the run that sums a plan up, held until all is done and noting how that ended, and the lane groups,
    fixed when it is made.

    Raises Mistake before anything is written.
    """
    plan.check(dataset, setting.until)
    device = find_device(setting.device)
    if setting.store is not None:
        tracking.check_target(setting.store, setting.work)
    members = plan.members()
    ours = [folder_of(member, dataset, setting).fingerprint for member in members]
    name = identity.summary_folder_of(kind, members, plan.lanes, dataset.sha256, setting.work).fingerprint
    folder = WorkFolder.create(setting.work, name)
    with folder.lock():
        if kind not in folder.facts:
            folder.update(**_identity(kind, plan, plan.groups(dataset, device), dataset, name, ours))
        uri = setting.store.uri if setting.store else "none"
        folder.update(status="RUNNING", error=None, tracking_uri=tracking.public(uri),
                      experiment=setting.store and setting.store.experiment)
        try:
            yield folder, [[members[number] for number in numbers] for numbers in folder.facts[kind]["groups"]]
        except BaseException as error:
            killed = isinstance(error, Interrupted | KeyboardInterrupt | SystemExit)
            folder.update(status="KILLED" if killed else "FAILED", error=str(error) or type(error).__name__)
            if isinstance(error, NothingFinished):
                deliver_finished([folder], setting)
            raise
        finally:
            setting.progress.prefix = ""
        folder.update(status="FINISHED")
        deliver_finished([folder], setting)


def folder_of(member: Member, dataset: Dataset, setting: Setting) -> WorkFolder:
    """The member's work folder, which need not be there yet. Raises Mistake where its settings are not the member's."""
    return identity.folder_of(member, dataset.sha256, setting.work)


def run_groups(kind: str, plan: Plan, groups: list[list[Member]], dataset: Dataset, setting: Setting,
               workers: int) -> None:
    """Runs what is not done yet, up to `setting.until`; a unit that cannot be brought to its end is told, and does not
    stop the rest.
    """
    ours, names, progress = {member for group in groups for member in group}, _names(plan), setting.progress
    seen = {member for member in ours if _settled(member, dataset, setting)}
    pace, unsettled = Pace(len(ours) - len(seen), workers), {}
    if not progress.quiet:
        there = f", {len(seen)} of them done already" if seen else ""
        progress.say(f"{kind}: {len(ours)} runs{there}, "
                     f"{f'{workers} processes side by side' if workers > 1 else 'one after the other'}")

    def coming() -> Iterator[list[Member]]:
        given: set[Member] = set()
        for unit in (unit for group in groups for unit in _units(group, dataset, setting)):
            if given & set(unit):
                continue  # begun together with members of an earlier group, and given out with them
            given |= set(unit)
            unsettled[unit[0]] = sum(not _settled(member, dataset, setting) for member in unit)
            progress.prefix = f"{min(len(seen) + 1, len(ours))}/{len(ours)} " if workers == 1 else ""
            yield unit

    def shown(running: list[tuple[list[Member], str, float]]) -> None:
        shares = [(unsettled[unit[0]], share(unit[0].recipe, stage, part, setting.until,
                                             cross_validation.stages(dataset, unit[0].recipe)))
                  for unit, stage, part in running]
        left = pace.left(shares)
        progress.tell(len(seen), sum(count * done for count, done in shares),
                      f"about {roughly(left)} left" if left else "",
                      [(names.get(unit[0], _name(unit[0])) + _more(len(unit) - 1), stage, part)
                       for unit, stage, part in running])

    for unit, reason in _ended(kind, coming(), dataset, setting, workers, shown, len(ours)):
        if reason == STOPPED:
            continue
        seen |= ours & set(unit)
        new = unsettled[unit[0]]
        pace.done += new
        if (new or reason) and not progress.quiet:
            left = pace.left() if len(seen) < len(ours) and workers == 1 else None  # side by side, the bar tells
            told = [f"{names.get(member, _name(member))}: {_result(folder_of(member, dataset, setting), setting)}"
                    for member in unit[:4]]
            progress.say(f"{kind}: {len(seen)} of {len(ours)} runs; {reason or ', '.join(told) + _more(len(unit) - 4)}"
                         + (f"; about {roughly(left)} left" if left else ""))


def _identity(kind: str, plan: Plan, groups: list[list[Member]], dataset: Dataset, name: str,
              members: list[str]) -> dict[str, Any]:
    """What run.json says of the summary run; the groups are fixed here, as positions in the names of its members."""
    first = iter(range(len(plan.members())))
    numbers = [[next(first) for _ in group] for group in groups]
    budgets = ", ".join(map(str, plan.budgets))
    grid = f" × {', '.join(plan.grid)}" if plan.grid else f" × {len(plan.choices)} rows" if plan.choices else ""
    one = "s" * (len(plan.seeds) != 1)
    return {
        "name": f"{title(plan.recipe_name, dataset.name)} · {kind}: {budgets} labels × {len(plan.seeds)} seed{one}"
                f"{grid}",
        "kind": KINDS[kind], "dataset": dataset.name, "recipe_name": plan.recipe_name,
        "params": {"dataset": dataset.name, "recipe": plan.recipe_name, "budgets": budgets,
                   "seeds": _texts(seed for seed, _ in plan.seeds),
                   "split_seeds": _texts(split for _, split in plan.seeds), "validation": plan.recipe.split.validation,
                   "grid": "; ".join(plan.grid), **_rows(plan), "members": sum(map(len, numbers)),
                   "lanes": max(map(len, numbers))},
        "tags": tracking.environment_tags() | {"ssgan.kind": KINDS[kind], f"ssgan.{kind}": name},
        kind: {"groups": numbers, "members": members,
               "settings": identity.stored_plan(plan.members(), plan.lanes, dataset.sha256)}}


def _rows(plan: Plan) -> dict[str, str]:
    return {"rows": "; ".join(name or "as it is" for name in plan.names())} if plan.choices else {}


def _names(plan: Plan) -> dict[Member, str]:
    """What tells each member from the others."""
    each = len(plan.seeds) * len(plan.budgets)
    names = [name for name in plan.names() for _ in range(each)]
    return {member: ", ".join(filter(None, [name, _name(member)]))
            for name, member in zip(names, plan.members(), strict=True)}


def _name(member: Member) -> str:
    return f"{member.recipe.labels} labels, seed {member.seed}"


def _more(count: int) -> str:
    return f" and {count} more" if count > 0 else ""


def _result(folder: WorkFolder, setting: Setting) -> str:
    """How a member ended, in a word or two."""
    evaluation = folder.facts.get("result", {}).get("evaluation", {})
    error = validation_error(folder) if setting.until == "train" else evaluation.get("error")
    return folder.facts.get("status", "?") if error is None else f"{100 * error:.2f} %"


def _ended(kind: str, units: Iterator[list[Member]], dataset: Dataset, setting: Setting, workers: int, shown: Shown,
           total: int) -> Iterator[tuple[list[Member], str]]:
    """Every unit with why it could not be brought to its end, or nothing."""
    idle: list[list[Member]] = []  # what costs no training is done here, without a worker

    def busy() -> Iterator[list[Member]]:
        for unit in units:
            if workers > 1 and all(_settled(member, dataset, setting) for member in unit):
                idle.append(unit)
            else:
                yield unit

    if workers == 1:
        yield from ((unit, _run_unit(unit, dataset, setting)) for unit in busy())
        return
    setting.progress.begin_many(kind, total)
    threads = max(1, len(os.sched_getaffinity(0)) // workers)
    with LocalExecutor(workers, threads, setting.progress.say) as executor:
        yield from side_by_side(busy(), executor, dataset.name, setting, shown)
    setting.progress.end()
    yield from ((unit, _run_unit(unit, dataset, setting)) for unit in idle)


def _run_unit(unit: list[Member], dataset: Dataset, setting: Setting) -> str:
    folders = [folder_of(member, dataset, setting) for member in unit]
    try:
        for folder in folders:
            _tie(folder, setting.tags)
    except Mistake as mistake:
        return str(mistake).splitlines()[0]
    if all(map(lost, folders)):
        return ""  # it would be lost at the same step again
    return run_unit(unit, dataset, setting)


def _units(group: list[Member], dataset: Dataset, setting: Setting) -> Iterator[list[Member]]:
    """A planned group as it can be run now: members that were begun before go on as they were, the others together."""
    begun: dict[tuple[Member, ...], None] = {}
    for member in group:
        folder = folder_of(member, dataset, setting)
        if folder.facts.get("settings"):
            begun[tuple(begun_group(member, folder))] = None
    yield from (list(unit) for unit in begun)
    fresh = [member for member in group if not any(member in unit for unit in begun)]
    if fresh:
        yield fresh


def _settled(member: Member, dataset: Dataset, setting: Setting) -> bool:
    """Whether nothing is left to be done, up to `setting.until`."""
    folder = folder_of(member, dataset, setting)
    finished = (folder.facts.get("status") == "FINISHED"
                and all(map(folder.stage_finished, stages_of(member, setting.until))))
    return finished or lost(folder)


def _tie(folder: WorkFolder, tags: dict[str, str]) -> None:
    """Gives a run that is there already the tag of this sweep or tuning."""
    known = folder.facts.get("tags", {})
    joined = known | joined_tags(folder, tags)
    if joined != known and folder.facts:
        with folder.lock():
            folder.update(tags=joined)


def _texts(numbers) -> str:
    return ",".join(map(str, dict.fromkeys(numbers)))
