"""A sweep: budgets x seeds, and a grid over recipe keys where wanted, trained in lane groups on this machine."""

import itertools
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ssgan import efficiency, tracking
from ssgan.config import Recipe, fingerprint, flatten, override
from ssgan.data.sources import Dataset
from ssgan.errors import Failed, Mistake
from ssgan.progress import duration
from ssgan.resolve import find_device
from ssgan.runs import SWEEP_TAG, Setting, begun_group, deliver_finished, run_group, sweep_tag
from ssgan.stages import Member, lost, make_split
from ssgan.trainer import pair_size
from ssgan.training import Interrupted
from ssgan.workfolder import WorkFolder

MOST_MEMBERS = 10_000
MOST_LANES = 40
LANE_BYTES = 64  # for each parameter of a pair: weights, gradients, Adam's moments, averages and copies, with room to spare
LANE_ROOM = 2**28  # bytes for a lane's images, noise and activations
FAULTS = (Failed, Mistake, OSError, RuntimeError, MemoryError)  # of one group, which the others need not share; torch's are RuntimeErrors


@dataclass(frozen=True)
class Plan:
    """What a sweep is to do, fixed when it is made."""

    recipe: Recipe
    recipe_name: str
    budgets: tuple[int, ...]
    seeds: tuple[tuple[int, int], ...]  # training seed, split seed
    grid: tuple[str, ...] = ()  # "key=value,value"
    lanes: int | None = None  # None: by the device

    def variants(self) -> list[tuple[dict[str, Any], Recipe]]:
        """Every combination of the grid's values, with its recipe. Raises Mistake."""
        keys = [assignment.partition("=")[0].strip() for assignment in self.grid]
        for key in keys:
            if keys.count(key) > 1:
                raise Mistake(f"--grid {key} is there twice: write its values in one, --grid {key}=a,b.")
            if key in ("labels", "dataset") or key.startswith("evaluate."):
                raise Mistake(f"--grid {key}: {REFUSED.get(key, 'it changes no training; set it for the whole sweep with --set')}.")
        axes = [[f"{key}={value}" for value in _values(assignment)] for key, assignment in zip(keys, self.grid)]
        found: list[tuple[dict[str, Any], Recipe]] = []
        for choice in itertools.product(*axes):
            recipe = override(self.recipe, list(choice), option="--grid")
            if any(recipe == other for _, other in found):
                raise Mistake(f"--grid {' --grid '.join(self.grid)}: {', '.join(choice)} comes twice; write every value once.")
            found.append(({key: flatten(recipe)[key] for key in keys}, recipe))
        return found

    def members(self) -> list[Member]:
        """Every run, seed by seed, so that the whole curve is there soon and then grows surer."""
        return [Member(replace(recipe, labels=budget), seed, split_seed, self.recipe_name)
                for _, recipe in self.variants() for seed, split_seed in self.seeds for budget in self.budgets]

    def check(self, dataset: Dataset) -> None:
        """Raises Mistake for what cannot be done, before anything is written."""
        count = len(self.variants()) * len(self.seeds) * len(self.budgets)
        if count > MOST_MEMBERS:
            raise Mistake(f"a sweep of {count:,} runs: the most is {MOST_MEMBERS:,}; take fewer budgets, seeds or values of the grid.")
        for _, recipe in self.variants():
            for budget in self.budgets:
                make_split(Member(replace(recipe, labels=budget), *self.seeds[0]), dataset)

    def groups(self, dataset: Dataset, device: str) -> list[list[Member]]:
        """The members in lane groups of about the same size; lanes of a group differ in seeds and budget alone."""
        each = len(self.seeds) * len(self.budgets)
        members, found = self.members(), []
        for start in range(0, len(members), each):
            part = members[start: start + each]
            most = self.lanes or default_lanes(pair_size(part[0].recipe, dataset.train), device)
            number = -(-each // most)
            found += [part[i * each // number: (i + 1) * each // number] for i in range(number)]
        return found


REFUSED = {"labels": "label budgets are named with --labels 20,50,100", "dataset": "a sweep is over one data set; make one for each"}


def default_lanes(parameters: int, device: str) -> int:
    """How many models of that size train at once. On a CPU one: its cores are busy with it, and lanes cost a batched program's overhead.

    Measured with digits on two cores: 2 lanes took 1.6 times as long for each as 1 alone, 4 lanes 1.1 times, 8 lanes 0.85 times.
    """
    if not device.startswith("cuda"):
        return 1
    import torch

    memory = torch.cuda.get_device_properties(device).total_memory
    return max(1, min(MOST_LANES, memory // 2 // (LANE_BYTES * parameters + LANE_ROOM)))


@dataclass(frozen=True)
class Outcome:
    """A sweep that has come to its end."""

    folder: WorkFolder  # the summary run's
    members: list[WorkFolder]
    grid: dict[str, dict[str, Any]]  # the grid's values of each member, by fingerprint
    comparison: efficiency.Comparison


def run_sweep(plan: Plan, dataset: Dataset, setting: Setting, targets: Sequence[float] = ()) -> Outcome:
    """Runs every member that is not finished yet, and writes the report into the summary run's folder.

    `targets` are errors for which the report says how many labels they need. Raises Mistake before anything is written, Failed
    where no member came through, Interrupted.
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
            _run_groups(groups, dataset, replace(setting, tags=setting.tags | {SWEEP_TAG: identity}))
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


def _run_groups(groups: list[list[Member]], dataset: Dataset, setting: Setting) -> None:
    """One group after the other; a faulty one is told, and does not stop the rest."""
    ours, began, fresh = {member for group in groups for member in group}, time.monotonic(), 0
    seen: set[Member] = set()
    for group in groups:
        for unit in _units(group, dataset, setting):
            setting.progress.prefix = f"{len(seen) + 1}/{len(ours)} "
            folders = [_folder(member, dataset, setting) for member in unit]
            before = sum(map(_settled, folders))
            reason = _run_unit(unit, folders, dataset, setting)
            seen |= ours & set(unit)
            fresh += len(unit) - before
            if (before < len(unit) or reason) and not setting.progress.quiet:
                left = (time.monotonic() - began) / max(1, fresh) * (len(ours) - len(seen))
                ahead = f"; about {duration(left)} left" if left and fresh else ""
                setting.progress.say(f"sweep: {len(seen)} of {len(ours)} runs; {_told(folders, reason)}{ahead}")


def _run_unit(unit: list[Member], folders: list[WorkFolder], dataset: Dataset, setting: Setting) -> str:
    """Brings a unit to its end; returns why it could not be brought there, or nothing."""
    try:
        for folder in folders:
            _tie(folder, setting.tags[SWEEP_TAG])
        if not all(lost(folder) for folder in folders):  # it would be lost at the same step again
            run_group(unit, dataset, setting)
    except FAULTS as error:
        return (str(error) or type(error).__name__).splitlines()[0]
    return ""


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


def _values(assignment: str) -> list[str]:
    """The values of `key=a,b`: parted at commas outside brackets. Raises Mistake."""
    values = re.split(r",(?![^\[]*\])", assignment.partition("=")[2])
    if not all(value.strip() for value in values):
        raise Mistake(f"--grid {assignment}: write it as key=value,value, for example --grid train.epochs=50,100.")
    return [value.strip() for value in values]


def _texts(numbers) -> str:
    return ",".join(map(str, dict.fromkeys(numbers)))
