"""How a settings dataclass is declared, read, overridden and fingerprinted."""

import dataclasses
import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import field, fields, is_dataclass
from typing import Any, get_args, get_origin

from ssgan.errors import Mistake, unknown

Renamed = Mapping[str, str]  # today's key by its old name

_written: dict[str, bool] = {}  # lines on old names that a person has written, and whether they have been told


def number(default: float, low: float, high: float, text: str) -> Any:
    """A numeric key with its allowed range."""
    return field(default=default, metadata={"low": low, "high": high, "help": text})


def numbers(default: tuple, low: float, high: float, text: str) -> Any:
    """A key that is a list of numbers, each in the allowed range."""
    return field(default=default, metadata={"low": low, "high": high, "help": text})


def choice(default: str, allowed: tuple[str, ...], text: str) -> Any:
    """A key with a fixed set of words."""
    return field(default=default, metadata={"allowed": allowed, "help": text})


def switch(default: bool, text: str) -> Any:
    """A key that is true or false."""
    return field(default=default, metadata={"help": text})


def read_toml(text: str, where: str) -> dict[str, Any]:
    """The table in a TOML text. Raises Mistake, naming `where`."""
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: a number of thousands of digits too
        raise Mistake(f"{where} is not valid TOML: {error}.") from None


def build(cls: type, table: Any, where: str, renamed: Renamed = {}) -> Any:
    """A validated settings object of that dataclass from nested tables; keys may have their old names. Raises Mistake,
    naming `where`.
    """
    return _build(cls, under_new_names(table, where, renamed), where, "")


def override(settings: Any, assignments: Sequence[str], option: str = "--set", renamed: Renamed = {}) -> Any:
    """The settings with each `a.b=value` put in, which an option of that name said; values are written as in TOML,
    words without quotes.
    """
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key.strip() or not text.strip():
            raise Mistake(f"{option} {assignment}: write it as key=value, for example {option} train.epochs=20.")
        key = today(key, renamed)
        flat = flatten(settings)
        if key not in flat:
            raise unknown("recipe key", key, flat)
        settings = build(type(settings), nested(flat | {key: _value(text.strip())}), f"{option} {assignment}")
    return settings


def as_table(settings: Any) -> dict[str, Any]:
    """The settings as nested dicts, lists and scalars: the inverse of `build`."""
    return json.loads(json.dumps(dataclasses.asdict(settings)))


def flatten(settings: Any) -> dict[str, Any]:
    """Every key in dotted form with its value: `{"train.epochs": 300, ...}`."""
    return dict(_values(settings, ""))


def flatten_table(table: Mapping[str, Any]) -> dict[str, Any]:
    """The same of nested tables."""
    return dict(_flatten(table, ""))


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Nested tables of dotted keys: the inverse of `flatten`."""
    table: dict[str, Any] = {}
    for key, value in flat.items():
        _put(table, key, value)
    return table


def changed(settings: Any) -> dict[str, Any]:
    """The keys, in dotted form, whose values differ from their defaults."""
    defaults = flatten(type(settings)())
    return {key: value for key, value in flatten(settings).items() if value != defaults[key]}


def describe(cls: type) -> dict[str, str]:
    """Every dotted key with its one-line meaning."""
    return {key: item.metadata["help"] for key, item in declared(cls).items()}


def declared(cls: type) -> dict[str, dataclasses.Field]:
    """Every dotted key with the field that declares it: its default, what is allowed, its meaning."""
    return dict(_declared(cls, ""))


def fingerprint(identity: Mapping[str, Any]) -> str:
    """16 hex digits that are equal exactly when the values are."""
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def under_new_names(table: Any, where: str, renamed: Renamed) -> Any:
    """The tables with today's keys in the place of old ones. Raises Mistake where both are there."""
    if not isinstance(table, dict):
        return table
    old = {key: value for key, value in _flatten(table, "") if key in renamed}
    if not old:
        return table
    flat = {key: value for key, value in _flatten(table, "") if key not in old}
    for key, value in old.items():
        if renamed[key] in flat:
            raise Mistake(f"{where}: {key} is the old name of {renamed[key]}, and both are there: leave {key} out.")
        flat[renamed[key]] = value
    return nested(flat)


