"""An ablation: its rows' runs, the pairing by seed, the report; and that what is there is not made again."""

import statistics
from dataclasses import replace
from pathlib import Path

import pytest
import small
from scipy import stats

from ssgan.config import override
from ssgan.errors import Failed
from ssgan.evaluation import domain_classifier
from ssgan.evaluation import figures as pictures
from ssgan.evaluation.scoring_network import ITSELF
from ssgan.experiments.ablation import Outcome, run_ablation
from ssgan.experiments.grid import Plan
from ssgan.experiments.member import Member
from ssgan.experiments.progress import Progress
from ssgan.experiments.report.ablation import Ablation, AblationRow, ablation_plain
from ssgan.experiments.report.ablation_evidence import ablation_evidence
from ssgan.experiments.report.ablation_picture import ablation_picture
from ssgan.experiments.report.ablation_text import ablation_markdown
from ssgan.experiments.run import Setting, run_group
from ssgan.experiments.stages import NO_LABELS
from ssgan.experiments.switches import switches
from ssgan.recipes import read
from ssgan.tracking import ABLATION_TAG
from ssgan.tracking.workfolder import WorkFolder

RECIPE = override(read("digits").recipe, [
    "train.epochs=1", "train.batch=100", "train.averaging_rate=0.1", "model.widths=[16]", "model.generator_widths=[16]",
    "train.initialise_images=50", "pictures.steps=0", "labels=20", "score.samples=60", "score.splits=3",
    "score.train_images=0", "evaluate.supervised=false", "evaluate.gan_off=false", "evaluate.classical=false"])
ROWS = switches(RECIPE, ["gan"], ["consistency"])
PLAN = Plan(RECIPE, "digits", (20,), ((0, 0), (1, 1)), choices=tuple(row.choice for row in ROWS.rows))


def done(folder: Path, plan: Plan = PLAN) -> Outcome:
    setting = Setting(folder / "work", None, "cpu", progress=Progress(quiet=True))
    return run_ablation(plan, ROWS, small.digits(), setting)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Outcome:
    folder = tmp_path_factory.mktemp("ablated")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        patch.setitem(domain_classifier.SETTINGS, "most_steps", 20)
        for name in ("confusion_picture", "mistakes_sheet", "class_histogram_picture"):
            patch.setattr(pictures, name, lambda *arguments, **options: None)
        yield done(folder)


def test_every_row_is_its_recipe_trained_with_every_seed(whole):
    assert [(row.name, row.off, row.only, row.against) for row in whole.ablation.rows] == [
        ("as it is", (), (), None), ("without gan", ("gan",), (), "as it is"),
        ("labelled loss alone", (), (), "as it is"), ("consistency alone", (), ("consistency",), "labelled loss alone")]
    assert [(row.changes or {}).get("gan.weight") for row in whole.ablation.rows] == [None, 0.0, 0.0, 0.0]
    for row in whole.ablation.rows:
        assert [(folder.facts["seed"], folder.facts["split_seed"]) for folder in row.folders] == [(0, 0), (1, 1)]
        assert [folder.facts["result"]["evaluation"]["error"] for folder in row.folders] == list(row.errors)
        for folder in row.folders:
            assert (folder.facts["status"] == "FINISHED"
                    and folder.facts["tags"][ABLATION_TAG] == whole.folder.fingerprint)
            recipe = "digits" if row.against is None else f"digits {row.name}"
            assert folder.facts["params"]["recipe"] == recipe and folder.facts["result"]["baselines"] == []


