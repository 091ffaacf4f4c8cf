"""The rows of an ablation: what each switches off, what it keeps, what is refused."""

import pytest

from ssgan.config import override
from ssgan.errors import Mistake
from ssgan.experiments import switches as module
from ssgan.experiments.switches import ALONE, switchable, switches
from ssgan.recipes import names, read
from ssgan.techniques import SETTINGS_ENTRIES, TECHNIQUES, active

DIGITS = read("digits").recipe


def made(recipe, switch):
    return override(recipe, list(switch.changes))


@pytest.mark.parametrize("name", names())
def test_by_default_every_technique_that_is_on_has_a_row_or_is_left_out_with_the_reason(name):
    recipe = read(name).recipe
    found = switches(recipe, None, [])
    told = {row.off[0] for row in found.rows if row.off} | {text.split(":")[0] for text in found.left_out}
    assert told == set(switchable(recipe)) and found.rows[0].name == "" and found.rows[0].changes == ()
    for row in found.rows[1:]:
        technique, changed = row.off[0], made(recipe, row)
        assert row.against == "" and row.name == f"without {technique}" and changed != recipe
        assert technique not in switchable(changed)
        kept = set(active(recipe)) - set(active(changed)) - {technique}
        assert all(technique in TECHNIQUES[other].requires for other in kept)


def test_alone_is_the_labelled_loss_with_what_a_technique_needs():
    recipe = override(DIGITS, ["gradient_penalty.weight=1", "model.minibatch_kernels=0", "pictures.steps=0"])
    found = switches(recipe, [], ["consistency", "gp", "layer_noise", "gan"])
    base, *rows = found.rows[1:]
    assert base.name == ALONE and base.against == "" and list(active(made(recipe, base))) == ["supervised"]
    assert [set(active(made(recipe, row))) - {"supervised"} for row in rows] == [
        {"consistency"}, {"gan", "gradient_penalty", "feature_matching"}, set(), {"gan", "feature_matching"}]
    assert [SETTINGS_ENTRIES["layer_noise"].is_on(made(recipe, row)) for row in (base, *rows)] == [
        False, False, False, True, False]
    assert [row.against for row in rows] == [ALONE] * 4
    assert [row.note for row in rows] == ["", "with gan, feature_matching, which it needs", "",
                                          "with feature_matching, which it needs"]


def test_several_are_off_in_one_row_and_the_same_recipe_is_not_trained_twice():
    found = switches(DIGITS, ["consistency+augment", "gan", "gan+feature_matching"], [])
    assert [row.off for row in found.rows] == [(), ("consistency", "augment"), ("gan",), ("gan", "feature_matching")]
    both = made(DIGITS, found.rows[1])
    assert not both.augment.is_on() and not both.consistency.is_on() and both.gan.is_on()
    bare = override(DIGITS, ["consistency.weight=0", "augment.shift=0", "augment.rotation=0", "augment.scale=0",
                             "augment.shear=0", "pictures.steps=0"])
    plain = switches(bare, ["gan+feature_matching"], ["gan"])
    assert [row.name for row in plain.rows] == ["", "without gan+feature_matching"]
    assert plain.left_out == (f"{ALONE}: it is the same as without gan+feature_matching",
                              "gan alone: it is the same as the recipe as it is")


def test_a_generator_that_loses_its_only_loss_has_the_adversarial_one_and_else_is_refused(monkeypatch):
    row = switches(DIGITS, ["feature_matching"], []).rows[1]
    found = made(DIGITS, row)
    assert found.adversarial.weight == 1 and not found.feature_matching.is_on() and row.against == ""
    assert row.note == "the generator learns from adversarial instead"
    assert "adversarial.weight=1.0" in row.changes and "without feature_matching" in [
        each.name for each in switches(DIGITS, None, []).rows]
    monkeypatch.setattr(module, "STAND_INS", {})
    with pytest.raises(Mistake, match="--off feature_matching: nothing else teaches the generator"):
        switches(DIGITS, ["feature_matching"], [])
    assert "feature_matching: nothing else teaches the generator." in switches(DIGITS, None, []).left_out
    noisy = override(DIGITS, ["instance_noise.std=0.1"])  # which has images of the generator's, and no loss
    with pytest.raises(Mistake, match="nothing else teaches the generator"):
        switches(noisy, ["feature_matching"], [])


def test_without_labels_the_pair_is_left_and_what_learns_from_labels_is_off():
    row = switches(DIGITS, ["labels"], []).rows[1]
    found = made(DIGITS, row)
    assert row.name == "without labels" and row.off == ("labels",) and row.against == ""
    assert found.train.labelled_weight == 0 and found.gan.is_on() and active(found)["supervised"].factor() == 0
    assert DIGITS.pictures.is_on() and not found.pictures.is_on()
    assert row.note.startswith("off with it, for they need it: pictures; ") and "no error is told" in row.note
    assert switches(DIGITS, ["Labels+consistency"], []).rows[1].off == ("labels", "consistency")


@pytest.mark.parametrize(("off", "only", "told"), [
    (["vat"], [], "--off vat: vat is not on in this recipe; put it on with --set vat.weight=VALUE"),
    (["minibatch"], [], "minibatch_discrimination is not on .*--set model.minibatch_kernels=VALUE"),
    (["augmnt"], [], "--off augmnt: no technique is called 'augmnt'. did you mean augment"),
    ([], ["historical"], "--only historical: historical_averaging is not on"),
    ([], ["labels"], "--only labels: the loss of the labelled images is in every row of --only.*\n.*--off labels"),
    (["labels+gan"], [], "train.labelled_weight = 0 leaves nothing to train: there is no generator to score"),
    (["gan+nothing"], [], "no technique is called 'nothing'"),
], ids=str)
def test_what_cannot_be_switched_is_refused_and_what_can_is_named(off, only, told):
    with pytest.raises(Mistake, match=told) as raised:
        switches(DIGITS, off, only)
    assert len(str(raised.value).splitlines()) <= 3
