"""The label-efficiency comparison: its numbers by hand, its sentences, and its files."""

import math
import re
import statistics

import numpy as np
import pytest
from curves import curve, result

from ssgan.errors import Mistake
from ssgan.evaluation.baselines import NO_GENERATOR, SUPERVISED
from ssgan.experiments import report as efficiency
from ssgan.experiments.report import as_plain, compare, markdown, page, score_pictures, text, write_report
from ssgan.experiments.report.table import MOST_SERIES, Stat, paper_row


def series_of(results, **options):
    found, = compare(results, **options).series
    return found


def test_a_row_has_the_statistics_of_its_runs():
    errors = {0: 0.03, 1: 0.01, 2: 0.02, 3: 0.06}
    row, = series_of([result(100, seed, error, baselines={SUPERVISED: 2 * error}, score=seed + 1.0)
                      for seed, error in errors.items()]).rows
    assert (row.labels, row.errors, row.stat.n) == (100, [0.03, 0.01, 0.02, 0.06], 4)
    assert row.stat.mean == pytest.approx(0.03) and row.stat.std == pytest.approx(statistics.stdev(errors.values()))
    assert (row.median == pytest.approx(0.025) and row.baselines[SUPERVISED].mean == pytest.approx(0.06)
            and row.score.mean == 2.5)
    half = 3.182446 * row.stat.std / 2  # Student's t of 3 degrees of freedom
    assert row.stat.half_width() == pytest.approx(half)
    factor = math.exp(half / 0.03)
    assert row.stat.interval() == (pytest.approx(0.03), pytest.approx(0.03 / factor), pytest.approx(0.03 * factor))
    assert Stat.of([0.03] * 3).interval() is None and Stat.of(
        [0.0, 0.0]).interval() is None, "a spread of nothing is no certainty"
    assert Stat.of([0.1]).interval() is None and Stat.of([0.1]).half_width() is None


@pytest.mark.parametrize("errors", [[0.0, 0.0, 1e-3], [0.002, 0.9]], ids=str)
def test_the_interval_of_the_mean_holds_it_and_stays_an_error(errors):
    middle, low, high = Stat.of(errors).interval()
    assert 0 <= low <= middle <= high <= 1 and (low > 0) == (middle > 0)


def test_the_interval_covers_the_mean_of_errors_that_vary_by_factors():
    random = np.random.default_rng(0)
    for spread, runs in ((0.3, 3), (0.6, 3), (0.6, 10)):
        made = 0.02 * np.exp(spread * random.standard_normal((1000, runs)))
        limits = [Stat.of(errors.tolist()).interval() for errors in made]
        assert np.mean([found.low <= 0.02 * math.exp(spread**2 / 2) <= found.high for found in limits]) > 0.91


def test_with_few_runs_it_says_what_more_of_them_would_tell():
    few, = series_of([result(100, seed, error) for seed, error in enumerate((0.01, 0.02, 0.03))]).rows
    many, = series_of([result(100, seed, 0.01 + 0.001 * seed) for seed in range(10)]).rows
    said = [line for line in text.how_sure(few, 360) if "--seeds 10" in line]
    low, high = map(float, re.search(r"about ([\d.]+) to ([\d.]+) %", said[0]).groups())
    now = few.stat.interval()
    assert (100 * now.low < low < 2 < high < 100 * now.high
            and not any("--seeds" in line for line in text.how_sure(many, 360)))


def test_a_gain_that_may_be_chance_is_called_so():
    sure = series_of([*(result(50, seed, 0.05 + 0.001 * seed) for seed in range(3)),
                      *(result(100, seed, 0.02 + 0.001 * seed) for seed in range(3))])
    open_ = series_of([*(result(50, seed, 0.03) for seed in range(3)),
                       *(result(100, seed, error) for seed, error in enumerate((0.01, 0.02, 0.04)))])
    assert ("chance" not in text.what_more(sure, sure.rows[0])[1][0]
            and "which may be chance" in text.what_more(open_, open_.rows[0])[1][0])


def test_a_baseline_or_score_that_a_run_lacks_is_not_averaged_over_the_others():
    row, = series_of([result(100, 0, baselines={SUPERVISED: 0.1}), result(100, 1, score=None)]).rows
    assert row.baselines == {} and row.score is None and row.fid is row.generated_only_error is None


