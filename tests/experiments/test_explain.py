"""Pages of techniques, keys and measurements: everything has one, every short form leads to one, and they say what the
objects say.
"""

import re

import pytest

from ssgan import config, recipes
from ssgan.errors import Mistake
from ssgan.evaluation.metric_pages import METRICS
from ssgan.experiments import explain
from ssgan.experiments.explain import Effect, find, pages, technique_named
from ssgan.experiments.report.ablation_evidence import KEYS
from ssgan.experiments.report.effects import effects_table
from ssgan.techniques import SETTINGS_ENTRIES, TECHNIQUES
from ssgan.techniques.short_forms import SHORT_FORMS

ASKED = {  # what people call it: what it is called here
    "minibatch": "minibatch_discrimination", "historical": "historical_averaging", "FM": "feature_matching",
    "feature_matching": "feature_matching", "feature matching": "feature_matching", "GP": "gradient_penalty",
    "WGAN-GP": "gradient_penalty", "R1": "gradient_penalty", "SN": "spectral_norm", "spectral": "spectral_norm",
    "TTUR": "two_time_scales", "two_time_scale": "two_time_scales", "VAT": "vat", "weight-norm": "weight_norm",
    "conditional": "conditional", "IS": "inception_score", "FID": "fid", "fréchet": None,
    "hist": "historical_averaging", "Inception Score": "inception_score", "test/error": "test_error",
    "score/inception_score_real": "inception_score", "train/unlabelled_loss": "gan", "gradient_length":
    "gradient_penalty", "hinge": "adversarial", "Wasserstein": "adversarial", "non-saturating": "adversarial",
    "smoothing": "smoothing", "one-sided": "smoothing", "label_noise": "label_noise", "instance_noise":
    "instance_noise", "L1": "l1", "L2": "l2", "dropout": "dropout", "K+1": "gan", "generated_only": "generated_only_error",
    "kid_std": "kid", "test/test/error": None}


# The paper's techniques, the names, and the successors that the project's sources name: its page here.
NAMED_BY_SOURCES = {
    "minibatch": "minibatch_discrimination", "historical": "historical_averaging", "smoothing": "smoothing",
    "label_noise": "label_noise", "virtual_batch_norm": "virtual_batch_norm", "VBN": "virtual_batch_norm",
    "feature_matching": "feature_matching", "spectral": "spectral_norm", "gradient_penalty": "gradient_penalty",
    "instance_noise": "instance_noise", "two_time_scale": "two_time_scales", "conditional": "conditional",
    "dropout": "dropout", "generator dropout": "generator_dropout", "hinge": "adversarial",
    "wasserstein": "adversarial", "minimax": "adversarial", "non-saturating": "adversarial",
    "least squares": "adversarial", "relativistic": "adversarial", "l1": "l1", "l2": "l2", "batch_norm": "batch_norm",
    "generator batch norm": "generator_batch_norm", "weight_norm": "weight_norm",
    "generator weight norm": "generator_weight_norm", "generator spectral norm": "generator_spectral_norm",
    "noisy labels": "label_noise", "flipped labels": "label_noise", "several updates": "several_updates",
    "loss ratio": "loss_ratio", "averaged opponent": "averaged_opponent", "clip": "gradient_clipping",
    "strided convolutions": "average_pooling", "average pooling": "average_pooling",
    "transposed": "transposed_convolutions", "upsampling": "transposed_convolutions",
    "checkerboard": "transposed_convolutions", "leaky ReLU": "discriminator_activation", "tanh": "signed_images",
    "low momentum": "low_momentum", "latent_uniform": "latent_uniform", "latent noise": "latent_noise",
    "complement": "pull_away", "manifold": "manifold", "VAT": "vat", "FM": "feature_matching", "GP": "gradient_penalty",
    "SN": "spectral_norm", "TTUR": "two_time_scales", "multi_scale": "multi_scale", "MSG": "multi_scale",
    "multi-scale gradients": "multi_scale"}


@pytest.mark.parametrize(("asked", "name"), NAMED_BY_SOURCES.items(), ids=str)
def test_what_the_sources_name_has_a_page_with_what_why_equation_cost_and_source(asked, name):
    page = find(asked)
    assert page.name == name and page.kind == "technique" and page.costs and page.source and page.keys
    assert len(page.text.split()) > 30, "what it is, and why"
    assert re.search(r"[=^|]| [-+/] |E\[|max\(|[Cc]ross entropy", " ".join(page.text.split())), "its equation"


def test_everything_is_explained_with_what_it_costs_and_its_source():
    found = pages()
    assert set(found) == {"supervised"} | set(TECHNIQUES) | set(SETTINGS_ENTRIES) | set(METRICS)
    for name, page in found.items():
        assert find(name).name == page.name == name and page.what.endswith(".") and len(page.what) < 400
        assert page.plain()["text"] and re.search(r"(19|20)\d\d", page.source), name
        assert page.costs or name == "supervised"
    for name in TECHNIQUES:
        assert list(pages()[name].plain()["keys"]) == [key for key in config.keys() if key.startswith(f"{name}.")]
    assert set(TECHNIQUES).isdisjoint(METRICS) and set(SETTINGS_ENTRIES).isdisjoint({*METRICS, *TECHNIQUES})


