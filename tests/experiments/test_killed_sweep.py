"""A sweep whose process is killed in the middle."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from test_sweep import PLAN, RECIPE, done, errors, light  # noqa: F401

from ssgan.config import override

LONGER = replace(PLAN, recipe=override(RECIPE, ["train.epochs=8"]), lanes=2)
KILLED = """
import sys
from pathlib import Path
import small, test_sweep, test_killed_sweep
from ssgan.evaluation import domain_classifier
from ssgan.experiments import sweep
from ssgan.training import loop as training

domain_classifier.SETTINGS["most_steps"] = 20
run_to_end = training.run_to_end
training.run_to_end = lambda *arguments, **options: run_to_end(*arguments, **options | {"checkpoint_seconds": 0.0})
sweep.run_sweep(test_killed_sweep.LONGER, small.digits(), test_sweep.setting(Path(sys.argv[1])))
"""


@pytest.mark.slow
def test_killed_in_the_middle_it_ends_with_the_same_errors(tmp_path):
    whole, killed = done(tmp_path / "whole", LONGER), tmp_path / "killed"
    tests = Path(__file__).parents
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tests[0]), str(tests[1]), str(tests[2])])}

    def saved() -> set:
        found = set()
        for path in killed.glob("work/*/checkpoint*.pt"):
            with contextlib.suppress(FileNotFoundError):  # a stage has just ended
                found.add((path, path.stat().st_mtime_ns))
        return found

    for saves in (3, 30):
        process = subprocess.Popen([sys.executable, "-W", "ignore", "-c", KILLED, str(killed)], env=environment)
        seen, until = [saved()], time.monotonic() + 120
        while len(seen) <= saves and process.poll() is None and time.monotonic() < until:
            now = saved()
            seen += [now] if now != seen[-1] else []
            time.sleep(0.002)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    outcome = done(killed, LONGER)
    assert errors(outcome) == errors(whole)
