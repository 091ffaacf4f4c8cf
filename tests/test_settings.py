"""Settings dataclasses in general: reading, overriding, old names, fingerprints. (A recipe's own: test_config.py.)"""

import json
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssgan import settings
from ssgan.errors import Mistake
from ssgan.settings import (
    as_table,
    build,
    changed,
    choice,
    describe,
    fingerprint,
    flatten,
    flatten_table,
    nested,
    number,
    numbers,
    override,
    read_toml,
    switch,
    under_new_names,
)


@dataclass(frozen=True)
class Heat:
    """How hot it is."""

    degrees: float = number(180.0, 0, 300, "at the middle shelf")
    fan: bool = switch(False, "moves the air")


@dataclass(frozen=True)
class Oven:
    """What bakes."""

    name: str = choice("plain", ("plain", "steam"), "its kind")
    minutes: int = number(30, 1, 600, "of baking")
    shelves: tuple[int, ...] = numbers((1, 3), 1, 9, "from below")
    heat: Heat = Heat()


RENAMED = {"warmth": "heat.degrees", "heat.wind": "heat.fan", "time.minutes": "minutes"}
heats = st.builds(Heat, st.floats(0, 300, allow_subnormal=False).map(abs), st.booleans())
shelves = st.lists(st.integers(1, 9), min_size=1, max_size=4).map(tuple)
ovens = st.builds(Oven, st.sampled_from(["plain", "steam"]), st.integers(1, 600), shelves, heats)
names = st.sampled_from(["a", "b", "c"])
scalars = st.integers() | st.booleans() | st.text()
tables = st.recursive(scalars, lambda inner: st.dictionaries(names, inner, min_size=1), max_leaves=9)


@given(ovens)
def test_settings_survive_every_form(oven):
    assert build(Oven, as_table(oven), "here") == build(Oven, nested(flatten(oven)), "here") == oven
    assert flatten(oven) == flatten_table(json.loads(json.dumps(as_table(oven))))
    assert set(flatten(oven)) == set(describe(Oven))
    assert build(Oven, nested(changed(oven)), "here") == oven  # what is left out is as by default


@given(st.dictionaries(names, tables))
def test_tables_are_flattened_and_nested_again(table):
    assert nested(flatten_table(table)) == table


def test_what_is_changed_is_what_differs_from_the_defaults():
    assert changed(Oven()) == {}
    assert changed(Oven(minutes=5, heat=Heat(fan=True))) == {"minutes": 5, "heat.fan": True}


def test_a_fingerprint_is_16_digits_and_knows_no_order():
    assert fingerprint({"a": 1, "b": [1, 2]}) == fingerprint({"b": [1, 2], "a": 1})
    assert fingerprint({"a": 1, "b": [1, 2]}) != fingerprint({"a": 1, "b": [2, 1]})
    assert len(fingerprint({})) == 16 and int(fingerprint({}), 16) >= 0


@pytest.mark.parametrize("text", [
    "minutes = ", "minutes = 100 200", "[heat", "minutes = 1\nminutes = 2", "\0", "name = plain",
    "minutes = " + "9" * 5000, "minutes = " + "[" * 20_000])
def test_text_that_is_no_toml_is_refused(text):
    with pytest.raises(Mistake, match="^my.toml is not valid TOML: "):
        read_toml(text, "my.toml")


@pytest.mark.parametrize("text", ["heat.degrees", "=5", "heat.degrees=", " = ", "", "heat.degrees 5"])
def test_an_assignment_needs_a_key_and_a_value(text):
    with pytest.raises(Mistake, match="write it as key=value"):
        override(Oven(), [text])


@pytest.mark.parametrize("text", [
    "heat=5", "heat.degrees.x=5", "nope=1", "heat.=1", ".=1", "minutes.x=1", "shelves.0=5"])
def test_an_assignment_to_what_is_no_key_is_refused(text):
    with pytest.raises(Mistake, match="no recipe key is called"):
        override(Oven(), [text])


@pytest.mark.parametrize(("text", "key", "value"), [
    ("heat.degrees=20", "heat.degrees", 20.0), (" heat.degrees = 2e1 ", "heat.degrees", 20.0),
    ("minutes=50", "minutes", 50), ("name=steam", "name", "steam"), ('name="steam"', "name", "steam"),
    ("shelves=[3, 4]", "shelves", [3, 4]), ("heat.fan=true", "heat.fan", True), ("minutes=0b11", "minutes", 3)])
def test_values_are_written_as_in_toml_and_words_without_quotes(text, key, value):
    assert flatten(override(Oven(), [text]))[key] == value


@pytest.mark.parametrize("text", [
    "minutes=50\nheat.degrees=3", "minutes=50\n[heat]", "minutes=1,2", "heat.degrees=10**3", "minutes=" + "9" * 5000])
def test_a_value_is_one_value(text):
    with pytest.raises(Mistake, match="(minutes|heat.degrees) must be"):
        override(Oven(), [text])


def test_later_assignments_win_and_the_settings_stay():
    oven = Oven()
    assert override(oven, ["minutes=50", "minutes=20"]).minutes == 20 and oven == Oven()


def test_keys_may_have_their_old_names():
    asked = Oven(minutes=5, heat=Heat(200.0, True))
    table = {"warmth": 200, "heat": {"wind": True}, "time": {"minutes": 5}}
    assert build(Oven, table, "here", RENAMED) == asked
    assert override(Oven(), ["warmth=200", "heat.wind=true", " time.minutes = 5"], renamed=RENAMED) == asked
    assert under_new_names(table, "here", RENAMED) == {"minutes": 5, "heat": {"degrees": 200, "fan": True}}
    for other in ({"other": {"key": 1}}, 3):
        assert under_new_names(other, "here", RENAMED) == other


def test_both_names_at_once_are_a_mistake():
    with pytest.raises(Mistake, match="here: warmth is the old name of heat.degrees, and both are there: leave warmth"):
        build(Oven, {"warmth": 200, "heat": {"degrees": 200}}, "here", RENAMED)


def test_an_old_name_that_a_person_has_written_is_told_once():
    build(Oven, {"warmth": 200}, "run.json", RENAMED)
    assert settings.old_names() == []  # a file that nobody has written
    override(Oven(), ["warmth=200", "minutes=3"], renamed=RENAMED)
    override(Oven(), ["warmth=100", "heat.wind=true"], renamed=RENAMED)
    assert settings.old_names() == ["warmth is now called heat.degrees", "heat.wind is now called heat.fan"]
    override(Oven(), ["warmth=200"], renamed=RENAMED)
    assert settings.old_names() == []
