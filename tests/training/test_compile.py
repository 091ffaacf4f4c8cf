"""The compiled step: what the eager one does, from a program that Python is no part of."""

import contextlib
import dataclasses
import os
import subprocess
import sys

import pytest
import small
import technique_cases
import torch
from test_cuda_graph import FULL, run, same
from test_passes import CASES, check_steps

from ssgan.config import override
from ssgan.errors import Mistake
from ssgan.evaluation.baselines import trained_without
from ssgan.experiments import baseline_runs, group_training
from ssgan.experiments.member import Group, Member
from ssgan.experiments.progress import Progress
from ssgan.experiments.run import Setting, run_group
from ssgan.tracking.workfolder import WorkFolder
from ssgan.training import checkpoint as checkpoints
from ssgan.training import compile as compiled_module
from ssgan.training import execution as resolve
from ssgan.training import trainer as trainer_module
from ssgan.training.compile import compiled
from ssgan.training.execution import resolved_for
from ssgan.training.trainer import Trainer


def in_compiled(resolved: resolve.Resolved) -> resolve.Resolved:
    return dataclasses.replace(resolved, compiled=True)


@pytest.fixture(scope="session")
def compiler():
    """Skips where there is none."""
    small.need_compiler()


@pytest.mark.parametrize(("case", "lanes"), [
    pytest.param("mlp, the authors' Adam and averages", 2, marks=pytest.mark.slow),
    pytest.param("conv, plain output with small first logits", 1, marks=pytest.mark.slow),
    pytest.param("conv, the authors' Adam, consistency", 1, marks=pytest.mark.slow),
    pytest.param("multiscale, penalty at real images, instance noise, told classes", 2, marks=pytest.mark.slow)])
def test_compiled_steps_are_those_of_the_plain_implementation(compiler, case, lanes):
    check_steps(case, lanes, in_compiled(small.FP64))


@pytest.mark.parametrize("case", [pytest.param(case, marks=pytest.mark.slow) if case in technique_cases.CASES else case
                                  for case in CASES])
def test_the_program_that_is_compiled_is_that_of_the_plain_implementation(monkeypatch, case):
    """Every kind of step can be written down; what was written is done by torch's own operations, which takes no
    compiler.
    """
    def at_once(graph, tensors):
        program = torch.no_grad()(graph)
        program(*tensors)
        return program

    monkeypatch.setattr(compiled_module, "_compile", at_once)
    check_steps(case, 1, in_compiled(small.FP64))


@pytest.mark.slow
def test_a_whole_run_is_the_eager_one_and_a_resumed_run_the_whole_one_to_the_bit(compiler, tmp_path):
    """Over the ends of epochs, through a falling learning rate, the average's correction, shrinking augmentation and
    the beginning of consistency.
    """
    eager, whole, stopped, resumed = (small.trainer(FULL, r) for r in (small.FP64, *[in_compiled(small.FP64)] * 3))
    run(eager, eager.steps)
    run(whole, whole.steps)
    for mine, its in zip(*map(small.weights_and_averages, (eager, whole))):
        torch.testing.assert_close(its, mine, rtol=0, atol=1e-9)
    assert whole.failures() == []
    run(stopped, 5)
    checkpoints.save(tmp_path / "state.pt", stopped.checkpoint())
    resumed.restore(checkpoints.load(tmp_path / "state.pt"))
    assert same(run(resumed, whole.steps - 5), whole)


@pytest.mark.slow
def test_a_lane_that_is_not_finite_is_found_with_its_step_and_the_other_goes_on(compiler):
    trainer = run(small.trainer(FULL, in_compiled(small.FP32), (0, 1)), 3)
    small.spoil(trainer, 1)
    run(trainer, 2)
    assert [(failure.lane, failure.step) for failure in trainer.failures()] == [(1, 3)]
    assert all(value[0].isfinite().all() for value in small.weights_and_averages(trainer))


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


def test_a_step_that_does_not_compile_is_made_eagerly_unless_it_was_wanted(monkeypatch):
    """As with older torch, whose compiler fails at some convolutions."""
    def fails(graph, tensors):
        raise Mistake("torch's compiler fails here: because.")

    monkeypatch.setattr(compiled_module, "_compile", fails)
    images = small.images(60, (2, 6, 8), 4, 0)  # of its own: what was found is kept
    many, told = override(small.MLP, [f"train.epochs={resolve.MANY_STEPS}"]), []
    for _ in range(2):
        assert not resolved_for(many, images, "cpu", told=lambda: told.append("a minute")).compiled
    assert told == ["a minute"]  # what is known is not tried again
    with pytest.raises(Mistake, match="because"):
        resolved_for(override(many, ["train.compile=yes"]), images, "cpu")


