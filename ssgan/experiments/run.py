"""Runs from start to end: work folders, locks, tracking, the stages in order, and the way it ended."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ssgan import tracking
from ssgan.data.dataset import Dataset
from ssgan.data.own_data import title
from ssgan.errors import Failed, Mistake
from ssgan.evaluation.baselines import trained_without
from ssgan.evaluation.classifier import class_table
from ssgan.evaluation.metrics import are_uneven, balanced_error
from ssgan.evaluation.score_names import today, with_old_names
from ssgan.experiments.identity import folder_of, stored_settings
from ssgan.experiments.idle_core import baselines_beside
from ssgan.experiments.interrupt import Stop
from ssgan.experiments.member import Group, Member, lost
from ssgan.experiments.progress import Progress
from ssgan.experiments.stages import check, evaluate, saved_split, score, split, train
from ssgan.settings import flatten
from ssgan.techniques import draws_images
from ssgan.tracking.workfolder import STAGES, WorkFolder
from ssgan.training.execution import Resolved, compiled_for, find_device, uncompiled_for
from ssgan.training.loop import Interrupted

FINAL_DELIVERY_SECONDS = 60.0
SCORED = (  # what is told of a run's scores
    *(f"{score}{end}" for score in ("inception_score", "efficientnet_score") for end in ("", "_std", "_real")),
    *(f"{score}{end}" for score in ("fid", "kid", "precision", "recall", "generated_only_error")
      for end in ("", "_real")), "inception_score_matched", "generated_only_errors", "class_agreement", "network",
    "score_network", "score_network_error", "score_settings", "samples", "splits", "samples_per_split",
    "real_samples", "frechet_samples_real", "test_images", "test_images_real", "train_images", "generators")
TUNE_TAG = "ssgan.tune"  # the ids of the tunings that a run belongs to


@dataclass
class Setting:
    """Where runs happen and who is told: everything that does not change a result."""

    work: Path  # the folder of work folders
    store: tracking.Store | None
    device: str = "auto"
    data_source: str = ""
    progress: Progress = field(default_factory=Progress)
    stop: Stop = field(default_factory=Stop)
    tags: dict[str, str] = field(default_factory=dict)
    until: str = "score"  # the last stage of the members of a sweep
    beside: bool = False  # whether a core that a run leaves idle trains the networks of its baselines
    estimate: bool = True  # whether the error is estimated by cross-validation where there is no test part


def run_group(members: list[Member], dataset: Dataset, setting: Setting, *, until: str = "score",
              again: bool = False) -> list[WorkFolder]:
    """Brings members that differ in seeds and budget alone through the stages, up to `until`; returns their work
    folders.

    What is done already is not done again, unless `again`; a lone member that was begun in a lane group goes on with
    all of it. Raises Mistake, Failed, Interrupted; however it ends, the folders say how, and the store is told.
    """
    for line in dict.fromkeys(line for member in members for line in _check(member, dataset, setting, until, again)):
        setting.progress.say(line)
    find_device(setting.device)
    if setting.store is not None:
        tracking.check_target(setting.store, setting.work)
    asked = [_folder(member, dataset, setting.work, again) for member in members]
    members = begun_group(members[0], asked[0]) if len(members) == 1 else members
    folders = [_folder(member, dataset, setting.work, again=False) for member in members]
    with contextlib.ExitStack() as held:
        for folder in folders:
            held.enter_context(folder.lock())
        if all(lost(folder) for folder in folders):  # another try, from the last good checkpoint
            for folder in folders:
                folder.update(failure=None)
        wanted = stages_of(members[0], until)
        if all(lost(folder) or all(folder.stage_finished(stage) for stage in wanted) for folder in folders):
            for folder in folders:
                # killed between its last stage and its end
                if folder.facts["status"] != "FINISHED" and not lost(folder):
                    folder.update(status="FINISHED", error=None)
            deliver_finished(folders, setting)
            return _came_through(asked)
        _bring_through(members, folders, dataset, setting, wanted)
    return _came_through(asked)


def _bring_through(members: list[Member], folders: list[WorkFolder], dataset: Dataset, setting: Setting,
                   wanted: list[str]) -> None:
    """Brings members whose folders are held through the stages that are wanted of them."""
    idle = setting.beside and "evaluate" in wanted and dataset.tested
    group = _group(members, folders, dataset, setting, beside=idle)
    with contextlib.ExitStack() as beside:
        if idle:  # before the step is compiled, which leaves a core idle too
            baselines = beside.enter_context(baselines_beside(group, setting.data_source, scored="score" in wanted))
            group.alone = baselines.wait if baselines else group.alone
        _begin(group, setting)
        with _tracked(group, setting):
            tables = split(group)
            with beside.pop_all():  # so that its process has ended before the way that the run ends is noted
                if "train" in wanted:
                    train(group, tables)
                group.alone()
            if "evaluate" in wanted:
                evaluate(group, tables)
            if "score" in wanted:
                score(group)
            _finish(folders)


def stages_of(member: Member, until: str) -> list[str]:
    """The stages up to `until` that a run of the member has."""
    return [stage for stage in STAGES[: STAGES.index(until) + 1] if stage != "score" or draws_images(member.recipe)]


def stage_again(folder: WorkFolder, member: Member, dataset: Dataset, setting: Setting, stage: str) -> None:
    """Does `evaluate` or `score` once more on a run that has been trained; its results go where the first ones are.

    Raises Mistake before anything is written.
    """
    if stage == "score" and not draws_images(member.recipe):
        raise Mistake(f"{name_of(folder)[:8]} was trained without a generator: there is nothing to score.")
    there, here = folder.facts["settings"]["data"], dataset.sha256
    if there != here:
        raise Mistake(f"this run was made from {dataset.name} with SHA-256 {there[:16]}, and the data here have "
                      f"{here[:16]}: name the folder of its own data with --data-dir.")
    if (folder.path / "split" / "split.npz").exists():
        saved_split(folder, dataset)
    check(member.recipe, dataset, stage, name_of(folder)[:8])
    with folder.lock():
        group = _group([member], [folder], dataset, setting)
        _begin(group, setting)
        with _tracked(group, setting):
            tables = split(group)
            evaluate(group, tables, again=True) if stage == "evaluate" else score(group, again=True)
            _finish([folder])


def summary(folder: WorkFolder) -> dict[str, Any]:
    """What `--json` prints of one run."""
    facts = folder.facts
    result, evaluation = facts.get("result", {}), facts.get("result", {}).get("evaluation", {})
    found = {key: facts.get(key) for key in ("dataset", "labels", "seed", "split_seed", "status", "error")}
    found |= {f"test_{key}": evaluation.get(key) for key in ("error", "wrong", "total")}
    found["test_error_interval"] = [evaluation["low"], evaluation["high"]] if "low" in evaluation else None
    found |= _kind_of_error(evaluation)
    found["baselines"] = {row["name"]: row["error"] for row in result.get("baselines", [])}
    # of older runs not known
    found["balanced_baselines"] = {row["name"]: row.get("balanced_error") for row in result.get("baselines", [])}
    scores = today(result.get("score", {}))
    found |= with_old_names({key: scores.get(key) for key in SCORED})
    found["waiting"] = facts.get("waiting")
    found["seconds"] = {name: stage["seconds"] for name, stage in facts.get("stages", {}).items()}
    return {"run_id": name_of(folder), "name": facts.get("name"), **found,
            "folder": str(folder.path)}


def _kind_of_error(evaluation: dict[str, Any]) -> dict[str, Any]:
    """Where the error is from, and what else the same answers tell; of older runs too, whose answers are counted."""
    counts = np.array(evaluation["confusion"]) if "confusion" in evaluation else None
    classes = evaluation.get("per_class", {})
    return {
        "error_from": evaluation.get("error_from", "test") if evaluation else None,
        "error_reason": evaluation.get("reason"), "folds": evaluation.get("folds"),
        "not_estimated": evaluation.get("not_estimated", {}),
        "balanced_error": None if counts is None else balanced_error(counts),
        "uneven_classes": None if counts is None else are_uneven(counts.sum(1)),
        "per_class": None if counts is None else class_table(counts, classes)}


def name_of(folder: WorkFolder) -> str:
    """What a person may call a run: its id in the store, or else the folder's name."""
    return (tracking.run_ids(folder) or [folder.fingerprint])[-1]


