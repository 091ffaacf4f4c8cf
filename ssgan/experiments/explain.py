"""What a technique, a key of a recipe or a measurement is, read from where it is written."""

import dataclasses
import functools
import inspect
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args, get_origin

from ssgan import recipes
from ssgan.config import RENAMED, Recipe
from ssgan.errors import Mistake, unknown
from ssgan.evaluation.metric_pages import METRICS
from ssgan.evaluation.score_names import today
from ssgan.experiments.report.table import Stat
from ssgan.settings import declared
from ssgan.techniques import SETTINGS_ENTRIES, TECHNIQUES
from ssgan.techniques.short_forms import SHORT_FORMS
from ssgan.techniques.supervised import Supervised

SENTENCE = re.compile(r"(?<=\.)\s+(?=[A-Z])")
NAME = r"[A-Z][\w’-]+"
SOURCE = re.compile(rf"(?:{NAME}, )*(?:Van )?{NAME}(?: & {NAME}| et al\.)? (?:19|20)\d\d")
BEFORE = ("test/", "score/", "train/", "val/", "cross_validation/", "by_labels/")  # in the names of measurements
MEASURED = {"error": "test error in points", "inception_score": "Inception Score",
            "fid": "Fréchet distance", "ms_a_step": "ms a step"}  # in recorded ablations
SHOWN = 14  # names in a message


@dataclass(frozen=True)
class Effect:
    """What a recorded ablation says of a technique: how much each measure changed, seed by seed; errors in points."""

    recipe: str
    what: str  # the row: without it, or it alone
    off: bool  # without it
    labels: int
    changes: Mapping[str, tuple[float, ...]]  # by measure
    machine: str
    command: str

    def told(self) -> str:
        """In a sentence."""
        stats = {measure: Stat.of(values) for measure, values in self.changes.items()}
        found = [f"{MEASURED[measure]} {stat.change()}" for measure, stat in stats.items()]
        count = max(stat.n for stat in stats.values())
        return (f"{self.recipe}, {self.labels} labels, n = {count}, {self.what}: {', '.join(found)} (`{self.command}`; "
                f"{self.machine})")


@dataclass(frozen=True)
class Page:
    """All that is said of one name."""

    name: str
    kind: str  # technique, metric, recipe key or section
    text: str  # paragraphs
    keys: tuple[str, ...] = ()  # of recipes, that choose or shape it
    facts: Mapping[str, str] = field(default_factory=dict)  # what its settings and its object say
    effects: tuple[Effect, ...] = ()

    @property
    def what(self) -> str:
        """Its first sentence."""
        return SENTENCE.split(_joined(self.text))[0]

    @property
    def costs(self) -> str:
        """The sentence on what it costs; empty where there is none."""
        return next((part for part in SENTENCE.split(_joined(self.text)) if part.startswith("Costs")), "")

    @property
    def source(self) -> str:
        """The publications that it names."""
        return "; ".join(dict.fromkeys(SOURCE.findall(_joined(self.text))))

    @property
    def short_forms(self) -> list[str]:
        """What else it may be called."""
        return [short for short, name in SHORT_FORMS.items() if name == self.name]

    def plain(self) -> dict[str, Any]:
        """The same as plain values for JSON."""
        described = declared(Recipe)
        return {"key": self.name, "kind": self.kind, "what": self.what, "text": self.text, "costs": self.costs,
                "source": self.source, "short_forms": self.short_forms, "facts": dict(self.facts),
                "keys": {key: described[key].metadata["help"] for key in self.keys},
                "effects": [dataclasses.asdict(effect) for effect in self.effects]}


def pages() -> dict[str, Page]:
    """The pages of all techniques and measurements, by name."""
    found = {"supervised": _technique("supervised", Supervised)}
    found |= {name: _technique(name, technique) for name, technique in TECHNIQUES.items()}
    found |= {name: Page(name, "technique", inspect.cleandoc(entry.page), entry.keys, _off(entry.off),
                         effects_of(name)) for name, entry in SETTINGS_ENTRIES.items()}
    return found | {name: Page(name, "metric", inspect.cleandoc(page.text), (), {
        "better": page.better, "measured as": ", ".join(page.names)}) for name, page in METRICS.items()}


def find(asked: str) -> Page:
    """The page of that name: a technique, a measurement, a key or a section of a recipe; whole, a short form of the
    field, or the beginning that only one has. Raises Mistake.
    """
    name, known = written(asked), _names()
    key = RENAMED.get(asked.strip(), asked.strip().lower())
    if key in declared(Recipe):  # before names: adversarial.loss is no adversarial_loss
        return _key(key)
    if name in known:
        return pages()[known[name]]
    if key in _sections():
        return _section(key)
    keys = [other for other in declared(Recipe) if other.endswith(f".{key}")]
    begun = set() if keys or "." in key else _begun(name)
    keys = keys or [other for other in declared(Recipe) if key and not begun and other.startswith(key)]
    if len(begun) + len(keys) == 1:
        return pages()[begun.pop()] if begun else _key(keys[0])
    if begun or keys:
        raise _several(asked, sorted(begun) or keys)
    raise unknown("technique, recipe key or metric", asked, {*known, *declared(Recipe), *_sections()})


