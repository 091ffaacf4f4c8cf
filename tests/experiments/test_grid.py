"""How many runs train at once: by a GPU's memory and the measured gain. (What a plan holds: test_sweep.py.)"""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import small
import torch

from ssgan.errors import Mistake
from ssgan.experiments import grid as plan
from ssgan.experiments.grid import Plan, default_lanes, lanes_in_memory, largest_gain
from ssgan.settings import old_names
from ssgan.training import benchmark as bench


def test_a_grid_is_under_todays_names():
    plan = Plan(small.MLP, "", (20,), ((0, 0),), (" consistency.balance = 0,0.5", "model.widths=[3],[4, 5]"))
    assert plan.grid == ("class_balance.weight= 0,0.5", "model.widths=[3],[4, 5]") == replace(plan, lanes=2).grid
    assert [values for values, _ in plan.variants()] == [
        {"class_balance.weight": balance, "model.widths": widths} for balance in (0.0, 0.5) for widths in ([3], [4, 5])]
    assert old_names() == ["consistency.balance is now called class_balance.weight"]
    with pytest.raises(Mistake, match="--grid class_balance.weight is there twice"):
        replace(plan, grid=("consistency.balance=0,1", "class_balance.weight=0,1")).variants()


@pytest.mark.parametrize(("gigabytes", "parameters", "lanes"),
                         [(140, 1_500_000, 206), (8, 1_500_000, 11), (8, 50_000_000, 1), (2, 500_000_000, 1)])
def test_lanes_are_what_a_gpus_memory_holds(monkeypatch, gigabytes, parameters, lanes):
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(
        total_memory=gigabytes * 2**30))
    assert lanes_in_memory(parameters, "cuda:0") == lanes


@pytest.mark.parametrize(("rates", "most", "chosen"), [
    ({1: 100, 4: 390, 10: 900, 20: 1500, 40: 2000, 80: 2100}, 1000, 40),
    ({1: 100, 4: 390, 10: 900, 20: 1500, 40: 2000, 80: 2300}, 1000, 80),
    ({1: 100, 4: 390, 10: 900, 12: 1000}, 12, 12),
    ({1: 100, 4: 390, 10: 900, 12: 980}, 12, 10),
    ({1: 100, 4: 105, 10: 900}, 40, 1),  # what does not gain is not looked beyond
    ({1: 100, 4: 390, 10: 0}, 40, 4),  # too large for the memory
    ({1: 100}, 1, 1), ({1: 0}, 40, 1)])
def test_the_largest_group_that_still_gains_is_chosen(rates, most, chosen):
    assert largest_gain(rates.__getitem__, most) == chosen


def test_a_gpu_is_measured_within_its_memory_and_a_cpu_is_not(monkeypatch):
    asked = []
    monkeypatch.setattr(plan, "resolved_for", lambda recipe, images, device: device)
    monkeypatch.setattr(bench, "lane_rate", lambda recipe, dataset, resolved, lanes: (
        asked.append(lanes), 100.0 * lanes)[1])
    monkeypatch.setattr(plan, "lanes_in_memory", lambda parameters, device: 12)
    assert default_lanes(small.MLP, small.dataset(), "cuda:0", 40) == 12 and asked == [1, 4, 10, 12]
    plan_of_40 = Plan(small.MLP, "small", (4, 8), tuple((seed, seed) for seed in range(20)))
    assert [len(group) for group in plan_of_40.groups(small.dataset(), "cuda:0")] == [10] * 4
    asked.clear()
    assert default_lanes(small.MLP, small.dataset(), "cpu", 40) == default_lanes(
        small.MLP, small.dataset(), "cuda:0", 1) == 1 and not asked