def validation_error(folder: WorkFolder) -> float | None:
    """The averaged classifier's error on the validation images after the last step; None without such images, or before
    it is trained.
    """
    if not folder.stage_finished("train"):
        return None
    return max(((step, values["val/error"]) for _, step, _, values in folder.measurements() if "val/error" in values),
               default=(0, None))[1]


def begun_group(member: Member, folder: WorkFolder) -> list[Member]:
    """The lane group in which an unfinished member was begun: the unit of checkpoint and retry. The member alone, if in
    none.
    """
    facts = folder.facts
    if facts.get("status") == "FINISHED" or len(facts.get("group", [])) < 2:
        return [member]
    return [replace(member, recipe=replace(member.recipe, labels=labels), seed=seed, split_seed=split_seed)
            for labels, seed, split_seed in facts["group"]]


def _check(member: Member, dataset: Dataset, setting: Setting, until: str, again: bool) -> list[str]:
    """What `check` says of a member, where nothing is made that is there already. Raises Mistake."""
    folder = folder_of(member, dataset.sha256, setting.work)
    if again or not folder.stage_finished("train"):
        return check(member.recipe, dataset, until)
    last = "evaluate" if folder.stage_finished("score") else until  # scored it may be by other settings than its own
    check(member.recipe, dataset, last, name_of(folder)[:8])
    return []