def technique_named(asked: str, option: str) -> str:
    """The name of the technique that is called so, which an option of that name said. Raises Mistake."""
    known = {other: name for other, name in _names().items() if name in TECHNIQUES or name in SETTINGS_ENTRIES}
    name = written(asked)
    if name in known:
        return known[name]
    begun = _begun(name) & set(known.values())
    if len(begun) == 1:
        return begun.pop()
    if begun:
        raise Mistake(f"{option} {asked}: {_several(asked, sorted(begun))}")
    raise Mistake(f"{option} {asked}: {unknown('technique', asked, known)}")


def written(asked: str) -> str:
    """A name as it stands in the tables, of one that a person typed."""
    return re.sub(r"[^a-z0-9+]+", "_", asked.strip().lower()).strip("_")


def effects_of(name: str) -> tuple[Effect, ...]:
    """What the shipped recipes' evidence says of switching that technique off, or of it alone."""
    return tuple(effect for names, effect in _effects() if names == [name])


@functools.cache
def _effects() -> tuple[tuple[list[str], Effect], ...]:
    rows = [(recipe, today(row)) for recipe in recipes.names()
            for row in recipes.read(recipe).evidence.get("ablation", [])]
    return tuple((row["off"] or row["only"],
                  Effect(recipe, row["what"], bool(row["off"]), row["labels"],
                         {measure: tuple(row[measure]) for measure in MEASURED if measure in row}, row["machine"],
                         row["command"])) for recipe, row in rows)


def _names() -> dict[str, str]:
    """The name of a page by all that it may be called; what a technique measures stands for it."""
    found = {measured: name for name, technique in {"supervised": Supervised, **TECHNIQUES}.items()
             for measured in technique.measures}
    found |= {form: name for name, page in METRICS.items() for form in map(_measured, page.names)}
    begins = re.compile("|".join(f"^{written(before)}_" for before in BEFORE))
    bare = {begins.sub("", measured): name for measured, name in found.items()} | {
        measured: name for measured, name in found.items() if not begins.match(measured)}
    whole = {written(before + measured): name for measured, name in bare.items() for before in BEFORE}
    return whole | bare | found | SHORT_FORMS | {name: name for name in pages()}


def _begun(name: str) -> set[str]:
    """The pages whose name, or one of its short forms, begins so."""
    found = SHORT_FORMS | {other: other for other in pages()}
    return {found[other] for other in found if name and other.startswith(name)}


def _measured(name: str) -> str:
    return written(name.removesuffix("/CLASS"))


def _technique(name: str, technique: type) -> Page:
    facts = {"learns from": ", ".join(sorted(technique.sees)) or "what the others look at"}
    if technique.measures:
        facts["measures"] = ", ".join(f"train/{each}" for each in technique.measures)
    if technique.requires:
        facts["needs"] = ", ".join(technique.requires)
    if technique.excludes:
        facts["not with"] = "; ".join(f"{other}: {reason}" for other, reason in technique.excludes.items())
    keys = tuple(key for key in declared(Recipe) if key.startswith(f"{name}."))
    if technique is Supervised:  # which has no section, and is switched off as what it learns from
        return Page(name, "technique", inspect.cleandoc(technique.__doc__), ("train.labelled_weight",), facts,
                    effects_of("labels"))
    return Page(name, "technique", inspect.cleandoc(technique.__doc__), keys, facts, effects_of(name))


def _off(values: Mapping[str, Any]) -> dict[str, str]:
    return {"off": ", ".join(f"{key} = {_toml(value)}" for key, value in values.items())}


def _key(key: str) -> Page:
    """Of a recipe's key: its line, what is allowed, and the techniques that it belongs to."""
    item, section = declared(Recipe)[key], key.partition(".")[0]
    facts = {"default": _toml(item.default), "allowed": _allowed(item)}
    files = {name: recipes.read(name).recipe for name in recipes.names()}
    values = {name: _value(recipe, key) for name, recipe in files.items()}
    facts["in recipes"] = ", ".join(f"{name} {_toml(value)}" for name, value in values.items())
    own = [section] if section in TECHNIQUES else []
    own += [name for name, entry in SETTINGS_ENTRIES.items() if key in entry.keys]
    if own:
        facts["see"] = " ".join(f"{name}: {pages()[name].what}" for name in own)
    text = item.metadata["help"]
    return Page(key, "recipe key", text[0].upper() + text[1:] + ".", (key,), facts)


def _section(name: str) -> Page:
    keys = tuple(key for key in declared(Recipe) if key.startswith(f"{name}."))
    return Page(name, "section", f"The section [{name}] of a recipe.", keys)


def _sections() -> list[str]:
    return list(dict.fromkeys(key.partition(".")[0] for key in declared(Recipe) if "." in key))


def _value(recipe: Recipe, key: str) -> Any:
    return functools.reduce(getattr, key.split("."), recipe)


def _allowed(item: Any) -> str:
    meta = item.metadata
    if "allowed" in meta:
        return ", ".join(meta["allowed"])
    if "low" in meta:
        several = "numbers" if get_origin(item.type) is tuple else "a number"
        kind = get_args(item.type)[0] if get_origin(item.type) is tuple else item.type
        whole = several.replace("number", "whole number") if kind is int else several
        return f"{whole} from {meta['low']:g} to {meta['high']:g}"
    return "true, false" if item.type is bool else "a word"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(list(value) if isinstance(value, tuple) else value)


def _several(asked: str, names: Iterable[str]) -> Mistake:
    names = list(names)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return Mistake(f"{asked!r} may be one of {len(names)}: {', '.join(names[:SHOWN])}{more}.\nWrite more of the name.")


def _joined(text: str) -> str:
    return " ".join(text.split())