def test_runs_of_other_settings_are_another_series_named_by_what_differs():
    long, short = {"train.epochs": "120.0", "train.batch": "50"}, {"train.epochs": "60.0", "train.batch": "50"}
    found = compare([*curve(settings=short), *curve(seeds=4, settings=long), *curve(dataset="mnist")])
    assert [series.title for series in found.series] == ["digits, train.epochs=120.0", "digits, train.epochs=60.0",
                                                         "mnist"]
    assert [len(series.rows) for series in found.series] == [4, 4, 4]


def test_the_same_settings_from_two_recipes_are_one_series_and_equal_names_are_told_apart():
    one = compare([result(20, 0, recipe="digits"), result(20, 1, recipe="mine")])
    assert len(one.series) == 1
    many = [{f"key {i}": str(j == i) for i in range(6)} for j in range(6)]
    titles = [series.title for series in compare([result(20, 0, settings=settings) for settings in many]).series]
    assert len(set(titles)) == 6


def test_of_the_same_run_twice_the_newest_counts_and_failed_ones_are_listed():
    found = compare([result(20, 0, 0.1, ended=2.0), result(20, 0, 0.3, ended=1.0),
                     result(20, 1, None, status="FAILED", reason="not finite\nTry this.")])
    assert found.series[0].rows[0].errors == [0.1] and found.repeated == 1
    assert text.remarks(found) == ["no result: digits · 20 labels · seed 1, failed: not "
                                   "finite", "1 older run of the same settings and seeds left out"]


def test_more_settings_than_a_page_holds_are_counted():
    found = compare([result(20, 0, settings={"train.batch": str(i)}) for i in range(MOST_SERIES + 3)])
    assert (len(found.series), found.dropped) == (MOST_SERIES, 3)


def test_the_gain_is_of_the_same_seeds():
    series = series_of([result(20, 0, 0.10), result(20, 1, 0.20), result(20, 2, 0.9), result(40, 0, 0.08),
                        result(40, 1, 0.14)])
    gain = series.gain(*series.rows)
    assert gain.mean == pytest.approx(0.04) and gain.n == 2
    alone = series_of([result(20, 0, 0.10), result(40, 5, 0.08)])
    assert alone.gain(*alone.rows) == Stat(pytest.approx(0.02), None, 0)


def answering(tmp_path, name, wrong):
    """A fetch whose test.npz answers ten images of two classes, these wrongly."""
    labels = np.arange(10) % 2
    answers = np.where(np.isin(np.arange(10), wrong), 1 - labels, labels)
    path = tmp_path / f"{name}.npz"
    np.savez(path, probabilities=0.4 + 0.2 * np.eye(2)[answers], labels=labels)
    return lambda pattern: path if pattern == "evaluate/test.npz" else None


def test_ensembles_of_one_split_and_over_splits_are_kept_apart(tmp_path):
    # split, training seed
    wrong = {(0, 0): [0, 1], (0, 1): [1, 2], (0, 2): [2, 0], (1, 0): [5], (1, 1): [5], (1, 2): [5]}
    row, = series_of([result(20, seed, len(images) / 10, split_seed=split,
                             fetch=answering(tmp_path, f"{split}-{seed}", images))
                      for (split, seed), images in wrong.items()]).rows
    assert (row.same_split.groups, row.same_split.labels) == (2, 20)
    assert row.same_split.errors[1].mean == pytest.approx(0.15)
    # two of three are wrong on each of the first split's images
    assert row.same_split.largest == (3, Stat(pytest.approx(0.2), pytest.approx(0.2 / 2**0.5), 2))
    assert (row.across.labels, sorted(row.across.errors)) == (40, [1, 2])
    assert row.across.errors[1].mean == pytest.approx(0.15)


def test_without_kept_answers_there_is_no_ensemble_and_a_damaged_file_is_a_mistake(tmp_path):
    row, = series_of([result(20, seed) for seed in range(3)]).rows
    assert row.same_split is None and row.across is None
    (tmp_path / "bad.npz").write_bytes(b"no zip")
    with pytest.raises(Mistake, match="bad.npz is damaged"):
        compare([result(20, seed, fetch=lambda pattern: tmp_path / "bad.npz") for seed in range(2)])