def _came_through(folders: list[WorkFolder]) -> list[WorkFolder]:
    """The folders again. Raises Failed where training ended none of them well."""
    if all(lost(folder) for folder in folders):
        raise Failed(folders[0].facts["error"])
    return folders


def _folder(member: Member, dataset: Dataset, work: Path, again: bool) -> WorkFolder:
    """The member's work folder, made if it is not there; `again` sets a finished one aside, where it stays whole."""
    folder = folder_of(member, dataset.sha256, work)
    while again and folder.facts.get("status") == "FINISHED":
        name = folder.fingerprint
        number = next(n for n in range(1, 10**6) if not (work / f"{name}-{n}").exists())
        with folder.lock():
            folder.path.rename(folder.path.with_name(f"{name}-{number}"))
        folder = folder_of(member, dataset.sha256, work)
    return WorkFolder.create(work, folder.fingerprint)


def _group(members: list[Member], folders: list[WorkFolder], dataset: Dataset, setting: Setting, *,
           beside: bool = False) -> Group:
    """The group with what was resolved at its start: read where it is stored, else what of it is found at once.
    `beside`: whether its baselines are trained at the same time.
    """
    stored = folders[0].facts.get("resolved")
    recipe = members[0].recipe
    if stored:
        resolved = Resolved(**stored)
        if setting.device != "auto" and find_device(setting.device) != resolved.device:
            raise Mistake(f"--device {setting.device}: this run began on {resolved.device} and goes on there.\n"
                          f"Leave --device out, or start anew with --again after it has finished.")
    else:
        # Two networks at once on half of the cores each do more than one after the other on all.
        at_once = 2 if beside and trained_without(recipe) else 1
        resolved = uncompiled_for(recipe, dataset.train, setting.device, at_once)
    return Group(members, folders, dataset, resolved, setting.progress, setting.stop, estimate=setting.estimate)


