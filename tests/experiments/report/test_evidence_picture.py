"""The picture of a recipe's evidence: drawn from what its file records, and README's is the one that it gives."""

from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from ssgan.errors import Mistake
from ssgan.experiments.report import evidence_picture as module
from ssgan.experiments.report.evidence_picture import NOTE, evidence_hash, evidence_picture, recorded
from ssgan.recipes import names, read

PIPELINES = Path(__file__).parents[3] / "pipelines"
ROWS = {  # of digits, by the baseline that they are
    "supervised only": "supervised only, same network", "no generator": "no generator (gan.weight = 0)",
    "SelfTraining": "scikit-learn SelfTraining", "LabelSpreading": "scikit-learn LabelSpreading",
    "SVM": "SVM on the labels alone"}
LARGEST = 200_000  # bytes, for README is often opened


def test_the_curve_is_of_the_first_row_with_its_baselines():
    file = read("digits")
    series, = recorded(file).series
    by_name = {row["what"]: row["errors"] for row in file.evidence["rows"]}
    assert [row.labels for row in series.rows] == [20, 50, 100, 200] and series.forecast is None
    for row in series.rows:
        own = by_name["recommended, generator on"][str(row.labels)]
        assert [100 * error for error in row.errors] == pytest.approx(own) and set(row.baselines) == set(ROWS)
        for name, what in ROWS.items():
            errors = by_name[what][str(row.labels)]
            assert row.baselines[name].mean == pytest.approx(sum(errors) / len(errors) / 100)
            assert row.baselines[name].n == 10


def test_a_baseline_of_other_budgets_or_seeds_is_left_out(tmp_path):
    rows = [("ours", "[0, 1]", "20 = [2.0, 3.0], 50 = [1.0, 1.5]"), ("SVM, say", "[0, 1]", "20 = [9.0, 8.0]"),
            ("no generator", "[1, 2]", "20 = [4.0, 5.0]")]
    text = "".join(f'[[evidence.rows]]\nwhat = "{what}"\nsplit_seeds = {seeds}\nerrors = {{ {errors} }}\n'
                   'machine = ""\ncommand = ""\n' for what, seeds, errors in rows)
    (tmp_path / "mine.toml").write_text(text)
    series, = recorded(read(str(tmp_path / "mine.toml"))).series
    assert [set(row.baselines) for row in series.rows] == [{"SVM"}, set()]


@pytest.mark.parametrize("name", [name for name in names() if read(name).evidence.get("rows")])
def test_every_recipe_with_evidence_can_be_drawn(name):
    image = Image.open(BytesIO(evidence_picture(read(name))))
    assert image.width > 1000 and image.text[NOTE] == evidence_hash(read(name))


def test_a_recipe_without_evidence_is_a_mistake():
    with pytest.raises(Mistake, match="recipe folder has no evidence that could be drawn"):
        evidence_picture(read("folder"))


def test_the_hash_tells_evidence_and_the_papers_row_apart(monkeypatch):
    before = {name: evidence_hash(read(name)) for name in ("digits", "mnist")}
    changed = read("digits")
    changed.evidence["rows"][0]["errors"]["20"][3] += 0.01
    assert evidence_hash(changed) != before["digits"]
    monkeypatch.setattr(module, "paper_row", lambda dataset: None)
    assert evidence_hash(read("digits")) == before["digits"] and evidence_hash(read("mnist")) != before["mnist"]


@pytest.mark.parametrize("path", sorted(PIPELINES.glob("*.png")), ids=lambda path: path.name)
def test_a_kept_picture_is_what_the_recipes_evidence_gives(path):
    assert path.stat().st_size <= LARGEST
    assert Image.open(path).text.get(NOTE) == evidence_hash(read(path.stem)), (
        f"the evidence has changed; make the picture anew: ssgan recipes {path.stem} --picture pipelines/{path.name}")