def test_the_numbers_are_paired_by_seed(whole):
    plain = ablation_plain(whole.ablation)
    first, without, alone, only = plain["rows"]
    assert first["difference"] is None and plain["labels"] == 20 and plain["generator"] == "generator"
    for row, against in ((without, first), (alone, first), (only, alone)):
        gaps = [own - other for own, other in zip(row["error"]["each"], against["error"]["each"])]
        half = stats.t.ppf(0.975, 1) * statistics.stdev(gaps) / 2**0.5
        assert row["difference"]["mean"] == pytest.approx(statistics.mean(gaps)) and row["difference"]["n"] == 2
        assert row["difference"]["interval"] == pytest.approx([statistics.mean(gaps) - half,
                                                               statistics.mean(gaps) + half])
        assert row["error"]["mean"] == pytest.approx(statistics.mean(row["error"]["each"]))
        assert row["error"]["std"] == pytest.approx(statistics.stdev(row["error"]["each"]))
    assert all(row["ms_a_step"]["mean"] > 0 for row in plain["rows"])
    assert first["inception_score"]["mean"] >= 1 and first["fid"]["n"] == 2
    assert without["inception_score"] == {"mean": None, "std": None, "n": 0, "each": [None, None], "difference": None}


def test_the_report_lies_with_the_summary_run(whole):
    facts, into = whole.folder.facts, whole.folder.path / "report"
    assert facts["name"] == "digits · ablate: 20 labels × 2 seeds × 4 rows" and facts["status"] == "FINISHED"
    assert facts["tags"]["ssgan.kind"] == "ablation-summary" and facts["params"]["rows"].startswith("as it is; without")
    text = (into / "ablation.md").read_text()
    assert facts["tags"]["mlflow.note.content"] in text and (into / "ablation.png").read_bytes()[:4] == b"\x89PNG"
    assert text.count("\n| ") == 5 and "without gan: off with it, for they need it: feature_matching." in text
    found = [step for _, step, _, values in whole.folder.measurements() if "ablation/error_mean" in values]
    assert found == [0, 1, 2, 3]


def test_again_nothing_is_trained_and_more_seeds_train_only_what_is_new(whole):
    place = whole.folder.path.parent.parent
    before = {path: path.stat().st_mtime_ns for path in place.glob("work/*/train/model.pt")}
    again = done(place)
    assert {path: path.stat().st_mtime_ns for path in place.glob("work/*/train/model.pt")} == before
    assert ablation_plain(again.ablation) == ablation_plain(whole.ablation) and len(before) == 8
    one = done(place, replace(PLAN, seeds=((1, 1),)))
    assert len(list(place.glob("work/*/train/model.pt"))) == 8 and one.folder.path != whole.folder.path
    plain = ablation_plain(one.ablation)
    assert plain["rows"][1]["difference"]["interval"] is None and plain["rows"][1]["error"]["std"] is None
    assert "with one seed: there is no interval" in ablation_markdown(one.ablation)
    assert one.members[0].facts["tags"][ABLATION_TAG].split() == [whole.folder.fingerprint, one.folder.fingerprint]


