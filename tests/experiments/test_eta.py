"""What a sweep says of the time that is left, against a clock of our own."""

import pytest

from ssgan.config import Recipe, override
from ssgan.experiments.eta import Pace, roughly, share

RECIPE = override(Recipe(), ["evaluate.supervised=true", "evaluate.gan_off=true"])
STAGES = ("starting", "train", "supervised-only", "no-generator", "scikit-learn", "network")


def test_the_share_of_a_run_rises_from_nothing_to_nearly_all_of_it():
    for changes in ([], ["gan.weight=0"], ["evaluate.gan_off=false"],
                    ["evaluate.supervised=false", "evaluate.gan_off=false"]):
        recipe = override(RECIPE, changes)
        found = [share(recipe, stage, part) for stage in STAGES for part in (0.0, 0.5, 1.0)
                 if stage in ("train", "starting") or not changes]
        assert (all(later - earlier > -1e-9 for earlier, later in zip(found, found[1:])) and found[0] == 0
                and 0.3 < max(found) < 1)
    assert share(override(RECIPE, ["evaluate.supervised=false", "evaluate.gan_off=false"]), "train", 1.0) > 0.9


@pytest.mark.parametrize("at_once", [1, 2, 4])
def test_what_is_left_is_right_all_along_where_every_run_takes_as_long(at_once):
    now, runs, seconds, start = 0.0, 12, 80.0, 7.0
    pace = Pace(runs, at_once, clock=lambda: now)
    if at_once > 1:
        assert pace.left([(1, 0.0)] * at_once) is None
        now = start  # the processes have started
    else:
        start = 0.0
    end = start + runs / at_once * seconds
    while now < end - 1:
        now += 1.0
        done, part = divmod((now - start) / seconds, 1)
        pace.done = int(done) * at_once
        running = [(1, part)] * at_once if pace.done < runs else []
        left = pace.left(running)
        if running and now > start + 20:
            assert left == pytest.approx(end - now, rel=0.15, abs=1)


def test_runs_that_go_on_do_not_make_it_seem_fast():
    now = 0.0
    pace = Pace(4, 2, clock=lambda: now)
    assert pace.left([(1, 0.0), (1, 0.6)]) is None  # one process has not started yet
    assert pace.left([(1, 0.1), (1, 0.7)]) is None
    now = 10.0
    assert pace.left([(1, 0.2), (1, 0.8)]) == pytest.approx(150)


def test_the_last_run_is_not_told_as_if_all_places_were_taken():
    now = 0.0
    pace = Pace(3, 2, clock=lambda: now)
    pace.left([(1, 0.001)])
    now, pace.done = 80.0, 2
    assert pace.left([(1, 0.0)]) == pytest.approx(80, rel=0.01)


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.2, "5 s"), (38, "40 s"), (58, "1 min"), (430, "7 min"), (7810, "2 h 10 min")])
def test_times_to_come_are_said_roughly(seconds, said):
    assert roughly(seconds) == said