def _begin(group: Group, setting: Setting) -> None:
    """Decides the rest of what is resolved at the start, where that is not stored; then stores what a run is, and that
    it runs. Raises Mistake.
    """
    members, folders, dataset = group.members, group.folders, group.dataset
    if "resolved" not in folders[0].facts:
        try:
            group.resolved = compiled_for(group.resolved, group.recipe, dataset.train,
                                          lambda: setting.progress.begin("compiling the step", 0))
        finally:
            setting.progress.end()
    resolved = group.resolved
    tags = {f"ssgan.{key}": str(value)
            for key, value in resolved.table().items()} | tracking.environment_tags() | setting.tags
    for member, folder in zip(members, folders):
        uri = setting.store.uri if setting.store else "none"
        facts = {"tracking_uri": tracking.public(uri), "experiment": setting.store.experiment if setting.store
                 else None}
        if folder.facts.get("status") != "FINISHED" and not lost(folder):
            facts |= {"status": "RUNNING", "error": None, "tags": tags | joined_tags(folder, tags)}
        else:
            facts |= {"tags": folder.facts["tags"] | joined_tags(folder, tags)}
        if "settings" not in folder.facts:
            lanes = [[other.recipe.labels, other.seed, other.split_seed] for other in members]
            facts |= _identity(member, dataset, setting) | {"resolved": resolved.table(), "group": lanes}
        folder.update(**facts)


def joined_tags(folder: WorkFolder, tags: dict[str, str]) -> dict[str, str]:
    """The tags of the sweeps, tunings and ablations that a run belongs to, with those among `tags`; {} where there is
    none.
    """
    known = folder.facts.get("tags", {})
    found = {tag: " ".join(dict.fromkeys(f"{known.get(tag, '')} {tags.get(tag, '')}".split()))
             for tag in (tracking.SWEEP_TAG, TUNE_TAG, tracking.ABLATION_TAG)}
    return {tag: identities for tag, identities in found.items() if identities}


def _identity(member: Member, dataset: Dataset, setting: Setting) -> dict[str, Any]:
    recipe = member.recipe
    seeds = {"seed": member.seed, "split_seed": member.split_seed}
    same = member.seed == member.split_seed
    text = f"seed {member.seed}" if same else f"split {member.split_seed}, seed {member.seed}"
    return {
        "name": f"{title(member.recipe_name, recipe.dataset)} · {recipe.labels} labels · {text}",
        "dataset": recipe.dataset, "labels": recipe.labels, **seeds, "recipe_name": member.recipe_name,
        "settings": stored_settings(member, dataset.sha256),
        "params": flatten(recipe) | seeds | {"recipe": member.recipe_name},
        "inputs": {"name": dataset.name, "sha256": dataset.sha256, "source": setting.data_source or dataset.name,
                   "train": len(dataset.train), "test": len(dataset.test or ()), "classes": list(dataset.classes)}}


@contextlib.contextmanager
def _tracked(group: Group, setting: Setting) -> Iterator[None]:
    """Delivers beside the work, and notes how it ended."""
    delivery = tracking.Delivery(group.folders, setting.store, root=setting.work)
    delivery.start()
    try:
        yield
    except BaseException as error:
        status = "KILLED" if isinstance(error, Interrupted | KeyboardInterrupt | SystemExit) else "FAILED"
        for folder in group.folders:
            if folder.facts.get("status") == "RUNNING":
                folder.update(status=status, error=str(error) or type(error).__name__)
        raise
    finally:
        setting.progress.end()
        waiting = delivery.finish(FINAL_DELIVERY_SECONDS)
        if setting.store is not None:
            for folder, reason in waiting:
                setting.progress.say(f"not in MLflow yet: {folder.facts.get('name')}: {reason}; "
                                     f"`ssgan deliver{setting.store.options()}` or the next run brings it in")
        for folder, run_id, reason in delivery.brought:
            if run_id:
                setting.progress.say(f"brought into MLflow from an earlier run: {folder.facts.get('name')}")


def _finish(folders: list[WorkFolder]) -> None:
    for folder in folders:
        if folder.facts["status"] == "RUNNING":
            folder.update(status="FINISHED")


def deliver_finished(folders: list[WorkFolder], setting: Setting) -> None:
    """A finished run costs no MLflow, unless it is not in the store yet."""
    if setting.store is None or all(tracking.delivered(folder, setting.store) for folder in folders):
        return
    delivery = tracking.Delivery(folders, setting.store)
    for folder, reason in delivery.finish(FINAL_DELIVERY_SECONDS):
        setting.progress.say(f"not in MLflow yet: {reason}")
