"""The step's speed: what is counted, what is timed, and what is told."""

import dataclasses

import pytest
import small
import torch

from ssgan.config import override
from ssgan.training import benchmark as bench

RECIPE = override(small.MLP, ["augment.shift=1", "consistency.weight=1"])


def test_the_work_of_lanes_is_that_of_one_times_their_number():
    one, three = (bench.count_work(small.trainer(RECIPE, small.FP32, seeds)) for seeds in ((0,), (0, 1, 2)))
    assert three["flop"] == 3 * one["flop"] > 0 and three["bytes"] == 3 * one["bytes"] > 0


def test_the_products_are_counted_as_by_hand():
    """A dense layer of n images, a inputs and b outputs: 2nab forward, and as many for its weights' gradient and its
    input's each.
    """
    trainer = small.trainer(override(small.MLP, ["gan.weight=0"]), small.FP32)
    sizes = [2 * 6 * 8, 12, 9, 4]
    layers = [2 * 10 * a * b for a, b in zip(sizes, sizes[1:])]
    assert bench.count_work(trainer)["flop"] == 3 * sum(layers) - layers[0]


def test_the_parts_of_a_step_are_named_and_a_rest():
    found = bench.parts(small.trainer(RECIPE, small.FP32), steps=2)
    assert set(found) == {*bench.PARTS, "rest"} and all(seconds >= 0 for seconds in found.values())


@pytest.mark.slow
def test_the_parts_of_a_compiled_step_are_its_kernels():
    small.need_compiler()
    trainer = small.trainer(RECIPE, dataclasses.replace(small.FP32, compiled=True))
    flop = bench.count_work(trainer)["flop"]
    assert flop == bench.count_work(small.trainer(RECIPE, small.FP32))[
        "flop"], "the compiled step's work is counted in the eager one"
    found = bench.parts(trainer, steps=2)
    assert set(found) == {*bench.COMPILED_PARTS, "rest"} and all(seconds > 0 for seconds in found.values())


def test_a_comparison_tells_speed_bound_and_shares(monkeypatch):
    monkeypatch.setattr(bench, "_plain_seconds", lambda *arguments: {"median": 1.0, "fastest": 1.0, "calls": 5})
    monkeypatch.setattr(bench, "machine_limits", lambda resolved: {"flop_per_second": 1e9, "bytes_per_second": 1e10})
    monkeypatch.setattr(bench, "parts", lambda trainer: {"rest": 1.0})
    found = bench.compare(RECIPE, small.dataset(), small.FP32, [1, 3], 0.01)
    assert [row["lanes"] for row in found["rows"]] == [1, 3]
    for row in found["rows"]:
        step = row["seconds_per_step"]
        assert (row["lane_steps_per_second"] == pytest.approx(row["lanes"] / step)
                and row["speedup"] == pytest.approx(row["lanes"] / step))
        assert (row["share_of_peak"] == pytest.approx(row["flop"] / 1e9 / step)
                and row["share_of_peak"] < row["share_of_bound"])
        assert row["bound_seconds"] == pytest.approx(row["flop"] / 1e9 + row["bytes"] / 1e10)
        assert row["flop_per_second"] == pytest.approx(row["flop"] / step)
        assert row["recipe_steps"] == 2 * 6 and row["recipe_seconds"] == pytest.approx(12 * step)
        assert row["recipe_flop_per_lane"] == pytest.approx(12 * row["flop"] / row["lanes"])
    assert bench.compare(RECIPE, small.dataset(), small.FP32, [], 0.01)["rows"] == []


def test_there_is_no_plain_loop_of_convolutions(monkeypatch):
    monkeypatch.setattr(bench, "machine_limits", lambda resolved: {"flop_per_second": 1e9, "bytes_per_second": 1e10})
    monkeypatch.setattr(bench, "parts", lambda trainer: {"rest": 1.0})
    row, = bench.compare(small.CONV, small.dataset(), small.FP32, [1], 0.01)["rows"]
    assert row["plain_seconds_per_step"] is None and row["speedup"] is None and row["flop_per_second"] > 0


def test_a_group_that_memory_does_not_hold_has_no_rate(monkeypatch):
    assert bench.lane_rate(RECIPE, small.dataset(), small.FP32, 2, seconds=0.01) > 0

    def full(*arguments):
        raise torch.OutOfMemoryError("full")

    monkeypatch.setattr(bench, "_trainer", full)
    assert bench.lane_rate(RECIPE, small.dataset(), small.FP32, 2) == 0
