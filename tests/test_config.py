"""Recipes' settings: round trips, and one clear Mistake for every bad one."""

import dataclasses
import re
import string

import frozen_defaults
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssgan import config
from ssgan.config import Recipe, build, describe, keys, override, parse
from ssgan.errors import Mistake
from ssgan.settings import as_table, changed, flatten


def leaves(cls: type = Recipe, prefix: str = "") -> dict[str, dataclasses.Field]:
    """Every key of a recipe with its field."""
    found = {}
    for item in dataclasses.fields(cls):
        nested = dataclasses.is_dataclass(item.type)
        found |= leaves(item.type, f"{prefix}{item.name}.") if nested else {prefix + item.name: item}
    return found


LEAVES = leaves()
NUMBERS = [key for key, item in LEAVES.items() if item.type in (int, float)]
LISTS = [key for key, item in LEAVES.items() if item.type == tuple[int, ...]]
WORDS = [key for key, item in LEAVES.items() if "allowed" in item.metadata]
SWITCHES = [key for key, item in LEAVES.items() if item.type is bool]


def values(item: dataclasses.Field) -> st.SearchStrategy:
    """The values that a key may have."""
    meta = item.metadata
    if item.type is int:
        return st.integers(meta["low"], meta["high"])
    if item.type is float:
        return st.floats(meta["low"], meta["high"], allow_subnormal=False)
    if item.type is bool:
        return st.booleans()
    if item.type is str:
        return (st.sampled_from(meta["allowed"]) if "allowed" in meta
                else st.text(string.ascii_letters + "-.2 '\"\\é", min_size=1))
    return st.lists(st.integers(meta["low"], meta["high"]), min_size=1, max_size=64)


def nested(flat: dict) -> dict:
    """`{"a.b": 1}` as `{"a": {"b": 1}}`."""
    table = {}
    for key, value in flat.items():
        *path, last = key.split(".")
        inner = table
        for part in path:
            inner = inner.setdefault(part, {})
        inner[last] = value
    return table


def toml(value) -> str:
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return repr(value)


flat_tables = st.fixed_dictionaries({}, optional={key: values(item) for key, item in LEAVES.items()})


def test_every_kind_of_key_is_tested_here():
    assert len(NUMBERS) > 20 and LISTS and WORDS and SWITCHES
    assert set(NUMBERS) | set(LISTS) | set(WORDS) | set(SWITCHES) | {"dataset"} == set(LEAVES) == set(keys()) == set(
        describe())


@pytest.mark.parametrize("key", LEAVES)
def test_defaults_are_of_their_keys_type_and_in_its_range(key):
    """Or a key that is written out would make another fingerprint than its default."""
    item = LEAVES[key]
    assert type(item.default) is (tuple if key in LISTS else item.type)
    assert getattr(build(nested({key: item.default}), "here"), key.split(".")[0]) == getattr(
        Recipe(), key.split(".")[0])


@settings(deadline=None)
@given(flat_tables)
def test_a_recipe_survives_every_form(flat):
    recipe = build(nested(flat), "here")
    assert build(as_table(recipe), "again") == recipe
    assert build(nested(flatten(recipe)), "flat") == recipe
    assert parse("\n".join(f"{key} = {toml(value)}" for key, value in flatten(recipe).items()), "text") == recipe
    assert override(Recipe(), [f"{key} = {toml(value)}" for key, value in flat.items()]) == recipe
    for key, value in flat.items():
        assert flatten(recipe)[key] == value


def refused(key: str, value) -> str:
    """The Mistake's text for a value, which names the key and where it stands."""
    with pytest.raises(Mistake) as caught:
        build(nested({key: value}), "file.toml")
    text = str(caught.value)
    assert text.startswith("file.toml: ") and key in text and len(text.splitlines()) <= 3
    return text


