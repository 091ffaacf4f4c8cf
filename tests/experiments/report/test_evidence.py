"""The table of what recipes have reached: every measured cell by hand, and evidence that is not whole."""

import statistics

import pytest

from ssgan.errors import Mistake
from ssgan.experiments.report.evidence import evidence_rows, evidence_table
from ssgan.recipes import names, read

MINE = """
labels = 20
[[evidence.rows]]
what = "mine"
split_seeds = [3, 5, 8]
errors.20 = [1.0, 4.0, 2.5]
machine = "an abacus"
command = "ssgan run"
[[evidence.rows]]
what = "once"
split_seeds = [3]
errors.50 = [0.5]
machine = "an abacus"
command = "ssgan run"
"""


def cells(text):
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines()]


def test_a_row_has_mean_std_median_and_worst_and_its_command(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(MINE)
    heading, _, first, once = cells(evidence_table([str(path)]))
    assert heading == ["recipe", "what", "20 labels", "50 labels", "n", "machine, command"]
    assert first[1:] == ["mine", "2.50 ± 1.50 (2.50; worst 4.00)", "", "3", "an abacus; `ssgan run`"]
    assert once[1:] == ["once", "", "0.50", "1", "an abacus; `ssgan run`"], "one value has no spread, and no median"


def test_every_row_of_every_shipped_recipe_is_there():
    lines = cells(evidence_table())
    for name in names():
        for row in evidence_rows(read(name)):
            line, = [line for line in lines if line[:2] == [name, row["what"]]]
            for labels, errors in row["errors"].items():
                cell = line[lines[0].index(f"{labels} labels")]
                assert cell.startswith(f"{statistics.mean(errors):.2f}")
                assert len(errors) == 1 or cell.endswith(f"worst {max(errors):.2f})")
    paper = ["salimans2016-mnist", "the paper, Salimans et al. 2016", "16.77 ± 4.52", "2.21 ± 1.36", "0.93 ± 0.065",
             "0.90 ± 0.042", "10"]
    shown = [lines[0].index(name) for name in ("recipe", "what", *(f"{n} labels" for n in (20, 50, 100, 200)), "n")]
    assert paper in [[line[place] for place in shown] for line in lines[2:]]


def test_one_recipe_alone():
    assert {line[0] for line in cells(evidence_table(["digits"]))[2:]} == {"digits"}
    assert len(cells(evidence_table(["folder"]))) == 2, "a heading, and no row"


@pytest.mark.parametrize("change", [
    ('what = "mine"\n', ""), ("[1.0, 4.0, 2.5]", "[1.0, 4.0]"), ("errors.20 = [1.0, 4.0, 2.5]", "errors = 1.0"),
    ("errors.20 = [1.0, 4.0, 2.5]", "errors = {}"), ("errors.20", "errors.few"), ("[1.0, 4.0, 2.5]", "1.0"),
    ("[[evidence.rows]]", "[evidence.rows]"), ("split_seeds = [3, 5, 8]", "split_seeds = 3")], ids=str)
def test_evidence_that_is_not_whole_is_a_mistake(tmp_path, change):
    path = tmp_path / "mine.toml"
    path.write_text(MINE.partition("[[evidence.rows]]\nwhat = \"once\"")[0].replace(*change))
    with pytest.raises(Mistake, match="a row of its evidence is not whole"):
        evidence_table([str(path)])
