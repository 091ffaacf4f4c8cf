"""The forecast of a label-efficiency curve: what it finds on curves that are known, and how often its intervals
hold.
"""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssgan.experiments.report import forecast as module
from ssgan.experiments.report.forecast import Interval, forecast

BUDGETS = (20, 50, 100, 200)
SMALLEST = 1e-4


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    monkeypatch.setattr(module, "DRAWS", 200)


def simulated(scale, exponent, floor, spreads, seeds, random):
    """Errors by budget around floor + scale N^-exponent, with these standard deviations of the logarithm."""
    return {budget: (floor + scale * budget**-exponent) * np.exp(spread * random.standard_normal(seeds))
            for budget, spread in zip(BUDGETS, spreads, strict=True)}


@pytest.mark.parametrize(("scale", "exponent", "floor"), [(1.5, 0.9, 0.0), (1.5, 0.9, 0.01), (4.0, 1.3, 0.005)])
def test_a_curve_without_noise_is_found_again(scale, exponent, floor):
    def truth(labels):
        return floor + scale * labels**-exponent

    found = forecast({budget: [truth(budget)] * 3 for budget in BUDGETS}, SMALLEST)
    for labels in (20, 50, 70, 200, 400):
        assert found.error(labels).estimate == pytest.approx(truth(labels), rel=0.05)
    assert found.labels_for(truth(300)).estimate == pytest.approx(300, rel=0.1)
    assert found.gain(200, 400).estimate == pytest.approx(truth(200) - truth(400), rel=0.25)
    assert found.floor.estimate == pytest.approx(floor, rel=0.15, abs=5e-4)


def test_an_error_below_the_floor_is_never_reached():
    found = forecast({budget: [0.02 + 2 / budget] * 4 for budget in BUDGETS}, SMALLEST)
    assert found.labels_for(0.01) == Interval(math.inf, math.inf, math.inf)
    assert math.isfinite(found.labels_for(0.04).high)


@pytest.mark.parametrize(("errors", "enough"), [
    ({20: [0.1] * 3, 50: [0.05] * 3, 100: [0.03] * 3}, False),
    ({20: [0.1] * 3, 50: [0.05] * 3, 100: [0.03] * 3, 200: [0.02] * 2}, False),
    ({20: [0.1] * 3, 50: [0.05] * 3, 100: [0.03] * 3, 200: [0.02] * 3, 500: [0.01]}, True)])
def test_it_takes_four_budgets_of_three_seeds(errors, enough):
    assert (forecast(errors, SMALLEST) is not None) == enough


def test_errors_of_zero_have_a_forecast():
    found = forecast({20: [0.1, 0.09, 0.1], 50: [0.02, 0.01, 0.0], 100: [0.0, 0.0, 0.01], 200: [0.0] * 3},
                     smallest=0.5 / 360)
    assert 0 < found.error(400).low <= found.error(400).high < 0.05


def test_a_second_heap_of_bad_runs_at_a_small_budget_hardly_moves_it():
    random = np.random.default_rng(3)
    errors = simulated(1.5, 0.9, 0.005, (0.1,) * 4, 10, random)
    before = forecast(errors, SMALLEST)
    errors[20][:3] *= 5
    after = forecast(errors, SMALLEST)
    for labels in (100, 400):
        assert after.error(labels).estimate == pytest.approx(before.error(labels).estimate, rel=0.12)


@pytest.mark.parametrize(("seeds", "spreads"), [(3, (0.4, 0.3, 0.2, 0.12)), (10, (0.2, 0.2, 0.2, 0.2))])
def test_nine_of_ten_intervals_hold(seeds, spreads):
    """At nominal 90 %, over curves with and without a floor: the error ahead, the gain, and the labels that an error
    needs.
    """
    random = np.random.default_rng(seeds)
    held, trials = np.zeros(3), 0
    for scale, exponent, floor in ((1.5, 0.9, 0.0), (1.5, 0.9, 0.01), (0.6, 0.6, 0.015), (0.3, 0.35, 0.0)):
        def truth(labels):
            return floor + scale * labels**-exponent

        for _ in range(40):
            found = forecast(simulated(scale, exponent, floor, spreads, seeds, random), SMALLEST, seed=trials)
            intervals = (found.error(400), found.gain(200, 400), found.labels_for(truth(450)))
            values = (truth(400), truth(200) - truth(400), 450)
            held += [interval.low <= value <= interval.high for interval, value in zip(intervals, values)]
            trials += 1
    rates = held / trials
    assert np.all(rates >= 0.80) and np.all(rates <= 0.985), rates


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.floats(0, 1, allow_subnormal=False), min_size=3, max_size=6), min_size=4, max_size=6))
def test_whatever_the_errors_the_answers_are_in_order(errors):
    budgets = [10 * 2**i for i in range(len(errors))]
    found = forecast(dict(zip(budgets, errors)), smallest=1e-3)
    intervals = [found.error(labels) for labels in (10, 40, 1000)]
    for interval in (*intervals, found.labels_for(0.1), found.floor):
        assert 0 <= interval.low <= interval.estimate <= interval.high
    assert intervals[0].estimate >= intervals[1].estimate >= intervals[2].estimate >= found.floor.low
    assert found.gain(40, 80).low >= 0


def test_the_same_errors_give_the_same_forecast():
    errors = {budget: [2 / budget, 3 / budget, 2.5 / budget] for budget in BUDGETS}
    assert forecast(errors, SMALLEST).error(500) == forecast(errors, SMALLEST).error(500)
