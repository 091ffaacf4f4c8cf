"""A sweep: budgets x seeds, and a grid over recipe keys where wanted, trained in lane groups on this machine."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ssgan import efficiency, scoring, tracking
from ssgan.config import fingerprint
from ssgan.data.sources import Dataset
from ssgan.errors import Failed, Mistake
from ssgan.pace import Pace, roughly, share
from ssgan.plan import Plan, default_workers
from ssgan.resolve import find_device
from ssgan.runs import SWEEP_TAG, Setting, begun_group, deliver_finished, sweep_tag
from ssgan.stages import Member, lost
from ssgan.training import Interrupted
from ssgan.workers import Shown, run_unit, side_by_side
from ssgan.workfolder import WorkFolder

@dataclass(frozen=True)
class Outcome:
    """A sweep that has come to its end."""

    folder: WorkFolder  # the summary run's
    members: list[WorkFolder]
    grid: dict[str, dict[str, Any]]  # the grid's values of each member, by fingerprint
    comparison: efficiency.Comparison


def run_sweep(plan: Plan, dataset: Dataset, setting: Setting, targets: Sequence[float] = (), workers: int | None = 1) -> Outcome:
    """Runs every member that is not finished yet, and writes the report into the summary run's folder.

    `targets` are errors for which the report says how many labels they need. `workers` processes run members side by side, on data
    that they load by name; None chooses. Raises Mistake before anything is written, Failed where no member came through, Interrupted.
    """
    plan.check(dataset)
    device = find_device(setting.device)
    members = plan.members()
    if setting.store is not None:
        setting.store.check()
    identity = fingerprint({"sweep": [member.settings(dataset.sha256) for member in members], "lanes": plan.lanes})
    folder = WorkFolder.create(setting.work, identity)
    with folder.lock():
        if "sweep" not in folder.facts:
            folder.update(**_identity(plan, plan.groups(dataset, device), dataset, identity))
        uri = setting.store.uri if setting.store else "none"
        folder.update(status="RUNNING", error=None, tracking_uri=tracking.public(uri), experiment=setting.store and setting.store.experiment)
        groups = [[members[number] for number in numbers] for numbers in folder.facts["sweep"]["groups"]]
        try:
            count = min(len(groups), default_workers(plan, dataset, device) if workers is None else workers)
            if count > 1 and plan.recipe.gan.weight > 0 and (dataset.train.labels >= 0).all():
                setting.progress.begin("network", 0)  # once, into the cache, and not in every worker
                scoring.domain_classifier(dataset.train, dataset.test, device, setting.progress.update)
                setting.progress.end()
            _run_groups(groups, dataset, replace(setting, tags=setting.tags | {SWEEP_TAG: identity}), count)
            folders = [_folder(member, dataset, setting) for member in members]
            comparison = _compare(folders, targets)
            _report(folder, plan, comparison)
        except BaseException as error:
            killed = isinstance(error, Interrupted | KeyboardInterrupt | SystemExit)
            folder.update(status="KILLED" if killed else "FAILED", error=str(error) or type(error).__name__)
            raise
        finally:
            setting.progress.prefix = ""
        folder.update(status="FINISHED")
        deliver_finished([folder], setting)
    variants = plan.variants()
    grid = {found.fingerprint: variants[number * len(variants) // len(folders)][0] for number, found in enumerate(folders)}
    return Outcome(folder, folders, grid, comparison)


def _identity(plan: Plan, groups: list[list[Member]], dataset: Dataset, identity: str) -> dict[str, Any]:
    """What run.json says of the summary run; the groups are fixed here, as positions in the list of members."""
    first = iter(range(len(plan.members())))
    numbers = [[next(first) for _ in group] for group in groups]
    budgets = ", ".join(map(str, plan.budgets))
    grid = f" × {', '.join(plan.grid)}" if plan.grid else ""
    one = "s" * (len(plan.seeds) != 1)
    return {
        "name": f"{plan.recipe_name or dataset.name} · sweep: {budgets} labels × {len(plan.seeds)} seed{one}{grid}",
        "kind": "summary", "dataset": dataset.name, "recipe_name": plan.recipe_name,
        "params": {"dataset": dataset.name, "recipe": plan.recipe_name, "budgets": budgets, "seeds": _texts(seed for seed, _ in plan.seeds),
                   "split_seeds": _texts(split for _, split in plan.seeds), "grid": "; ".join(plan.grid), "members": sum(map(len, numbers)),
                   "lanes": max(map(len, numbers))},
        "tags": tracking.environment_tags() | {"ssgan.kind": "summary", SWEEP_TAG: identity},
        "sweep": {"groups": numbers, "members": [fingerprint(member.settings(dataset.sha256)) for member in plan.members()]}}


def _run_groups(groups: list[list[Member]], dataset: Dataset, setting: Setting, workers: int) -> None:
    """Runs what is not done yet; a unit that cannot be brought to its end is told, and does not stop the rest."""
    ours, progress = {member for group in groups for member in group}, setting.progress
    seen = {member for member in ours if _settled(_folder(member, dataset, setting))}
    pace, unsettled = Pace(len(ours) - len(seen), workers), {}
    if not progress.quiet:
        there = f", {len(seen)} of them done already" if seen else ""
        progress.say(f"sweep: {len(ours)} runs{there}, {f'{workers} processes side by side' if workers > 1 else 'one after the other'}")

    def coming() -> Iterator[list[Member]]:
        given: set[Member] = set()
        for unit in (unit for group in groups for unit in _units(group, dataset, setting)):
            if given & set(unit):
                continue  # begun together with members of an earlier group, and given out with them
            given |= set(unit)
            folders = [_folder(member, dataset, setting) for member in unit]
            unsettled[folders[0].fingerprint] = sum(not _settled(folder) for folder in folders)
            progress.prefix = f"{min(len(seen) + 1, len(ours))}/{len(ours)} " if workers == 1 else ""
            yield unit

    def shown(running: list[tuple[list[Member], str, float]]) -> None:
        counts = [unsettled[_folder(unit[0], dataset, setting).fingerprint] for unit, *_ in running]
        shares = [(count, share(unit[0].recipe, stage, part)) for count, (unit, stage, part) in zip(counts, running)]
        left = pace.left(shares)
        progress.tell(len(seen) + sum(count * done for count, done in shares), f"about {roughly(left)} left" if left else "",
                      [(_named(unit), stage, part) for unit, stage, part in running])

    for unit, reason in _ended(coming(), dataset, setting, workers, shown, len(ours)):
        seen |= ours & set(unit)
        folders = [_folder(member, dataset, setting) for member in unit]
        new = unsettled[folders[0].fingerprint]
        pace.done += new
        if (new or reason) and not progress.quiet:
            left = pace.left() if len(seen) < len(ours) and workers == 1 else None  # side by side, the bar tells
            progress.say(f"sweep: {len(seen)} of {len(ours)} runs; {_told(folders, reason)}" + (f"; about {roughly(left)} left" if left else ""))


def _named(unit: list[Member]) -> str:
    first = unit[0]
    return f"{first.recipe.labels} labels, seed {first.seed}" + (f" and {len(unit) - 1} more" if len(unit) > 1 else "")


def _ended(units: Iterator[list[Member]], dataset: Dataset, setting: Setting, workers: int, shown: Shown, total: int) -> Iterator[tuple[list[Member], str]]:
    """Every unit with why it could not be brought to its end, or nothing."""
    idle: list[list[Member]] = []  # what costs no training is done here, without a worker

    def busy() -> Iterator[list[Member]]:
        for unit in units:
            folders = [_folder(member, dataset, setting) for member in unit]
            if workers > 1 and all(map(_settled, folders)):
                idle.append(unit)
            else:
                yield unit

    if workers == 1:
        yield from ((unit, _run_unit(unit, dataset, setting)) for unit in busy())
        return
    setting.progress.begin_many("sweep", total)
    with contextlib.closing(side_by_side(busy(), workers, dataset.name, setting, shown)) as ends:
        yield from ends
    setting.progress.end()
    yield from ((unit, _run_unit(unit, dataset, setting)) for unit in idle)


def _run_unit(unit: list[Member], dataset: Dataset, setting: Setting) -> str:
    try:
        for member in unit:
            _tie(_folder(member, dataset, setting), setting.tags[SWEEP_TAG])
    except Mistake as mistake:
        return str(mistake).splitlines()[0]
    if all(lost(_folder(member, dataset, setting)) for member in unit):
        return ""  # it would be lost at the same step again
    return run_unit(unit, dataset, setting)


def _units(group: list[Member], dataset: Dataset, setting: Setting) -> Iterator[list[Member]]:
    """A planned group as it can be run now: members that were begun before go on as they were, the others together."""
    begun: dict[tuple[Member, ...], None] = {}
    for member in group:
        folder = _folder(member, dataset, setting)
        if folder.facts.get("settings"):
            begun[tuple(begun_group(member, folder))] = None
    yield from (list(unit) for unit in begun)
    fresh = [member for member in group if not any(member in unit for unit in begun)]
    if fresh:
        yield fresh


def _settled(folder: WorkFolder) -> bool:
    return folder.facts.get("status") == "FINISHED" or lost(folder)


def _tie(folder: WorkFolder, sweep: str) -> None:
    """Gives a run that is there already the tag of this sweep."""
    facts = folder.facts
    if sweep not in facts.get("tags", {}).get(SWEEP_TAG, "").split() and facts:
        with folder.lock():
            folder.update(tags=facts.get("tags", {}) | sweep_tag(folder, sweep))


def _told(folders: list[WorkFolder], reason: str) -> str:
    """How a unit ended, in a few words."""
    if reason:
        return reason
    found = []
    for folder in folders[:4]:
        facts = folder.facts
        error = facts.get("result", {}).get("evaluation", {}).get("error")
        found.append(f"{facts.get('labels')} labels, seed {facts.get('seed')}: " + (facts.get("status", "?") if error is None else f"{100 * error:.2f} %"))
    return ", ".join(found) + (f" and {len(folders) - 4} more" if len(folders) > 4 else "")


def _compare(folders: list[WorkFolder], targets: Sequence[float]) -> efficiency.Comparison:
    """The comparison of the members. Raises Failed where none came through."""
    results = [efficiency.of_folder(folder) for folder in folders]
    if not any(result.error is not None for result in results):
        errors = [folder.facts["error"] for folder in folders if folder.facts.get("error")]
        raise Failed(f"none of the {len(folders)} runs came through. The first: {errors[0] if errors else 'it has not begun'}")
    return efficiency.compare(results, targets=targets)


def _report(folder: WorkFolder, plan: Plan, comparison: efficiency.Comparison) -> None:
    paths = efficiency.write_report(comparison, folder.stage_folder("report"), title=folder.facts["name"])
    note = paths["markdown"].read_text(encoding="utf-8").partition("\n")[2].strip()  # MLflow shows the title itself
    folder.update(tags=folder.facts["tags"] | {"mlflow.note.content": note})
    for series in comparison.series[:1]:
        for row in series.rows:
            folder.measure(row.labels, row.measurements())


def _folder(member: Member, dataset: Dataset, setting: Setting) -> WorkFolder:
    return WorkFolder(setting.work / fingerprint(member.settings(dataset.sha256)))


def _texts(numbers) -> str:
    return ",".join(map(str, dict.fromkeys(numbers)))
