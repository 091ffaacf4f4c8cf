"""The tricks that are no loss: each has its page, its keys, and the values at which it is off."""

import dataclasses
import re

import pytest
import small

from ssgan import config
from ssgan.config import Recipe, override
from ssgan.settings import declared
from ssgan.techniques import SETTINGS_ENTRIES, TECHNIQUES, key_of
from ssgan.techniques.technique import SEEN

# How large the networks, a step and a run are, and how they are computed.
NO_TRICKS = {
    "model.widths", "model.generator_widths", "model.strides", "model.pooling", "train.epochs",
    "train.least_steps", "train.most_steps", "train.batch", "train.labelled_share", "train.generated_share",
    "train.precision", "train.compile", "train.labelled_weight"}

KEYS = {key for key in config.keys() if key.startswith(("model.", "train."))}


def assignments(values) -> list[str]:
    return [f"{key}={value}" for key, value in values.items()]


@pytest.mark.parametrize("name", SETTINGS_ENTRIES)
def test_every_entry_has_its_page_and_keys_that_are_there(name):
    entry = SETTINGS_ENTRIES[name]
    assert "Costs" in entry.page and re.search(r"(19|20)\d\d", entry.page), "what it costs, and its source"
    assert entry.keys and set(entry.keys) <= KEYS and set(entry.off) <= set(entry.keys)
    assert entry.sees and entry.sees <= SEEN and name not in TECHNIQUES


@pytest.mark.parametrize("name", SETTINGS_ENTRIES)
def test_every_entry_is_off_where_all_its_keys_say_so_and_not_where_one_does_not(name):
    entry = SETTINGS_ENTRIES[name]
    without = override(Recipe(), assignments(entry.off))
    assert entry.off and not entry.is_on(without)
    for key in entry.off:
        section, field = key.split(".")
        item = next(item for item in dataclasses.fields(getattr(without, section)) if item.name == field)
        allowed = item.metadata.get("allowed") or (item.metadata["low"], item.metadata["high"])
        others = [value for value in allowed if value != entry.off[key]]
        if key in entry.on:
            assert not any(entry.is_on(override(without, [f"{key}={value}"])) for value in others
                           if value != entry.on[key])
            others = [entry.on[key]]
        assert others and all(entry.is_on(override(without, [f"{key}={value}"])) for value in others)


def test_without_all_that_can_be_off_a_network_is_trained():
    values = {key: value for entry in SETTINGS_ENTRIES.values() for key, value in entry.off.items()}
    del values["model.family"]  # without multi-scale gradients it is dcgan, and stays what it is elsewhere
    trainer = small.trainer(override(small.MLP, assignments(values)))
    trainer.step()
    assert trainer.failures() == []


def test_the_key_by_which_a_technique_is_on_is_one_of_a_recipe():
    for name in ("supervised", *TECHNIQUES, *SETTINGS_ENTRIES):
        assert key_of(name) in declared(Recipe), name


def test_every_key_of_the_model_and_of_training_is_of_an_entry_or_no_trick():
    named = {key for entry in SETTINGS_ENTRIES.values() for key in entry.keys}
    assert named | NO_TRICKS == KEYS and not named & NO_TRICKS


def test_the_papers_recipe_has_the_papers():
    paper = override(Recipe(), ["train.adam=authors"])
    assert {name for name, entry in SETTINGS_ENTRIES.items() if entry.is_on(paper)} == {
        "weight_norm", "data_dependent_initialisation", "layer_noise", "generator_batch_norm",
        "latent_uniform", "averaging", "authors_adam", "low_momentum"}
