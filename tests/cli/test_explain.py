"""The command line of `ssgan explain`."""

import json

import pytest
from click.testing import CliRunner

from ssgan.cli import main
from ssgan.evaluation.metric_pages import METRICS
from ssgan.techniques import SETTINGS_ENTRIES, TECHNIQUES


def explain(*arguments):
    return CliRunner().invoke(main, ["explain", *arguments])


def test_without_a_key_all_are_listed_a_line_each_with_their_sources():
    lines = explain().stdout.splitlines()
    for name in (*TECHNIQUES, *SETTINGS_ENTRIES, *METRICS):
        line, = [line for line in lines if line.split()[:1] == [name]]
        assert any(year in line for year in ("19", "20")) or "…" in line
    assert max(map(len, lines)) <= 120


def test_a_page_has_what_it_is_its_keys_and_what_was_measured():
    shown = explain("GP").stdout
    assert shown.startswith("\ngradient_penalty (technique, also gp, wgan_gp, r1, r2)\n")
    for words in ("Gulrajani et al. 2017", "Costs", "gradient_penalty.one_sided", "needs            gan",
                  "measured here"):
        assert words in shown
    assert "lower, down to the real training images'" in explain("FID").stdout
    assert "a number from 1e-09 to 10" in explain("train.learning_rate").stdout


def test_json_is_the_same_for_a_program():
    one, every = (json.loads(explain(*arguments, "--json").stdout.splitlines()[-1]) for arguments in (["GP"], []))
    assert one["key"] == "gradient_penalty" and one in every["pages"] and one["facts"]["needs"] == "gan"
    assert set(one) == {"key", "kind", "what", "text", "costs", "source", "short_forms", "facts", "keys", "effects"}


@pytest.mark.parametrize(("key", "told"), [("feature_maching", "did you mean feature_matching"),
                                           ("learning_rate", "may be one of 2")], ids=str)
def test_a_key_that_is_none_is_told_with_the_nearest(key, told):
    done = explain(key)
    assert done.exit_code == 2 and told in done.stderr and len(done.stderr.splitlines()) <= 3


def test_effects_are_a_table_and_of_what_has_none_a_clear_answer():
    told = explain("fid", "--effects")
    assert told.exit_code == 2 and "no ablation of fid is recorded" in told.stderr
    assert explain("--effects", "--json").exit_code == 2
