"""Which runs are the same one: their fingerprints, and the work folders that runs and summaries of runs have.

A fingerprint is taken over the keys of a recipe that differ from their defaults, so that a new key renames no run. The
work folder stores every key with its value (run.json, `settings`), and these decide: before a folder is gone on with,
or its result is taken, they are compared with what is asked. Stored keys are read under today's names; one that a
folder lacks is as `config.unsaid` has it.

A run that was made before may lie under another name than today's fingerprint, and is used in place:

- Of schema 1, when the fingerprint was taken over all keys with their values, it has the name that it had then.
- Where the schema has been raised since, or a key that it sets has been renamed, it is found by the values that it
  stores. For this the folders of the work root are read, each once a process, and only where there is none of the
  names above.

Runs of schemas before `config.SAME_SINCE` are other runs, whatever they store.
"""

import contextlib
import functools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ssgan import config
from ssgan.errors import Mistake
from ssgan.experiments.member import Member
from ssgan.settings import as_table, changed, fingerprint, flatten, flatten_table, nested, under_new_names
from ssgan.tracking.workfolder import WorkFolder

FIRST_KEYS = {  # all that a recipe of schema 1 had, section by section
    "": "dataset labels",
    "split.": "pool validation",
    "model.": "family generator widths generator_widths strides pooling latent initial_scale output output_scale "
              "input_noise hidden_noise",
    "gan.": "weight pull_away",
    "train.": "epochs batch labelled_share generated_share learning_rate schedule decay_from beta1 beta2 epsilon adam "
              "averaging averaging_rate initialise_images precision compile",
    "augment.": "shift rotation scale shear elastic end",
    "consistency.": "weight threshold start balance entropy",
    "vat.": "weight epsilon share",
    "evaluate.": "supervised gan_off classical",
    "score.": "samples splits generator"}
NAME = re.compile("[0-9a-f]{16}")  # of a folder; those that --again has set aside have a number behind it
Flat = dict[str, Any]  # every key of a recipe in dotted form, the seeds and the data's sha256


def identity_of(member: Member, data_sha256: str) -> dict[str, Any]:
    """What makes two runs the same one."""
    return {"schema": config.SCHEMA, "recipe": changed(member.recipe), **_rest(member, data_sha256)}


def first_identity_of(member: Member, data_sha256: str) -> dict[str, Any] | None:
    """The same as schema 1 had it; None for a run that it could not have made, since a key is set that came later."""
    today, unsaid = flatten(member.recipe), config.unsaid()
    first = [prefix + name for prefix, names in FIRST_KEYS.items() for name in names.split()]
    kept = {old: config.RENAMED.get(old, old) for old in first}
    later = today.keys() - set(kept.values())
    if config.SAME_SINCE > 1 or set(kept.values()) - today.keys() or any(today[key] != unsaid[key] for key in later):
        return None
    return {"recipe": nested({old: today[key] for old, key in kept.items()}), **_rest(member, data_sha256)}


def stored_settings(member: Member, data_sha256: str) -> dict[str, Any]:
    """What a run's folder stores of it (run.json, `settings`)."""
    return {"schema": config.SCHEMA, "recipe": as_table(member.recipe), **_rest(member, data_sha256)}


def stored_plan(members: Sequence[Member], lanes: int | None, data_sha256: str) -> dict[str, Any]:
    """What a summary's folder stores of its members: the keys that they share, and each one's own."""
    recipes = [flatten(member.recipe) for member in members]
    shared = {key: value for key, value in recipes[0].items() if all(recipe[key] == value for recipe in recipes)}
    own = [nested({key: value for key, value in recipe.items() if key not in shared}) for recipe in recipes]
    runs = [{"recipe": recipe, "seed": member.seed, "split_seed": member.split_seed}
            for recipe, member in zip(own, members)]
    return {"schema": config.SCHEMA, "recipe": nested(shared), "data": data_sha256, "lanes": lanes, "members": runs}


def folder_of(member: Member, data_sha256: str, work: Path) -> WorkFolder:
    """The member's work folder under `work`, which need not be there yet.

    Raises Mistake where its settings are not the member's.
    """
    asked, first = _asked(member, data_sha256), first_identity_of(member, data_sha256)
    names = [fingerprint(identity_of(member, data_sha256)), *([fingerprint(first)] if first else [])]
    folder = _folder(work, names, [asked])
    settings = folder.facts.get("settings")
    if settings is not None:
        _check(folder, [_stored(settings)], [asked],
               f"Go on with its own: ssgan run --resume {folder.fingerprint}; or move it away and type the same again.")
    return folder


