"""The compiled step: what the eager one does, from a program that Python is no part of."""

import dataclasses
import os
import subprocess
import sys

import pytest
import torch

import small
from ssgan import checkpoints, compiled as compiled_module, resolve
from ssgan.compiled import compiled, compiler_problem
from ssgan.config import TrainConfig
from ssgan.errors import Mistake
from test_graphs import FULL, run, same
from test_step import check_steps

LONG = resolve.Size(1000, 1000, resolve.MANY_STEPS)


def in_compiled(resolved: resolve.Resolved) -> resolve.Resolved:
    return dataclasses.replace(resolved, compiled=True)


@pytest.fixture(scope="module")
def compiler():
    """Skips where there is none."""
    if compiler_problem():
        pytest.skip(f"NO COMPILED STEP IS TESTED: {compiler_problem()}")


@pytest.mark.parametrize(("case", "lanes"), [
    ("mlp, the authors' Adam and averages", 2), ("conv, plain output with small first logits", 1),
    pytest.param("conv, the authors' Adam, consistency", 1, marks=pytest.mark.slow)])
def test_compiled_steps_are_those_of_the_plain_implementation(compiler, case, lanes):
    check_steps(case, lanes, in_compiled(small.FP64))


def test_a_whole_run_is_the_eager_one_and_a_resumed_run_the_whole_one_to_the_bit(compiler, tmp_path):
    """Over the ends of epochs, through a falling learning rate, the average's correction, shrinking augmentation and the beginning of consistency."""
    eager, whole, stopped, resumed = (small.trainer(FULL, r) for r in (small.FP64, *[in_compiled(small.FP64)] * 3))
    run(eager, eager.steps)
    run(whole, whole.steps)
    for mine, its in zip([*eager.averages, *(stack.flat for stack in eager.stacks)], [*whole.averages, *(stack.flat for stack in whole.stacks)]):
        torch.testing.assert_close(its, mine, rtol=0, atol=1e-9)
    assert whole.failures() == []
    run(stopped, 5)
    checkpoints.save(tmp_path / "state.pt", stopped.state())
    resumed.restore(checkpoints.load(tmp_path / "state.pt"))
    assert same(run(resumed, whole.steps - 5), whole)


def test_a_lane_that_is_not_finite_is_found_with_its_step_and_the_other_goes_on(compiler):
    trainer = run(small.trainer(FULL, in_compiled(small.FP32), (0, 1)), 3)
    trainer.discriminator.flat[1].fill_(float("nan"))
    trainer.learners[0].refresh()
    run(trainer, 2)
    assert [(failure.lane, failure.step) for failure in trainer.failures()] == [(1, 3)]
    assert trainer.discriminator.flat[0].isfinite().all() and trainer.averages[0][0].isfinite().all()


def test_python_runs_once_and_tensors_change_in_place_at_every_call(compiler):
    runs = []

    def function(tree):
        runs.append(tree)
        tree["a"].add_(tree["b"][0])
        tree["b"][1].mul_(2)

    again, a, b, c = compiled(function), torch.zeros(3), torch.ones(3), torch.ones(2, 2)
    for _ in range(3):
        again({"a": a, "b": (b, c)})
    assert a.tolist() == [3] * 3 and b.tolist() == [1] * 3 and c.tolist() == [[8, 8], [8, 8]] and len(runs) == 1
    other = torch.zeros(3)
    again({"a": other, "b": (b, c)})
    assert other.tolist() == [1] * 3 and a.tolist() == [3] * 3


def test_a_function_whose_way_depends_on_a_value_is_refused(compiler):
    with pytest.raises(RuntimeError, match="data-dependent"):
        compiled(lambda x: x.add_(1) if x.sum() > 0 else None)(torch.ones(3))


@pytest.mark.parametrize(("wanted", "steps", "problem", "found"), [
    ("auto", resolve.MANY_STEPS - 1, "", False), ("auto", resolve.MANY_STEPS, "", True), ("auto", resolve.MANY_STEPS, "no compiler", False),
    ("no", 10**6, "", False), ("yes", 1, "", True)])
def test_the_step_is_compiled_where_many_are_made_or_where_it_is_wanted(monkeypatch, wanted, steps, problem, found):
    monkeypatch.setattr(compiled_module, "compiler_problem", lambda: problem)
    assert resolve.resolve("cpu", TrainConfig(precision="fp32", compile=wanted), LONG._replace(steps=steps)).compiled is found


def test_what_is_wanted_and_cannot_be_is_a_mistake(monkeypatch):
    monkeypatch.setattr(compiled_module, "compiler_problem", lambda: "torch's compiler fails here: because.")
    with pytest.raises(Mistake, match="because"):
        resolve.resolve("cpu", TrainConfig(compile="yes"), LONG)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(Mistake, match="CUDA graph"):
        resolve.resolve("cuda:0", TrainConfig(compile="yes"), LONG)
    assert not resolve.resolve("cuda:0", TrainConfig(), LONG).compiled


def command(*arguments: str, folder, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "ssgan", *arguments], cwd=folder, capture_output=True, text=True,
                          env=os.environ | {"TORCHINDUCTOR_CACHE_DIR": str(folder / "compiled")} | environment)


SHORT = ("train", "--dataset", "digits", "--labels", "20", "--tracking-uri", "none", "--set", "train.epochs=0.2")


def test_without_a_compiler_the_command_says_what_is_missing(tmp_path):
    found = command(*SHORT, "--set", "train.compile=yes", folder=tmp_path, CXX="/bin/false")
    assert found.returncode == 2 and "Traceback" not in found.stderr
    assert "torch's compiler fails here: InvalidCxxCompiler" in found.stderr and "train.compile=no" in found.stderr


@pytest.mark.slow
def test_the_command_compiles_and_says_nothing_of_it(compiler, tmp_path):
    found = command(*SHORT, "--set", "train.compile=yes", folder=tmp_path)
    assert found.returncode == 0, found.stderr
    assert "W1" not in found.stderr and "warn" not in found.stderr.lower()