@pytest.mark.parametrize("key", NUMBERS)
def test_numbers_outside_their_range_are_refused(key):
    meta = LEAVES[key].metadata
    low, high = meta["low"], meta["high"]
    for bad in (low - 1, high * 2 + 1, float("nan"), float("inf"), -float("inf"), 10**400, True, "3", None, [3],
                {"a": 1}):
        text = refused(key, bad)
        assert f"from {low:g} to {high:g}" in text and "found" in text
    flat = flatten(build(nested({key: low}), "low")) | flatten(build(nested({key: high}), "high"))
    assert flat[key] == high


@settings(deadline=None)
@given(st.sampled_from(NUMBERS), st.floats(allow_subnormal=False) | st.integers())
def test_a_number_is_taken_in_its_range_and_refused_outside(key, value):
    meta, whole = LEAVES[key].metadata, LEAVES[key].type is int
    if meta["low"] <= value <= meta["high"] and (not whole or value == int(value)):
        found = flatten(build(nested({key: value}), "here"))[key]
        assert found == value and type(found) is LEAVES[key].type
    else:
        refused(key, value)


@pytest.mark.parametrize("key", [key for key in NUMBERS if LEAVES[key].type is int])
def test_whole_numbers_have_no_fraction(key):
    assert "a whole number" in refused(key, LEAVES[key].metadata["low"] + 0.5)
    assert flatten(build(nested({key: float(LEAVES[key].default)}), "here"))[key] == LEAVES[key].default


@pytest.mark.parametrize("key", LISTS)
def test_lists_that_are_not_of_numbers_are_refused(key):
    for bad in (5, "5", [], [1] * 65, {"a": 1}):
        assert "a list of 1 to 64 numbers" in refused(key, bad)
    low = LEAVES[key].metadata["low"]
    for bad in ([low - 1], [10, -1], [1.5], ["a"], [True], [[1]], [10**9]):
        assert f"a whole number from {low} to" in refused(key, bad)


@pytest.mark.parametrize("key", WORDS)
def test_words_outside_their_list_are_refused_with_the_list(key):
    for bad in ("other", "", LEAVES[key].default.upper()):
        assert all(word in refused(key, bad) for word in LEAVES[key].metadata["allowed"])
    assert "must be a word" in refused(key, 5)


@pytest.mark.parametrize("key", SWITCHES)
def test_switches_are_true_or_false(key):
    for bad in (1, 0, "true", None):
        assert "true or false" in refused(key, bad)


@pytest.mark.parametrize("key", ["train", "model", "split"])
def test_a_part_must_be_a_table(key):
    for bad in (5, "x", [{"epochs": 3}], None):
        assert "must be a table of keys" in refused(key, bad)


@pytest.mark.parametrize(("key", "near"), [
    ("train.epocs", "train.epochs"), ("trian", "train"), ("model.width", "model.widths"), ("label", "labels"),
    ("augment.rotations", "augment.rotation"), ("consistency.treshold", "consistency.threshold")])
def test_a_misspelt_key_names_the_nearest(key, near):
    assert f"did you mean {near}?" in refused(key, 3)
    with pytest.raises(Mistake, match=f"did you mean {near}") if near != "train" else pytest.raises(Mistake):
        override(Recipe(), [f"{key}=3"])


def test_evidence_is_left_aside():
    assert parse('labels = 50\n[evidence]\nerrors = [1, 2]\nwhatever = "x"', "here") == dataclasses.replace(
        Recipe(), labels=50)


def test_a_text_that_is_no_toml_is_a_mistake_that_names_it():
    with pytest.raises(Mistake, match="^my.toml is not valid TOML: "):
        parse("labels = ", "my.toml")


@pytest.mark.parametrize(("text", "key", "value"), [
    ("dataset=fashion-mnist", "dataset", "fashion-mnist"), ('dataset="a=b"', "dataset", "a=b"),
    ("dataset=a=b", "dataset", "a=b"), ("model.widths=[3, 4]", "model.widths", [3, 4]),
    ("train.adam=authors", "train.adam", "authors"), ("labels=1_000", "labels", 1000)])
def test_values_are_written_as_in_toml_and_words_without_quotes(text, key, value):
    assert flatten(override(Recipe(), [text]))[key] == value


