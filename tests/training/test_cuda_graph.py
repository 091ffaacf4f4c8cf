"""The step as a graph replays it, on a graph for the CPU: nothing in it depends on Python. (On a GPU it is CUDA's.)"""

import pytest
import small
import torch
from recorded import RecordedGraphs
from test_trainer import drawn_tensors, everything

from ssgan.config import override
from ssgan.training import checkpoint as checkpoints
from ssgan.training import trainer as trainer_module
from ssgan.training.cuda_graph import WARM_UP, Replay
from ssgan.training.trainer import Trainer

FULL = override(small.MLP, [
    "train.epochs=3", "train.schedule=cosine", "augment.shift=1", "augment.elastic=0.5", "augment.rotation=10",
    "consistency.weight=1", "consistency.threshold=0.4", "consistency.start=0.5", "consistency.balance=0.5",
    "consistency.entropy=0.2", "gan.pull_away=0.1", "vat.weight=0.5", "augment.end=0.2",
    "gradient_penalty.weight=0.1", "gradient_penalty.every=2", "historical_averaging.weight=0.1",
    "adversarial.weight=0.1", "adversarial.loss=relativistic", "smoothing.weight=1", "smoothing.width=0.1",
    "label_noise.share=0.1", "manifold.weight=0.01", "l1.weight=0.001", "l2.weight=0.001", "model.dropout=0.1",
    "model.generator_dropout=0.1", "model.latent_noise=0.1"])
COLOUR = [
    "augment.shift=1", "augment.whole=true", "augment.border=reflected", "augment.flip=true", "augment.rotation=20",
    "augment.scale=0.2", "augment.brightness=0.25", "augment.contrast=0.5", "augment.saturation=0.5",
    "augment.cutout=0.5", "augment.chosen=2", "augment.labelled=0.5", "diff_augment.shift=1", "diff_augment.cutout=0.5",
    "diff_augment.border=reflected", "diff_augment.contrast=0.5", "diff_augment.real=false", "consistency.weight=1",
    "consistency.threshold=0.3", "consistency.start=0", "class_balance.weight=0.5", "train.adam=authors"]
RECIPES = {"everything": FULL, "authors": override(small.MLP, ["train.adam=authors", "train.averaging=zero-start"]),
           "conv": override(small.CONV, ["train.averaging=corrected"]),
           "no generator": override(FULL, ["gan.weight=0"]),
           "colour": override(small.AIRBENCH, COLOUR),
           "batch norm": override(small.AIRBENCH, ["model.norm=batch", "model.norm_batches=joint"])}


@pytest.fixture
def on_device(monkeypatch):
    """Trainers as they are on a GPU, but for the GPU."""
    monkeypatch.setattr(trainer_module, "replayed", lambda device: True)
    monkeypatch.setattr(trainer_module, "CudaGraphs", RecordedGraphs)


def eager(trainer: Trainer) -> Trainer:
    trainer._program = trainer._plain
    return trainer


def run(trainer: Trainer, steps: int) -> Trainer:
    for _ in range(steps):
        trainer.step()
    return trainer


def same(one: Trainer, other: Trainer) -> bool:
    return all(map(torch.equal, everything(one), everything(other)))


@pytest.mark.parametrize(("seeds", "resolved"), [((3,), small.FP64), ((3, 4), small.BF16)],
                         ids=["one", "lanes in bf16"])
@pytest.mark.parametrize("recipe", RECIPES)
def test_replayed_steps_are_the_steps(on_device, recipe, seeds, resolved):
    """Over the ends of epochs, through a falling learning rate, the average's correction and the beginning of
    consistency.
    """
    replayed, plain = (small.trainer(RECIPES[recipe], resolved, seeds) for _ in range(2))
    run(replayed, replayed.steps)
    run(eager(plain), plain.steps)
    assert replayed._program(replayed.gan.program(0)).machine.captured == 1
    assert replayed.done > 2 * replayed.steps_per_epoch - 1 > WARM_UP
    assert same(replayed, plain)
    assert replayed.failures() == []


def test_every_replay_draws_anew_and_again_the_same_after_a_resume(on_device, tmp_path):
    whole, stopped = (small.trainer(FULL, seeds=(3, 4)) for _ in range(2))
    run(stopped, 8)
    before = [value.clone() for value in small.weights_and_averages(stopped)]
    checkpoints.save(tmp_path / "state.pt", stopped.checkpoint())
    resumed = small.trainer(FULL, seeds=(3, 4))
    resumed.restore(checkpoints.load(tmp_path / "state.pt"))
    assert all(map(torch.equal, small.weights_and_averages(resumed), before))
    run(resumed, 6)
    assert same(resumed, run(whole, 14))


def test_lanes_share_nothing_random_on_a_device_either(on_device):
    table = small.split(FULL, small.dataset())
    trainer = Trainer(FULL, small.dataset().train, [table, table], [0, 1], small.FP64)
    trainer.feed.open(0, trainer.gan.trained)
    assert not any(torch.equal(first, second) for first, second in drawn_tensors(trainer))


def test_a_value_that_is_not_finite_is_found_in_a_replay_with_its_step(on_device):
    trainer = run(small.trainer(FULL, seeds=(0, 1)), 7)
    small.spoil(trainer, 1, "generator")
    run(trainer, 3)
    failure, = trainer.failures()
    assert (failure.lane, failure.step) == (1, 7)


def test_a_device_is_read_at_the_ends_of_epochs_alone(on_device):
    trainer = small.trainer(FULL)
    assert trainer.record_steps % trainer.steps_per_epoch == 0 and trainer.record_steps >= trainer_module.RECORD_STEPS


def test_what_is_captured_is_not_run_by_the_capture():
    class Machine:
        def run(self, program):
            log.append("aside")
            program()

        def capture(self, program):
            log.append("captured")
            return lambda: log.append("replayed")

    log = []
    replay = Replay(lambda: log.append("program"), Machine())
    for _ in range(WARM_UP + 2):
        replay()
    assert log == ["aside", "program"] * WARM_UP + ["captured", "replayed", "replayed"]