def test_where_no_run_comes_through_it_says_why(tmp_path):
    plan, rows = replace(PLAN, seeds=((0, 0),), choices=PLAN.choices[:1]), replace(ROWS, rows=ROWS.rows[:1])
    lost = WorkFolder.create(tmp_path, "0" * 16)
    lost.update(error="not finite at step 3")
    setting = Setting(tmp_path / "work", None, "cpu", progress=Progress(quiet=True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ssgan.experiments.ablation.run_members", lambda *arguments: [lost])
        with pytest.raises(Failed, match="none of the 1 runs came through. The first: not finite at step 3"):
            run_ablation(plan, rows, small.digits(), setting)


def test_a_pair_without_labels_is_scored_and_has_no_error(whole, tmp_path):
    setting = Setting(tmp_path / "work", None, "cpu", progress=Progress(quiet=True))
    recipe = override(RECIPE, ["train.labelled_weight=0", "evaluate.supervised=true", "evaluate.classical=true"])
    folder, = run_group([Member(recipe, 0, 0, "digits")], small.digits(), setting)
    found = folder.facts["result"]
    assert found["evaluation"] == {"error_from": "none", "reason": NO_LABELS, "not_estimated": {}}
    assert found["baselines"] == [] and found["score"]["inception_score"] >= 1
    assert not any(name.startswith("test/") for _, _, _, values in folder.measurements() for name in values)


def test_a_row_without_labels_tells_scores_alone_and_is_not_lost(tmp_path):
    folders = (WorkFolder.create(tmp_path, "1" * 16),)
    folders[0].update(status="FINISHED")

    def row(name, against, errors, score, unlabelled=False):
        off = ("labels",) if unlabelled else ()
        return AblationRow(name, off, (), {}, against, "", unlabelled, folders, errors,
                           [{"generator": {"inception_score": score}}], [2.0])

    found = Ablation("digits", "digits", 100, ((0, 0),), (
        row("as it is", None, [0.1], 2.0), row("without labels", "as it is", [None], 1.5, True)), ())
    assert found.lost == 0 and "did not come through" not in ablation_markdown(found)
    line, = [line for line in ablation_markdown(found).splitlines() if line.startswith("| without labels")]
    assert "not told" in line and "-0.50" in line and "lost" not in line
    evidence = ablation_evidence(found, "x", "y")
    assert 'off = ["labels"]' in evidence and "error" not in evidence and "inception_score = [-0.5]" in evidence
    assert ablation_picture(found)[:4] == b"\x89PNG"


def test_a_run_that_was_measured_and_has_failed_in_its_scores_is_told(tmp_path):
    good, bad = (WorkFolder.create(tmp_path, each * 16) for each in "12")
    good.update(status="FINISHED", name="good")
    bad.update(status="FAILED", name="bad", error="No space left on device")
    rows = tuple(AblationRow(name, (), (), {}, against, "", False, (folder,), [0.1], [{}], [2.0])
                 for name, against, folder in (("as it is", None, good), ("without a", "as it is", bad)))
    found = Ablation("digits", "digits", 100, ((0, 0),), rows, ())
    assert found.lost == 0 and list(found.unfinished.values()) == ["No space left on device"]
    assert "1 run evaluated, but not finished (No space left on device)" in ablation_markdown(found)
    assert ablation_plain(found)["unfinished"] == found.unfinished


def test_a_lost_run_is_left_out_of_its_pairs_and_the_verdict_names_what_is_sure(tmp_path):
    folders = tuple(WorkFolder.create(tmp_path, f"{i:016x}") for i in range(3))
    seeds = ((0, 0), (1, 1), (2, 2))

    def row(name, against, errors, score):
        return AblationRow(name, (), (), {}, against, "", False, folders, errors,
                           [{"pictures": {"inception_score": score + 0.1 * i}} for i in range(3)], [1.0, 2.0, 3.0])

    found = Ablation("digits", "digits", 100, seeds, (
        row("as it is", None, [0.1, 0.2, 0.3], 2.0), row("without a", "as it is", [0.2, 0.3, 0.401], 3.0),
        row("without b", "as it is", [0.1, None, 0.4], 2.0)), ("c: why",))
    assert found.generator == "pictures" and found.lost == 1
    assert found.difference(found.rows[2], "error").n == 2 and found.difference(found.rows[1], "error").n == 3
    text = ablation_markdown(found)
    assert "the seeds' spread: without a (+10.03)" in text and "- 1 run did not" in text and "Left out: c: why." in text
    assert "10.00, lost, 40.00" in text and "+1.00 (+1.00 to +1.00)" in text
    assert ablation_picture(found)[:4] == b"\x89PNG"
    own = replace(found, network=ITSELF)  # a network for each run
    assert own.difference(own.rows[1], "inception_score") is None and own.difference(own.rows[1], "error").n == 3
    assert "so rows cannot be compared by them" in ablation_markdown(own)
    assert ablation_picture(own)[:4] == b"\x89PNG" and "inception_score" not in ablation_evidence(own, "x", "y")