def summary_folder_of(kind: str, members: Sequence[Member], lanes: int | None, data_sha256: str,
                      work: Path) -> WorkFolder:
    """The same for the run that sums these members up as a sweep or a tuning."""
    asked = [_asked(member, data_sha256) for member in members]
    forms = [[form(member, data_sha256) for member in members] for form in (identity_of, first_identity_of)]
    names = [fingerprint({kind: identities, "lanes": lanes}) for identities in forms if all(identities)]
    folder = _folder(work, names, asked, kind, lanes)
    settings = folder.facts.get(kind, {}).get("settings")
    if settings is not None:
        _check(folder, _stored_plan(settings), asked, "Move it away and type the same again.")
    return folder


def differences(there: Flat, here: Flat, where: str = "here") -> list[str]:
    """Every key that is not the same in both, with its values: `train.epochs: 3.0 there, 5.0 here`."""
    return [f"{key}: {there.get(key, 'no such key')} there, {here.get(key, 'no such key')} {where}"
            for key in dict.fromkeys([*here, *there]) if key not in there or key not in here or there[key] != here[key]]


def _asked(member: Member, data_sha256: str) -> Flat:
    return flatten(member.recipe) | _rest(member, data_sha256)


def _rest(member: Member, data_sha256: str) -> dict[str, Any]:
    """What makes a run besides its recipe."""
    return {"seed": member.seed, "split_seed": member.split_seed, "data": data_sha256}


def _stored(settings: Mapping[str, Any]) -> Flat:
    """The same of what a run's folder stores. Raises Mistake."""
    recipe = flatten_table(under_new_names(settings["recipe"], "run.json", config.RENAMED))
    return config.unsaid() | recipe | {key: settings[key] for key in ("seed", "split_seed", "data")}


def _stored_plan(settings: Mapping[str, Any]) -> list[Flat]:
    """The same of every member that a summary's folder stores. Raises Mistake."""
    shared = flatten_table(settings["recipe"])
    return [_stored(own | {"recipe": nested(shared | flatten_table(own["recipe"])), "data": settings["data"]})
            for own in settings["members"]]


def _check(folder: WorkFolder, there: list[Flat], here: list[Flat], advice: str) -> None:
    found = [f"{len(there)} runs there, {len(here)} here"] if len(there) != len(here) else []
    found += dict.fromkeys(difference for pair in zip(there, here) for difference in differences(*pair))
    if found:
        told = "; ".join(found)
        raise Mistake(f"{folder.path} was made with other settings, and is left as it is: {told}.\n{advice}")


def _folder(work: Path, names: list[str], runs: list[Flat], kind: str = "run", lanes: int | None = None) -> WorkFolder:
    """The folder that has facts and one of these names, or else these values; the first name's where there is none."""
    found = next((name for name in names if (work / name / "run.json").exists()), None)
    return WorkFolder(work / (found or _folders(work).find(_values_name(runs, kind, lanes)) or names[0]))


def _values_name(runs: list[Flat], kind: str = "run", lanes: int | None = None) -> str:
    """A text that is equal exactly when all values are; a number's type does not matter."""
    return fingerprint({kind: [{key: _number(value) for key, value in run.items()} for run in runs], "lanes": lanes})


def _number(value: Any) -> Any:
    if isinstance(value, list):
        return [_number(entry) for entry in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


class _Folders:
    """The folders of a work root by the values that they store, but for those of schema 1.

    What is stored never changes, so each is read once.
    """

    def __init__(self, work: Path):
        self.work, self.stamp = work, 0
        self.seen: set[str] = set()  # names of folders
        self.unread: list[str] = []  # those of them that had no facts yet
        self.names: dict[str, str] = {}  # of folders, by `_values_name`

    def find(self, values_name: str) -> str | None:
        """The name of the folder that stores these values, if there is one now."""
        if not self.work.is_dir():
            return None
        stamp = self.work.stat().st_mtime_ns
        if stamp != self.stamp:  # folders came or went
            new = {path.name for path in self.work.iterdir() if NAME.fullmatch(path.name)} - self.seen
            self.seen |= new
            self.unread += sorted(new)
            self.stamp = stamp
        there = [name for name in self.unread if (self.work / name / "run.json").exists()]
        self.unread = [name for name in self.unread if name not in there]
        for name in there:
            self._add(WorkFolder(self.work / name))
        name = self.names.get(values_name)
        return name if name and (self.work / name / "run.json").exists() else None

    def _add(self, folder: WorkFolder) -> None:
        with contextlib.suppress(Mistake, KeyError):  # damaged, or made by something else
            facts = folder.facts
            kind = next((kind for kind in ("sweep", "tune", "ablate") if "settings" in facts.get(kind, {})), "run")
            settings = facts["settings"] if kind == "run" else facts[kind]["settings"]
            if settings["schema"] >= config.SAME_SINCE:
                runs = [_stored(settings)] if kind == "run" else _stored_plan(settings)
                self.names.setdefault(_values_name(runs, kind, settings.get("lanes")), folder.fingerprint)


@functools.cache
def _folders(work: Path) -> _Folders:
    return _Folders(work)