@pytest.mark.parametrize("key", config.keys())
def test_every_key_of_a_recipe_is_explained(key):
    page = find(key)
    assert page.name == key and page.kind == "recipe key" and page.text and page.facts["default"]
    assert page.plain()["keys"][key] == config.describe()[key] and set(page.facts) >= {"allowed", "in recipes"}
    if key.partition(".")[0] in TECHNIQUES:
        assert f"{key.partition('.')[0]}: " in page.facts["see"]


@pytest.mark.parametrize("short", SHORT_FORMS)
def test_every_short_form_leads_to_a_page(short):
    assert explain.written(short) == short
    assert find(short).name == find(short.upper()).name == (short if short in pages() else SHORT_FORMS[short])
    assert SHORT_FORMS[short] in pages()


@pytest.mark.parametrize(("asked", "name"), ASKED.items(), ids=str)
def test_it_is_found_as_people_call_it(asked, name):
    if name is None:
        with pytest.raises(Mistake, match="no technique, recipe key or metric is called"):
            find(asked)
    else:
        assert find(asked).name == name


def test_old_keys_and_sections_are_found_and_what_is_none_names_the_nearest():
    for old, new in config.RENAMED.items():
        assert find(old).name == new
    assert find("train").kind == "section" and "train.epochs" in find("train").keys
    assert find("train.epo").name == "train.epochs" and find("labels").name == "labels"
    for asked, told in (("learning_rate", r"may be one of 2: train\.learning_rate, pictures\.learning_rate"),
                        ("feature_maching", "did you mean feature_matching"), ("", "no technique"),
                        ("train.", r"may be one of \d+: train\.epochs.* more"), ("zzz", "no technique")):
        with pytest.raises(Mistake, match=told) as raised:
            find(asked)
        assert len(str(raised.value).splitlines()) <= 3


def test_a_technique_of_an_option_is_no_metric():
    assert technique_named("GP", "--off") == "gradient_penalty" and technique_named("aug", "--off") == "augment"
    for asked, told in (("inception_score", "no technique"), ("augmnt", "did you mean augment"),
                        ("gradient", "--off gradient: .*may be one of 2")):
        with pytest.raises(Mistake, match=told):
            technique_named(asked, "--off")


def test_a_recorded_ablation_is_told_with_its_interval_and_none_is_invented(monkeypatch):
    explain._effects.cache_clear()
    rows = [row for name in recipes.names() for row in recipes.read(name).evidence.get("ablation", [])]
    assert all(set(row) <= set(KEYS) and len(row["inception_score" if row["off"] == ["labels"] else "error"])
               == len(row["split_seeds"]) for row in rows)
    names = [row["off"] or row["only"] for row in rows]
    assert {name for name, page in pages().items() if page.effects} == {its[0] for its in names if len(its) == 1}
    effect = Effect("digits", "without vat", True, 100, {"error": (1.0, 2.0, 3.0), "ms_a_step": (-1.0,)}, "two cores",
                    "ssgan ablate digits")
    monkeypatch.setattr(explain, "_effects", lambda: ((["vat"], effect), (["vat", "gan"], effect)))
    assert find("vat").effects == (effect,) and find("gan").effects == ()
    assert ("n = 3, without vat: test error in points +2.00 (-0.48 to +4.48), ms a step -1.00 (`ssgan ablate digits`; "
            "two cores)") in effect.told()
    assert find("vat").plain()["effects"][0]["changes"] == {"error": (1.0, 2.0, 3.0), "ms_a_step": (-1.0,)}


def test_the_table_of_effects_says_what_a_technique_brings_and_not_what_its_absence_does(monkeypatch):
    without = Effect("digits", "without smoothing", True, 50, {"error": (1.0, 2.0, 3.0), "ms_a_step": (-4.0, -4.0, -4.0)},
                     "two cores", "ssgan ablate digits")
    alone = Effect("mnist", "smoothing alone", False, 100, {"error": (-1.0,)}, "two cores",
                   "ssgan ablate mnist --set smoothing.weight=0.5 --set train.epochs=3")
    monkeypatch.setattr(explain, "_effects", lambda: ((["smoothing"], without), (["smoothing"], alone)))
    _, _, *lines = effects_table(pages().values()).splitlines()
    first, second = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    assert first[:5] == ["smoothing", "`smoothing.weight`", "Salimans et al. 2016", "digits, 50 labels", "3"]
    assert first[5:] == ["-2.00 (-4.48 to +0.48)", "", "", "+4.00", "+1.26"]
    assert second[1] == "`smoothing.weight=0.5`" and second[3:6] == ["mnist, 100 labels, alone", "1", "-1.00"]