def test_the_forecast_answers_the_questions():
    series = series_of(curve(spread=0.02, images=60_000), targets=[0.05, 0.015, 0.002])
    easy, ahead, never = text.forecasts(series)[:3]
    assert re.fullmatch(r"to reach 5 % you need about \d\d labels \(90 %: \d\d to \d\d\)", easy)
    assert re.fullmatch(r"to reach 1\.5 % you need about \d+ labels \(90 %: \d+ to [\d,a-z ]+\)(; far beyond what was "
                        r"measured)?", ahead)
    assert never.startswith("0.2 % is not reachable with this recipe: the curve flattens at about ")
    assert re.search(r"doubling your labels to 400 would bring about 0\.\d\d points \(90 %: [\d.]+ to "
                     r"[\d.]+\)", text.forecasts(series)[3])


def test_an_error_that_takes_more_images_than_there_are_is_not_reachable():
    falling = [result(budget, seed, 2 / budget**0.7 * (1 + 0.01 * seed), images=1437) for budget in (20, 50, 100, 200)
               for seed in range(3)]
    said = text.forecasts(series_of(falling, targets=[0.005]))[0]
    assert re.search(r"0\.5 % is not reachable with this recipe: it would take about [\d,]+ labels, and there are "
                     r"1,437 training images", said)


def test_round_errors_around_the_best_are_asked_for_unless_others_are():
    assert list(series_of(curve(spread=0.01)).targets) == [0.05, 0.02, 0.01]
    assert list(series_of(curve(), targets=[0.01, 0.03]).targets) == [0.03, 0.01]


def test_what_more_labels_buy_is_measured_where_it_was_and_else_forecast():
    series = series_of(curve())
    short, lines = text.what_more(series, series.rows[2])
    assert short.endswith("points lower") and lines[0].startswith("measured with 200 labels")
    assert "pairs of runs" in lines[0]
    short, lines = text.what_more(series, series.rows[0])
    assert (lines[0].startswith("forecast: doubling your labels to 40")
            and lines[1].startswith("measured: 50 labels have"))
    few = series_of(curve(seeds=1))
    assert text.what_more(few, few.rows[-1]) == ("not known", ["measure 400 labels too"])
    assert text.forecasts(few) == ["no forecast: it needs 4 budgets with 3 seeds or more each"]


@pytest.mark.parametrize(
    ("labels", "said"), [(7.3, "7"), (14.4, "14"), (412, "410"), (1234, "1,200"), (98_765, "99,000")])
def test_numbers_of_labels_have_two_digits(labels, said):
    assert text.about(labels) == said


def test_the_papers_row_stands_beside_mnist_and_nothing_else():
    assert paper_row("mnist")["errors"]["100"] == [0.93, 0.065] and paper_row("digits") is None
    heading, *lines = text.table(series_of(curve(dataset="mnist", images=60_000)))
    assert "Salimans et al. 2016" in heading and "16.77 ± 4.52" in lines[0] and "0.86 ± 0.056" in lines[2]
    assert "Salimans et al. 2016" not in text.table(series_of(curve()))[0]


def test_the_markdown_table_has_every_number():
    made = curve(baselines={SUPERVISED: 0.2, NO_GENERATOR: 0.1})
    written = markdown(compare(made), "digits")
    rows = [line for line in written.splitlines() if line.startswith("| ")]
    assert rows[0].split("|")[1:-1] == [f" {name} ".ljust(len(cell)) for name, cell in zip(
        ["labels", "test error, %", "median", "n", "supervised only", "no generator", "Inception Score", "every run"],
        rows[0].split("|")[1:-1])]
    assert len(rows) == 5 and len({line.count("|") for line in rows}) == 1
    for line, budget in zip(rows[1:], (20, 50, 100, 200)):
        assert all(f"{100 * one.error:.2f}" in line for one in made if one.labels == budget)


def test_the_scores_of_generated_images_stand_beside_those_of_real_ones():
    scores = {"fid": 43.8, "fid_real": 4.56, "generated_only_error": 0.2,
              "generated_only_error_real": 0.037}
    series = series_of([result(100, 0, **scores), result(100, 1, **scores | {"generated_only_error": 0.3})])
    heading, line = text.table(series)
    shown = dict(zip(heading, line))
    assert shown["Inception Score"] == "4.00 (real 8.80)" and shown["Fréchet distance"] == "43.8 (real 4.56)"
    assert shown["trained on generated, %"] == "25.00 ± 7.07 (real 3.70)"
    row, = as_plain(compare([result(100, 0, **scores), result(100, 1, **scores)]))["series"][0]["table"]
    assert row["fid"] == row["frechet_distance"] and row["fid"]["mean"] == 43.8
    assert row["generated_only_error"]["mean"] == 0.2
    assert "43.8 (real 4.56)" in page(compare([result(100, 0, **scores)]), "one", {"digits": b""})