def today(key: str, renamed: Renamed) -> str:
    """Today's name of a key that a person has written; an old one is kept for `old_names`."""
    key = key.strip()
    if key in renamed:
        _written.setdefault(f"{key} is now called {renamed[key]}", False)
    return renamed.get(key, key)


def old_names() -> list[str]:
    """A line on each old name that a person has written, once in the life of the process: for the door to tell."""
    new = [line for line, told in _written.items() if not told]
    _written.update(dict.fromkeys(new, True))
    return new


def _values(settings: Any, prefix: str):
    for item in fields(settings):
        value = getattr(settings, item.name)
        if is_dataclass(value):
            yield from _values(value, f"{prefix}{item.name}.")
        else:
            yield prefix + item.name, list(value) if isinstance(value, tuple) else value


def _put(table: dict[str, Any], key: str, value: Any) -> None:
    *sections, name = key.split(".")
    for section in sections:
        table = table.setdefault(section, {})
    table[name] = value


def _flatten(table: dict[str, Any], prefix: str):
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _declared(cls: type, prefix: str):
    for item in fields(cls):
        if is_dataclass(item.type):
            yield from _declared(item.type, f"{prefix}{item.name}.")
        else:
            yield prefix + item.name, item


def _value(text: str) -> Any:
    try:
        table = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    return table["value"] if len(table) == 1 else text


def _build(cls: type, table: Any, where: str, prefix: str) -> Any:
    if not isinstance(table, dict):
        raise Mistake(f"{where}: {prefix.rstrip('.')} must be a table of keys, found {table!r}.")
    known = {item.name: item for item in fields(cls)}
    for name in table:
        if name not in known:
            mistake = unknown("recipe key", prefix + name, [prefix + other for other in known])
            raise Mistake(f"{where}: {mistake}")
    values = {}
    for name, value in table.items():
        item = known[name]
        if is_dataclass(item.type):
            values[name] = _build(item.type, value, where, f"{prefix}{name}.")
        else:
            values[name] = _check(item, value, where, prefix + name)
    return cls(**values)


def _check(item: dataclasses.Field, value: Any, where: str, key: str) -> Any:
    if get_origin(item.type) is tuple:
        if not isinstance(value, list | tuple) or not value or len(value) > 64:
            raise Mistake(f"{where}: {key} must be a list of 1 to 64 numbers, found {value!r}; "
                          f"{item.metadata['help']}.")
        kind = get_args(item.type)[0]
        return tuple(_number(kind, item, entry, where, key) for entry in value)
    if item.type in (int, float):
        return _number(item.type, item, value, where, key)
    if not isinstance(value, item.type):
        wanted = {bool: "true or false", str: "a word"}[item.type]
        raise Mistake(f"{where}: {key} must be {wanted}, found {value!r}; {item.metadata['help']}.")
    allowed = item.metadata.get("allowed")
    if allowed and value not in allowed:
        raise Mistake(f"{where}: {key} must be one of {', '.join(allowed)}, found {value!r}.")
    return value


def _number(kind: type, item: dataclasses.Field, value: Any, where: str, key: str) -> Any:
    low, high = item.metadata["low"], item.metadata["high"]
    sound = isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
    if not sound or (kind is int and value != int(value)):
        wanted = "a whole number" if kind is int else "a number"
        raise Mistake(f"{where}: {key} must be {wanted} from {low:g} to {high:g}, found {value!r}; "
                      f"{item.metadata['help']}.")
    return kind(value) + 0  # -0.0 is 0.0, in the fingerprint too