@pytest.mark.parametrize("wanted", ["auto", "yes"])
def test_a_person_is_told_that_it_is_tried_before_it_is(tmp_path, monkeypatch, capsys, wanted):
    def fails(graph, tensors):
        shown.append(capsys.readouterr().err)
        raise Mistake("torch's compiler fails here: because.")

    monkeypatch.setattr(compiled_module, "_compile", fails)
    monkeypatch.setattr(resolve, "_PROBLEMS", {})
    shown, setting = [], Setting(tmp_path, None, "cpu", progress=Progress())
    recipe = override(small.MLP, [f"train.epochs={resolve.MANY_STEPS}", f"train.compile={wanted}"])
    with contextlib.nullcontext() if wanted == "auto" else pytest.raises(Mistake, match="because"):
        run_group([Member(recipe, 0, 0)], small.dataset(), setting, until="split")
    assert shown == ["compiling the step …\n"]


def test_the_step_that_is_tried_is_the_runs_own(compiler, monkeypatch):
    graphs = []
    monkeypatch.setattr(compiled_module, "_compile",
                        lambda graph, tensors, real=compiled_module._compile: graphs.append(graph.code)
                        or real(graph, tensors))
    images = small.images(60, (2, 6, 8), 4, 0)
    recipe = override(small.MLP, ["train.compile=yes", "train.precision=fp32"])
    resolved = resolved_for(recipe, images, "cpu")
    assert resolved.compiled and resolved_for(recipe, images, "cpu") == resolved and len(graphs) == 1
    with resolve.pinned(resolved):
        run(small.trainer(recipe, resolved, data=dataclasses.replace(small.dataset(), train=images)), 2)
    assert len(graphs) == 2 and graphs[0] == graphs[1]


@pytest.mark.parametrize(("problem", "compiled"), [("", True), ("no such operation", False)])
def test_a_baseline_whose_own_step_does_not_compile_is_trained_eagerly(tmp_path, monkeypatch, problem, compiled):
    made = []
    monkeypatch.setattr(baseline_runs, "compile_problem",
                        lambda recipe, images, resolved, told: problem if recipe.gan.weight == 0 else "?")
    monkeypatch.setattr(group_training, "Trainer", lambda *arguments: made.append(arguments[-1]) or Trainer(*arguments))
    monkeypatch.setattr(trainer_module, "compiled", lambda function: function)  # what is compiled is seen elsewhere
    group = Group([Member(small.MLP, 0, 0)], [WorkFolder.create(tmp_path, "f")], small.dataset(),
                  in_compiled(small.FP32))
    recipe, = trained_without(small.MLP)
    trainer = baseline_runs.train(group, [small.split(small.MLP, small.dataset())], recipe)
    assert (tmp_path / "f" / "checkpoint-supervised-only.pt").exists() and trainer.done == trainer.steps
    assert [resolved.compiled for resolved in made] == [compiled]


def command(*arguments: str, folder, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "ssgan", *arguments], cwd=folder, capture_output=True, text=True,
                          env=os.environ | {"TORCHINDUCTOR_CACHE_DIR": str(folder / "compiled")} | environment)


SHORT = ("train", "--dataset", "digits", "--labels", "20", "--tracking-uri", "none", "--set", "train.epochs=0.2", "--set",
         "pictures.steps=0")


@pytest.mark.slow
def test_without_a_compiler_the_command_says_what_is_missing(tmp_path):
    found = command(*SHORT, "--set", "train.compile=yes", folder=tmp_path, CXX="/bin/false")
    assert found.returncode == 2 and "Traceback" not in found.stderr
    assert "torch's compiler fails here: InvalidCxxCompiler" in found.stderr and "train.compile=no" in found.stderr


@pytest.mark.slow
def test_a_cache_that_cannot_be_written_is_a_mistake_too(tmp_path):
    (tmp_path / "file").touch()
    found = command(*SHORT, "--set", "train.compile=yes", folder=tmp_path,
                    TORCHINDUCTOR_CACHE_DIR=str(tmp_path / "file" / "cache"))
    assert found.returncode == 2 and "Traceback" not in found.stderr
    assert ("torch's compiler fails here: [Errno 20] Not a directory" in found.stderr
            and "TORCHINDUCTOR_CACHE_DIR" in found.stderr)


@pytest.mark.slow
def test_the_command_compiles_and_says_nothing_of_it(compiler, tmp_path):
    found = command(*SHORT, "--set", "train.compile=yes", folder=tmp_path)
    assert found.returncode == 0, found.stderr
    assert "W1" not in found.stderr and "warn" not in found.stderr.lower()