def test_the_error_is_drawn_against_the_scores_where_two_runs_have_them(tmp_path):
    scores = {"fid": 43.8, "fid_real": 4.56}
    one = compare([result(100, 0, **scores)])
    assert score_pictures(one) == {"digits": None} and "Error against score" not in page(one, "one", {"digits": b""})
    two = compare([result(100, 0, **scores), result(100, 1, **scores | {"fid": 40.0})])
    picture = score_pictures(two)["digits"]
    assert picture.startswith(b"\x89PNG") and "Error against score" in page(two, "two", {"digits": b""},
                                                                            {"digits": picture})
    write_report(two, tmp_path, "two")
    assert (tmp_path / "scores.png").read_bytes() == picture == score_pictures(two)["digits"]
    assert "Error against score" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_scores_by_several_networks_have_no_mean_and_are_not_drawn_together():
    scores = {"fid": 43.8, "fid_real": 4.56}
    made = [result(100, seed, **scores) for seed in range(2)] + [result(100, 2, fid=1.0, network="inception")]
    row, = series_of(made).rows
    assert row.score is None and row.fid is None and series_of(made[:2]).rows[0].fid.mean == 43.8
    assert score_pictures(compare(made)) == score_pictures(compare(made[:2])) and score_pictures(compare(made))
    own = [result(100, seed, network="itself", **scores) for seed in range(2)]
    assert score_pictures(compare(own)) == {"digits": None}, "each by its own classifier"
    assert series_of(own).rows[0].fid is None and series_of(own[:1]).rows[0].fid.mean == 43.8


def test_efficientnets_score_has_a_column_of_its_own_and_is_drawn_in_place_of_the_inception_score():
    made = [result(100, seed, score=None, network="efficientnet", efficientnet_score=2.0 + seed, fid=40.0,
                   efficientnet_score_real=8.25) for seed in range(2)]
    series = series_of(made)
    shown = dict(zip(*text.table(series)))
    assert shown["EfficientNet score"] == "2.50 (real 8.25)" and "Inception Score" not in shown
    row, = as_plain(compare(made))["series"][0]["table"]
    assert row["efficientnet_score"]["mean"] == 2.5 and row["inception_score"] is None
    moved = [result(100, seed, score=None, network="efficientnet", efficientnet_score=3.0 + seed, fid=40.0,
                    efficientnet_score_real=8.25) for seed in range(2)]
    assert score_pictures(compare(made))["digits"] != score_pictures(compare(moved))["digits"]
    mixed = series_of([made[0], result(100, 1, fid=40.0)]).rows[0]
    assert mixed.efficientnet_score is None and mixed.score is None


def test_runs_of_before_there_were_such_scores_have_no_column_for_them():
    heading, _ = text.table(series_of([result(100, 0), result(100, 1, fid=3.0)]))
    assert "Inception Score" in heading and not {"Fréchet distance", "trained on generated, %"} & set(heading)
    row, = as_plain(compare([result(100, 0)]))["series"][0]["table"]
    assert row["fid"] is row["generated_only_error"] is None


def test_the_report_is_left_alone_where_nothing_has_changed(tmp_path):
    paths = efficiency.write_report(compare(curve()), tmp_path, "title")
    before = {name: path.stat().st_mtime_ns for name, path in paths.items()}
    assert (set(before) == {"html", "markdown", "png"}
            and {path.name for path in tmp_path.iterdir()} == {path.name for path in paths.values()})
    efficiency.write_report(compare(curve()), tmp_path, "title")
    assert {name: path.stat().st_mtime_ns for name, path in paths.items()} == before
    efficiency.write_report(compare(curve(seeds=4)), tmp_path, "title")
    assert all(path.stat().st_mtime_ns > before[name] for name, path in paths.items())


def test_json_has_no_number_that_json_lacks():
    import json

    plain = as_plain(compare(curve(spread=0.02), targets=[0.0001]))
    again = json.loads(json.dumps(plain, allow_nan=False))
    series, = again["series"]
    assert ([row["labels"] for row in series["table"]] == [20, 50, 100, 200]
            and series["forecast"]["targets"][0]["estimate"] is None)
    assert series["table"][0]["errors"] == [run.error for run in curve(spread=0.02)[:3]]
