"""A table against the clock: the runs it trains, the time it takes, what it tells."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import small
import torch

from ssgan.config import override
from ssgan.experiments import timed_table
from ssgan.experiments.grid import Plan
from ssgan.experiments.interrupt import Stop
from ssgan.experiments.stages import make_split
from ssgan.experiments.timed_table import SETTLED, train_table
from ssgan.training import loop
from ssgan.training.trainer import Trainer

PLAN = Plan(override(small.MLP, ["split.validation=12"]), "small", (4, 8), ((0, 0), (1, 1), (2, 2)))
STEPS = 2 * (60 - 12) // 10  # two epochs


def table(plan: Plan = PLAN, minutes: float = 10, stop: Stop | None = None, said: list | None = None) -> dict:
    return train_table(plan, small.dataset(), small.FP32, minutes, 1e9, stop or Stop(),
                       (said if said is not None else []).append)


def solo_error(member) -> float:
    """The test error of a run alone, with nothing of the table's code."""
    trainer = Trainer(member.recipe, small.dataset().train, [make_split(member, small.dataset())], [member.seed],
                      small.FP32)
    for _ in range(trainer.steps):
        trainer.step()
    test = small.dataset().test
    logits = trainer.averaged_logits(test.gather(torch.arange(len(test)))[None])[0]
    return 100 * (logits.argmax(1) != test.labels).double().mean().item()


@pytest.fixture
def seconds(monkeypatch):
    """A clock on which nothing takes time but steps, one second each."""
    now = [0.0]
    step = Trainer.step
    for module in (timed_table, loop):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(timed_table.benchmark, "step_flop", lambda *arguments: 1e6)

    def stepped(trainer):
        now[0] += 1
        step(trainer)

    monkeypatch.setattr(Trainer, "step", stepped)
    return now


@pytest.mark.slow
def test_with_time_enough_every_run_is_trained_to_its_end_and_evaluated():
    found = table()
    assert (found["complete"] and found["runs"] == 6 and found["groups"] == [1] * 6 and found["steps"] == [8] * 6
            and found["epochs"] == [2, 2])
    for row in found["rows"]:
        expected = [solo_error(member) for member in PLAN.members() if member.recipe.labels == row["labels"]]
        assert (row["errors"] == pytest.approx(expected) and row["split_seeds"] == [0, 1, 2] and row["n"] == 3
                and row["lost"] == [])
        assert (row["mean"] == pytest.approx(sum(expected) / 3)
                and row["standard_error"] == pytest.approx(row["std"] / 3**0.5))


@pytest.mark.slow
def test_lane_groups_give_the_errors_of_solo_runs():
    found = table(replace(PLAN, lanes=3))
    assert found["groups"] == [3, 3] and found["lanes"] == 3
    # one image of 20
    assert [row["errors"] for row in found["rows"]] == [pytest.approx(row["errors"], abs=5.1)
                                                        for row in table()["rows"]]


@pytest.mark.slow
def test_the_time_is_split_evenly_and_what_is_left_goes_to_the_others(seconds):
    said = []
    assert table(minutes=30 / 60, said=said)["steps"] == [5] * 6
    assert "6 runs, 1 at once, for at most 30.0 s in 6 groups, one behind the other" in said[0]
    assert "the time is split evenly, 5.0 s each" in said[0]
    seconds[0] = 0
    short = replace(PLAN, recipe=override(PLAN.recipe, ["train.epochs=100"]), lanes=3)
    found = table(short, minutes=40 / 60)
    assert found["steps"] == [20, 20] and not found["complete"] and found["epochs"] == [5, 5]


def test_speed_and_projection_come_from_the_steps_after_the_first_ones(seconds):
    found = table(replace(PLAN, recipe=override(PLAN.recipe, ["train.epochs=100"]), lanes=3), minutes=40 / 60)
    assert (found["steps_per_second"] == 1 and found["lane_steps_per_second"] == 3
            and found["share_of_peak"] == pytest.approx(3e6 / 1e9))
    assert (found["minutes"] == pytest.approx(40 / 60)
            and found["minutes_projected"] == pytest.approx(2 * (SETTLED + 400) / 60))
    assert found["steps_of_recipe"] == 400


@pytest.mark.slow
def test_a_moment_is_enough_for_the_first_steps_of_every_group(seconds):
    assert table(minutes=1e-6)["steps"] == [SETTLED] * 6


def test_stopped_in_the_middle_it_tells_what_there_is(seconds):
    stop, said = Stop(), []

    def say(text):
        said.append(text)
        stop.requested |= "group 2" in text

    found = train_table(PLAN, small.dataset(), small.FP32, 10, 1e9, stop, say)
    assert found["steps"] == [8, 8] and [row["n"] for row in found["rows"]] == [1, 1] and not found["complete"]
    nothing = train_table(PLAN, small.dataset(), small.FP32, 10, 1e9, stop, say)
    assert (nothing["steps"] == [] and nothing["epochs"] is None
            and [row["mean"] for row in nothing["rows"]] == [None, None])


def test_a_lane_that_is_lost_is_told_and_not_counted(monkeypatch):
    plan = replace(PLAN, lanes=3)
    step = Trainer.step

    def broken(trainer):
        step(trainer)
        if trainer.done == 5 and trainer.splits[1].split_seed == 0:
            small.spoil(trainer, 1)

    monkeypatch.setattr(Trainer, "step", broken)
    first, second = table(plan)["rows"]
    assert first["n"] == 3 and second["n"] == 2 and second["lost"] == [0] and second["split_seeds"] == [1, 2]
