"""Recipes' settings: round trips, and one clear Mistake for every bad one."""

import dataclasses
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssgan import config
from ssgan.config import Recipe, build, describe, keys, override, parse
from ssgan.settings import as_table, flatten
from ssgan.settings import fingerprint
from ssgan.errors import Mistake


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
        return st.sampled_from(meta["allowed"]) if "allowed" in meta else st.text(string.ascii_letters + "-.2 '\"\\é", min_size=1)
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
    assert set(NUMBERS) | set(LISTS) | set(WORDS) | set(SWITCHES) | {"dataset"} == set(LEAVES) == set(keys()) == set(describe())


@pytest.mark.parametrize("key", LEAVES)
def test_defaults_are_of_their_keys_type_and_in_its_range(key):
    """Or a key that is written out would make another fingerprint than its default."""
    item = LEAVES[key]
    assert type(item.default) is (tuple if key in LISTS else item.type)
    assert getattr(build(nested({key: item.default}), "here"), key.split(".")[0]) == getattr(Recipe(), key.split(".")[0])


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
    assert fingerprint(as_table(build(as_table(recipe), "again"))) == fingerprint(as_table(recipe))


@settings(deadline=None)
@given(flat_tables, flat_tables)
def test_fingerprints_are_equal_exactly_when_recipes_are(one, other):
    first, second = build(nested(one), "one"), build(nested(other), "other")
    assert (fingerprint(as_table(first)) == fingerprint(as_table(second))) == (first == second)


@pytest.mark.parametrize("key", LEAVES)
def test_the_fingerprint_changes_with_every_key(key):
    item, before = LEAVES[key], flatten(Recipe())[key]
    meta = item.metadata
    others = {bool: [not before], str: list(meta.get("allowed", ("other",)))}.get(item.type, [meta.get("low"), meta.get("high")])
    after = next(value for value in others if value != before)
    changed = override(Recipe(), [f"{key}={toml([after] if key in LISTS else after)}"])
    assert fingerprint(as_table(changed)) != fingerprint(as_table(Recipe()))
    assert {name for name, value in flatten(changed).items() if value != flatten(Recipe())[name]} == {key}


def test_a_fingerprint_is_16_digits_and_knows_no_order():
    assert fingerprint({"a": 1, "b": [1, 2]}) == fingerprint({"b": [1, 2], "a": 1}) != fingerprint({"a": 1, "b": [2, 1]})
    assert len(fingerprint({})) == 16 and int(fingerprint({}), 16) >= 0


def test_minus_zero_is_zero():
    assert fingerprint(as_table(override(Recipe(), ["gan.weight=-0.0"]))) == fingerprint(as_table(override(Recipe(), ["gan.weight=0"])))


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
    for bad in (low - 1, high * 2 + 1, float("nan"), float("inf"), -float("inf"), 10**400, True, "3", None, [3], {"a": 1}):
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
    for bad in ([0], [10, -1], [1.5], ["a"], [True], [[1]], [10**9]):
        assert "a whole number from 1 to" in refused(key, bad)


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


@pytest.mark.parametrize("text", [
    "labels = ", "labels = 100 200", "[train", "labels = 1\nlabels = 2", "\0", "dataset = digits", "labels = " + "9" * 5000, "labels = " + "[" * 20_000])
def test_text_that_is_no_toml_is_refused(text):
    with pytest.raises(Mistake, match="^my.toml is not valid TOML: "):
        parse(text, "my.toml")


def test_evidence_is_left_aside():
    assert parse('labels = 50\n[evidence]\nerrors = [1, 2]\nwhatever = "x"', "here") == dataclasses.replace(Recipe(), labels=50)


@pytest.mark.parametrize("text", ["train.epochs", "=5", "train.epochs=", " = ", "", "train.epochs 5"])
def test_an_assignment_needs_a_key_and_a_value(text):
    with pytest.raises(Mistake, match="write it as key=value"):
        override(Recipe(), [text])


@pytest.mark.parametrize("text", ["train=5", "train.epochs.x=5", "nope=1", "train.=1", ".=1", "labels.x=1", "model.widths.0=5"])
def test_an_assignment_to_what_is_no_key_is_refused(text):
    with pytest.raises(Mistake, match="no recipe key is called"):
        override(Recipe(), [text])


@pytest.mark.parametrize(("text", "key", "value"), [
    ("train.epochs=20", "train.epochs", 20.0), (" train.epochs = 2e1 ", "train.epochs", 20.0), ("labels=50", "labels", 50),
    ("dataset=fashion-mnist", "dataset", "fashion-mnist"), ('dataset="a=b"', "dataset", "a=b"), ("dataset=a=b", "dataset", "a=b"),
    ("model.widths=[3, 4]", "model.widths", [3, 4]), ("evaluate.supervised=false", "evaluate.supervised", False),
    ("train.adam=authors", "train.adam", "authors"), ("labels=1_000", "labels", 1000)])
def test_values_are_written_as_in_toml_and_words_without_quotes(text, key, value):
    assert flatten(override(Recipe(), [text]))[key] == value


@pytest.mark.parametrize("text", ["labels=50\ntrain.epochs=3", "labels=50\n[train]", "labels=1,2", "train.epochs=10**3", "labels=" + "9" * 5000])
def test_a_value_is_one_value(text):
    with pytest.raises(Mistake, match="(labels|train.epochs) must be"):
        override(Recipe(), [text])


def test_later_assignments_win_and_the_recipe_stays():
    recipe = Recipe()
    assert override(recipe, ["labels=50", "labels=20"]).labels == 20 and recipe == Recipe()


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
