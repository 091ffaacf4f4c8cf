"""The visual Turing test in numbers: what is real, and how answers are counted."""

from dataclasses import replace

import numpy as np
import pytest

from ssgan.evaluation.metrics import error_interval
from ssgan.evaluation.turing_test import Share, Tally, TuringTest, measurements, tally_of

TEST = TuringTest("a run's moment", seed=0, images=100, top=None, feedback=False)


def answered(truth, rng):
    return "".join(rng.choice(["r", "g"], len(truth)))


def test_half_of_the_images_are_real_in_an_order_that_seed_run_and_condition_change():
    truth = TEST.truth()
    assert truth.count("r") == truth.count("g") == 50 and truth == replace(TEST).truth()
    others = [replace(TEST, seed=1), replace(TEST, run="another"), replace(TEST, feedback=True), replace(TEST, top=1.0)]
    assert len({truth, *(other.truth() for other in others)}) == 5
    assert len({TEST.id, *(other.id for other in others)}) == 5 == len({TEST.latent_seed(), *(
        other.latent_seed() for other in others)})


def test_the_id_that_is_sent_out_does_not_tell_the_order():
    same = [replace(TEST, run=TEST.id), replace(TEST, run="")]  # what a stranger can try
    assert all(sum(a == b for a, b in zip(TEST.truth(), other.truth())) < 75 for other in same)


def test_answers_at_random_land_in_an_interval_around_one_half():
    rng, covered, accuracies = np.random.default_rng(0), 0, []
    for seed in range(200):
        test = replace(TEST, seed=seed)
        tally = test.tally(answered(test.truth(), rng))
        assert tally.all.total == 100 and tally.real.total == tally.generated.total == 50
        low, high = tally.all.interval
        covered += low <= 0.5 <= high
        accuracies.append(tally.all.accuracy)
    assert 180 <= covered <= 198  # 95 % of 200, within three standard deviations
    assert abs(np.mean(accuracies) - 0.5) < 4 * 0.05 / 200 ** 0.5


def test_answers_are_counted_by_kind_and_what_is_open_does_not_count():
    truth = TEST.truth()
    assert TEST.tally(truth).all == Share(100, 100) and TEST.tally("-" * 100) == Tally()
    wrong = truth.translate(str.maketrans("rg", "gr"))
    assert TEST.tally(wrong) == Tally(Share(0, 50), Share(0, 50))
    always = TEST.tally("r" * 100)
    assert always == Tally(Share(50, 50), Share(0, 50)) and always.all.accuracy == 0.5
    assert TEST.tally(truth[:10] + "-" * 90).all == Share(10, 10)
    assert tally_of([always, always]).all == Share(100, 200)


def test_the_interval_is_wilsons_and_there_is_none_without_answers():
    assert Share(62, 100).interval == error_interval(62, 100) == pytest.approx((0.522, 0.709), abs=5e-4)
    assert Share(0, 0).interval is Share(0, 0).accuracy is None and Share(0, 0).text() == "none answered"
    assert Share(62, 100).text() == "62 of 100 right, 62.0 % (95 % interval 52.2 to 70.9 %)"


@pytest.mark.parametrize(("top", "feedback", "prefix"), [
    (None, False, ""), (None, True, "feedback/"), (1.0, False, "top_1/"), (0.5, True, "top_0.5/feedback/")])
def test_conditions_are_measured_apart(top, feedback, prefix):
    test = replace(TEST, top=top, feedback=feedback)
    found = measurements(test.condition, test.tally("r" * 100))
    assert found[f"turing/{prefix}answers"] == 100 and found[f"turing/{prefix}accuracy"] == 0.5
    assert found[f"turing/{prefix}real_accuracy"] == 1 and found[f"turing/{prefix}generated_accuracy_low"] == 0
    assert len(found) == 10
    assert list(measurements("", Tally(Share(1, 2)))) == [f"turing/{name}" for name in (
        "answers", "accuracy", "accuracy_low", "accuracy_high", "real_accuracy", "real_accuracy_low",
        "real_accuracy_high")]
