"""The rows of an ablation: a recipe with techniques switched off, and with nothing but some of them."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ssgan.config import Recipe, override
from ssgan.errors import Mistake
from ssgan.experiments.explain import technique_named
from ssgan.experiments.grid import Choice, written
from ssgan.settings import flatten
from ssgan.techniques import SETTINGS_ENTRIES, TECHNIQUES, active, check, key_of
from ssgan.techniques.technique import GENERATOR, Technique

LABELS = "labels"  # what the loss of the labelled images is called
SCORED = "its images are scored, and no error is told: without labels no answer names a class"
ALONE = "labelled loss alone"
ANY_CLASSES = 1_000_000  # more than any technique needs

# Techniques by which a generator goes on that has lost its only loss, the first one first, with the values of keys.
STAND_INS: dict[str, Mapping[str, Any]] = {"adversarial": {"adversarial.weight": 1.0}}


@dataclass(frozen=True)
class Switch:
    """One row."""

    name: str  # empty: the recipe as it is
    off: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()  # "key=value"
    against: str | None = None  # the row from which its differences are taken
    note: str = ""  # what else is another

    @property
    def choice(self) -> Choice:
        """The same for a plan."""
        return Choice(self.name, self.changes)


@dataclass(frozen=True)
class Switches:
    """All rows, and what was left out with the reason."""

    rows: tuple[Switch, ...]
    left_out: tuple[str, ...] = ()


def switchable(recipe: Recipe) -> list[str]:
    """The techniques that a recipe has on and that can be switched off."""
    on = [name for name in active(recipe) if name in TECHNIQUES]
    return on + [name for name, entry in SETTINGS_ENTRIES.items() if entry.is_on(recipe)]


def switches(recipe: Recipe, off: Sequence[str] | None, only: Sequence[str]) -> Switches:
    """The rows: the recipe as it is, without each of `off`, the labelled loss alone and with each of `only`.

    A name may be several, a+b. `off` None is every technique that is on, each where it can be done without. Raises
    Mistake.
    """
    every = off is None and not only
    asked = switchable(recipe) if every else list(off or [])
    rows, left_out = [Switch("")], []
    for text in asked:
        try:
            rows.append(_without(recipe, _names(recipe, text, "--off")))
        except Mistake as mistake:
            if not every:
                raise
            reason = str(mistake).splitlines()[0].removeprefix("--off ")
            left_out.append(reason if reason.startswith(f"{text}:") else f"{text}: {reason}")
    if only:
        named = [_names(recipe, text, "--only") for text in only]
        entries = {name for names in named for name in names if name in SETTINGS_ENTRIES}
        rows.append(_alone(recipe, (), entries))
        rows += [_alone(recipe, names, entries) for names in named]
    kept = _once(recipe, rows, left_out)
    if len(kept) == 1:
        raise Mistake("nothing to switch off: " + ("; ".join(left_out) or "the recipe has no technique on."))
    return Switches(tuple(kept), tuple(left_out))


def _names(recipe: Recipe, text: str, option: str) -> tuple[str, ...]:
    """The techniques of `a+b`, each of which must be on; the labels are, and can be switched off. Raises Mistake."""
    found = []
    for part in text.split("+"):
        if part.strip().lower() == LABELS:
            if option == "--only":
                raise Mistake(f"{option} {part}: the loss of the labelled images is in every row of --only, and alone "
                              f"in “{ALONE}”.\nThe pair without labels is --off {LABELS}.")
            found.append(LABELS)
            continue
        name = technique_named(part, option)
        on = switchable(recipe)
        if name not in on:
            raise Mistake(f"{option} {part}: {name} is not on in this recipe; put it on with --set "
                          f"{key_of(name)}=VALUE.\nOn, and to be switched off, are: {', '.join(on) or 'none'}.")
        found.append(name)
    return tuple(dict.fromkeys(found))


def _without(recipe: Recipe, names: tuple[str, ...]) -> Switch:
    """The recipe with these off. Raises Mistake."""
    found, note = _taught(_off(recipe, names), f"--off {'+'.join(names)}")
    lost = [name for name in active(recipe) if name not in active(found) and name not in names]
    notes = [f"off with it, for they need it: {', '.join(lost)}" if lost else "", note, SCORED * (LABELS in names)]
    return Switch(f"without {'+'.join(names)}", off=names, changes=_changes(recipe, found), against="",
                  note="; ".join(filter(None, notes)))


def _alone(recipe: Recipe, names: tuple[str, ...], entries: Collection[str]) -> Switch:
    """The labelled loss with these and what they need; of what is no loss, `entries` are off where they are not named.
    Raises Mistake.
    """
    kept, more = set(names), set(names)
    while more:
        more = {other for name in more if name in TECHNIQUES for other in TECHNIQUES[name].requires} - kept
        kept |= more
    off = [name for name in TECHNIQUES if name not in kept] + [name for name in entries if name not in names]
    found = _off(recipe, off)
    if _untaught(found):  # by what teaches it in this recipe
        teacher = next((name for name, each in active(recipe).items() if _teaches(each)), None)
        kept |= {teacher} if teacher else set()
        found = _off(recipe, [name for name in off if name != teacher])
    found, note = _taught(found, f"--only {'+'.join(names)}")
    needed = [name for name in TECHNIQUES if name in kept and name not in names]
    notes = [f"with {', '.join(needed)}, which it needs" if needed else "", note]
    return Switch(f"{'+'.join(names)} alone" if names else ALONE, only=names, changes=_changes(recipe, found),
                  against=ALONE if names else "", note="; ".join(filter(None, notes)))


def _off(recipe: Recipe, names: Collection[str]) -> Recipe:
    values = {key: value for name in names if name in SETTINGS_ENTRIES
              for key, value in SETTINGS_ENTRIES[name].off.items()}
    values |= {"train.labelled_weight": 0.0} if LABELS in names else {}
    learning = [name for name, each in TECHNIQUES.items() if LABELS in names and "labelled" in each.sees]
    sections = {name: getattr(recipe, name).off() for name in (*names, *learning)
                if name in TECHNIQUES and getattr(recipe, name).is_on()}
    return override(dataclasses.replace(recipe, **sections), written(values))


def _untaught(recipe: Recipe) -> bool:
    """Whether a generator is looked at that has no loss."""
    on = active(recipe).values()
    looked_at = any("generated" in kinds for technique in on for kinds in technique.parts.values())
    return looked_at and not any(map(_teaches, on))


def _teaches(technique: Technique) -> bool:
    return GENERATOR in technique.parts and technique.adds_term


def _taught(recipe: Recipe, asked: str) -> tuple[Recipe, str]:
    """The recipe with a loss for its generator where it has lost its only one, and what was done. Raises Mistake."""
    if not _untaught(recipe):
        check(recipe, ANY_CLASSES)
        return recipe, ""
    for name, values in STAND_INS.items():
        if name in TECHNIQUES and name not in asked.split()[1].split("+"):
            found = override(recipe, written(values))
            check(found, ANY_CLASSES)
            return found, f"the generator learns from {name} instead"
    raise Mistake(f"{asked}: nothing else teaches the generator.\nLeave the generator out too, --off "
                  f"{asked.split()[1]}+gan, or give it another loss, for example --set pull_away.weight=1.")


def _changes(recipe: Recipe, found: Recipe) -> tuple[str, ...]:
    was = flatten(recipe)
    return tuple(written({key: value for key, value in flatten(found).items() if value != was[key]}))


def _once(recipe: Recipe, rows: Sequence[Switch], left_out: list[str]) -> list[Switch]:
    """The rows, each recipe once; what is there twice is told."""
    kept: dict[Recipe, Switch] = {}
    names: dict[str, str] = {}  # of the row that stands for it
    for row in rows:
        found = override(recipe, list(row.changes))
        if found in kept:
            left_out.append(f"{row.name}: it is the same as {kept[found].name or 'the recipe as it is'}")
        else:
            kept[found] = row
        names[row.name] = kept[found].name
    return [row if row.against is None else dataclasses.replace(row, against=names[row.against])
            for row in kept.values()]