@settings(deadline=None)
@given(st.lists(st.sampled_from(keys() + ["train", "x"]) | st.text(max_size=8), max_size=2), st.text(max_size=12))
def test_any_assignment_gives_a_recipe_or_a_mistake(names, value):
    try:
        recipe = override(Recipe(), [f"{name}={value}" for name in names])
    except Mistake as mistake:
        assert str(mistake)
    else:
        assert build(as_table(recipe), "again") == recipe


def test_a_frozen_recipe_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Recipe().train.epochs = 3


def test_every_key_says_what_it_means():
    assert all(len(text) > 3 and "\n" not in text for text in describe().values())
    assert all(config.flatten(Recipe())[key] is not None for key in describe())


def test_old_names_lead_to_keys_that_are_there():
    assert set(config.RENAMED.values()) <= set(keys()) and not set(config.RENAMED) & set(keys())
    assert set(config.WAS) <= set(keys()) and 1 <= config.SAME_SINCE <= config.SCHEMA


@pytest.mark.parametrize(("old", "key"), config.RENAMED.items())
def test_keys_may_have_their_old_names(old, key):
    read = build(nested({old: 0.5}), "here"), parse(f"{old} = 0.5", "here"), override(Recipe(), [f"{old}=0.5"])
    assert all(changed(recipe) == {key: 0.5} for recipe in read)
    assert config.settings.old_names() == [f"{old} is now called {key}"]
    assert config.today(f" {old} ") == config.today(key) == key
    with pytest.raises(Mistake, match=f"here: {old} is the old name of {key}, and both are there"):
        parse(f"{old} = 0.5\n{key} = 0.5", "here")


def test_the_defaults_are_those_of_the_table():
    """Or runs of both would have one name, for fingerprints leave defaults out."""
    frozen, now = frozen_defaults.read(), frozen_defaults.now()
    faults = frozen_defaults.broken(frozen, now, config.unsaid()) + frozen_defaults.outdated(frozen, now)
    assert not faults, "\n".join(faults)


TABLE = {"schema": 2, "defaults": {"a": 1.0, "b": [1, 2]}, "came_with": {"b": [1, 2]}}


@pytest.mark.parametrize(("now", "unsaid", "broken", "outdated"), [
    ({}, {}, [], []),
    ({"defaults": {"a": 2.0, "b": [1, 2]}}, {},
     ["a was 1.0 and is 2.0: .* Raise SCHEMA in ssgan/config.py and write the table anew: python tests/"], []),
    ({"defaults": {"a": 1, "b": [1, 2]}}, {}, ["a was 1.0 and is 1: .* Raise SCHEMA"], []),  # another fingerprint
    ({"schema": 3, "defaults": {"a": 2.0, "b": [1, 2]}}, {}, [], ["of schema 2, .* write it anew"]),
    ({"schema": 3, "defaults": {"a": 1.0, "b": [3]}}, {},
     ["b was .1, 2. in runs from before it was there: say so with 'b': .1, 2. in WAS"], ["anew"]),
    ({"schema": 3, "defaults": {"a": 1.0, "b": [3]}}, {"b": [1, 2]}, [], ["write it anew"]),
    ({"defaults": {"a": 1.0, "b": [1, 2], "c": 0}}, {}, [],
     ["the table has no c: add by python tests/frozen_defaults.py. New keys need no new schema"]),
    ({"defaults": {"a": 1.0}}, {}, ["b was .1, 2. and is 'no more'"], ["keys that are gone"])])
def test_the_table_tells_what_a_change_needs(now, unsaid, broken, outdated):
    now = TABLE | now
    told = frozen_defaults.broken(TABLE, now, now["defaults"] | unsaid), frozen_defaults.outdated(TABLE, now)
    for texts, patterns in zip(told, (broken, outdated)):
        assert len(texts) == len(patterns) and all(map(re.search, patterns, texts))


def test_the_table_keeps_what_keys_came_with():
    now = {"schema": 3, "defaults": {"a": 1.0, "b": [3], "c": 0}, "came_with": {"b": [3], "c": 0}}
    assert frozen_defaults.merged(TABLE, now) == now | {"came_with": {"b": [1, 2], "c": 0}}
