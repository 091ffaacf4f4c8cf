"""The training loop: what it yields, resuming bit for bit after SIGKILL, lanes that fail alone."""

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import killed
import plain_networks
import pytest
import small
import torch

from ssgan.config import override
from ssgan.errors import Mistake
from ssgan.training import checkpoint as checkpoints
from ssgan.training import loop as training
from ssgan.training import optimisers
from ssgan.training import trainer as trainer_module
from ssgan.training.lanes import tree_leaves
from ssgan.training.loop import Interrupted, Record, Sheet, run_to_end
from ssgan.training.trained_model import TrainedModel
from ssgan.training.trainer import Failure, Trainer

WINDOW = 4
RECIPE = override(small.MLP, ["train.epochs=3", "split.validation=8", "train.batch=8", "consistency.weight=1",
                              "consistency.threshold=0.4"])
SEEDS = (3, 4, 5)
STEPS = 18  # 52 images of the pool, 8 a step


@pytest.fixture(autouse=True, scope="module")
def short_windows():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer_module, "RECORD_STEPS", WINDOW)
        patch.setattr(training, "SHEETS", 2)
        patch.setattr(training, "SHEET_IMAGES", 5)
        yield


def make(seeds: tuple[int, ...] = SEEDS, recipe=RECIPE) -> Trainer:
    return small.trainer(recipe, small.FP32, seeds)


def tensors(trainer: Trainer) -> list[torch.Tensor]:
    """The weights and their averages."""
    return small.weights_and_averages(trainer)


@dataclass
class Whole:
    """A trainer that was stepped by hand, undisturbed: its tensors after each number of steps, and what each step
    measured.
    """

    trainer: Trainer
    tensors: list[list[torch.Tensor]]
    values: list[torch.Tensor]  # [r, m] of each step

    def is_end_of(self, other: Trainer, lanes=slice(None)) -> bool:
        """Whether the other's lanes ended bit for bit as these."""
        return all(torch.equal(a[lanes], b[lanes]) for a, b in zip(self.tensors[-1], tensors(other)))

    def means(self, step: int) -> dict[str, list[float]]:
        """What a record at this step says."""
        found = torch.stack(self.values[(step - 1) // WINDOW * WINDOW: step]).mean(0)
        return {name: pytest.approx(found[:, i].tolist(), rel=1e-5) for i, name in enumerate(self.trainer.names)}


@pytest.fixture(scope="module")
def whole() -> Whole:
    trainer = make()
    found = Whole(trainer, [[value.clone() for value in tensors(trainer)]], [])
    for _ in range(STEPS):
        trainer.step()
        found.tensors.append([value.clone() for value in tensors(trainer)])
        found.values.append(trainer.sums.clone())
        trainer.sums.zero_()
    return found


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> tuple[Trainer, list]:
    """A trainer at its end, and what its training yielded."""
    trainer, path = make(), tmp_path_factory.mktemp("finished") / "c.pt"
    events = list(run_to_end(trainer, path))
    assert not path.exists(), "a short run saves nothing"
    return trainer, events


def is_measured(event) -> bool:
    return isinstance(event, Record) and "val/error" not in event.values


def after(step: int):
    """A `should_stop` that says so from a step on."""
    def should_stop() -> bool:
        should_stop.trainer_steps += 1
        return should_stop.trainer_steps >= step

    should_stop.trainer_steps = 0
    return should_stop


def poison(trainer: Trainer, at: dict[int, int]) -> None:
    """Makes the discriminator of lane `at[step]` infinite before that step."""
    step = trainer.step

    def poisoned() -> None:
        if trainer.done in at:
            small.spoil(trainer, at[trainer.done], value=float("inf"))
        step()

    trainer.step = poisoned


def test_what_is_yielded_when(finished, whole):
    trainer, events = finished
    assert trainer.done == trainer.steps == STEPS and whole.is_end_of(trainer)
    assert [event.step for event in events if is_measured(event)] == [4, 8, 12, 16, 18]
    assert [event.step for event in events if isinstance(event, Record) and not is_measured(event)] == [
        4, 8, 12, 16, 18]
    assert [event.step for event in events if isinstance(event, Sheet)] == [8, 16, 18]
    assert len(events) == 5 + 5 + 3


def test_records_are_the_means_of_their_windows(finished, whole):
    for event in filter(is_measured, finished[1]):
        assert event.values == whole.means(event.step)


def test_the_monitor_is_the_averaged_classifiers_error_on_each_lanes_own_validation_images(finished, whole):
    trainer, events = finished
    for event in events:
        if isinstance(event, Record) and not is_measured(event):
            for lane, split in enumerate(trainer.splits):
                index = torch.from_numpy(split.validation)
                weights = small.lane_weights(trainer, "discriminator", whole.tensors[event.step][2], lane)
                logits, _ = plain_networks.discriminator(RECIPE, weights, trainer.images.gather(index), None)
                assert event.values["val/error"][lane] == pytest.approx(
                    (logits.argmax(1) != trainer.images.labels[index]).double().mean().item())


def test_a_sheet_shows_every_lanes_averaged_generator(finished):
    trainer, events = finished
    last = [event for event in events if isinstance(event, Sheet)][-1]
    assert last.images.dtype == torch.uint8 and last.images.shape == (3, 5, 2, 6, 8)
    for lane in range(3):
        expected = TrainedModel.of_trainer(trainer, lane).sampler().images(0, 5) * 255
        assert (last.images[lane] - expected).abs().max() <= 0.5


def test_without_generator_and_validation_there_are_only_records(tmp_path):
    recipe = override(RECIPE, ["gan.weight=0", "split.validation=0"])
    assert all(map(is_measured, run_to_end(make((3,), recipe), tmp_path / "c.pt")))


@pytest.mark.parametrize("stops", [[1, 3, 6], [17]])
def test_stopped_and_resumed_it_ends_bit_for_bit_where_it_would_have(tmp_path, finished, whole, stops):
    found, done = [], 0
    for steps in stops:
        done += steps
        with pytest.raises(Interrupted) as caught:
            for event in run_to_end(make(), tmp_path / "c.pt", should_stop=after(steps)):
                found.append(event)
        assert caught.value.step == done == checkpoints.load(tmp_path / "c.pt")["done"]
    last = make()
    found += run_to_end(last, tmp_path / "c.pt")
    assert last.first == done and whole.is_end_of(last)
    for kind in (Record, Sheet):
        assert [event.step for event in found if isinstance(event, kind)] == [
            event.step for event in finished[1] if isinstance(event, kind)]
    for event in filter(is_measured, found):
        assert event.values == whole.means(event.step)
    sheets = [[event.images for event in events if isinstance(event, Sheet)] for events in (found, finished[1])]
    assert all(map(torch.equal, *sheets))


def test_measurements_are_on_the_disk_before_the_checkpoint(tmp_path):
    """And a run that has finished is not trained again."""
    steps, trainer, again, path = [], make((3,)), make((3,)), tmp_path / "c.pt"

    def before_save() -> None:
        saved = checkpoints.load(path)["done"] if path.exists() else 0
        steps.append((saved, trainer.done))

    for _ in run_to_end(trainer, path, checkpoint_seconds=0, before_save=before_save):
        pass
    assert steps == [(step, step + 1) for step in range(STEPS)]
    assert list(run_to_end(again, path)) == []
    assert again.done == STEPS and all(map(torch.equal, tensors(again), tensors(trainer)))


def test_what_comes_after_the_classifier_is_told_of_once_and_nothing_before_it_is_lost(tmp_path):
    recipe, told, path = override(small.MLP, ["pictures.steps=3", "pictures.batch=8"]), [], tmp_path / "c.pt"

    def stopped():
        told.append(checkpoints.load(path)["done"])
        raise Interrupted(-1)

    def to_end(trainer, before_further, checkpoint=path):
        list(run_to_end(trainer, checkpoint, checkpoint_seconds=10**6, before_further=before_further))
        return trainer

    whole = to_end(small.trainer(recipe), lambda: told.append("whole"), None)
    assert told == ["whole"] and whole.steps == whole.gan.steps + 3
    with pytest.raises(Interrupted):
        to_end(small.trainer(recipe), stopped)
    assert told[1:] == [whole.gan.steps]
    its = to_end(small.trainer(recipe), lambda: told.append(path.stat().st_mtime_ns))
    assert told[2:] == [path.stat().st_mtime_ns]  # what is there already is not saved again
    assert all(map(torch.equal, tree_leaves(whole.state), tree_leaves(its.state)))
    to_end(small.trainer(small.MLP), lambda: pytest.fail("nothing comes after it"), None)


def test_a_damaged_checkpoint_is_a_mistake(tmp_path):
    (tmp_path / "c.pt").write_bytes(b"PK damaged")
    with pytest.raises(Mistake, match="cannot be read as a checkpoint"):
        next(run_to_end(make(), tmp_path / "c.pt"))


@pytest.fixture
def runs(tmp_path):
    """The process of killed.py, beside its images."""
    data = small.digits().train
    torch.save({"pixels": data.pixels, "labels": data.labels}, tmp_path / "images.pt")
    root = Path(training.__file__).parents[2]
    with subprocess.Popen([sys.executable, killed.__file__, str(tmp_path)], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(root)}) as process:
        yield process
        process.stdin.close()


def run_until(runs: subprocess.Popen, step: int, seconds: float) -> str:
    """Starts a run, kills it with SIGKILL some time after a step, and says how it ended."""
    print(file=runs.stdin, flush=True)
    child = int(runs.stdout.readline())
    for line in runs.stdout:
        if line.startswith("ended"):
            return line
        if int(line) == step:
            time.sleep(seconds)
            os.kill(child, signal.SIGKILL)


def test_killed_at_random_moments_it_ends_bit_for_bit_where_it_would_have(tmp_path, runs):
    moments = [(random.randint(first, first + 30), random.uniform(0, 0.02)) for first in (5, 45)]
    for step, seconds in moments:
        assert run_until(runs, step, seconds) == "ended -9\n", moments
        assert checkpoints.load(tmp_path / "checkpoint.pt")["done"] >= step - 1, moments
        assert not (tmp_path / "final.pt").exists()
    assert run_until(runs, -1, 0) == "ended 0\n"
    found = torch.load(tmp_path / "final.pt", weights_only=True)
    (tmp_path / "checkpoint.pt").unlink()
    expected = killed.final(tmp_path, 1e9, lambda trainer: False)
    for key in expected:
        assert all(map(torch.equal, found[key], expected[key])), moments


@pytest.mark.parametrize("step", [0, 7, 17])
def test_a_lane_that_is_not_finite_fails_alone(tmp_path, whole, step):
    """The others go on bit for bit; the checkpoint keeps the failed lane's last good weights."""
    trainer, failure = make(), Failure(1, step, "labelled_loss")
    poison(trainer, {step: 1})
    events = list(run_to_end(trainer, tmp_path / "c.pt", checkpoint_seconds=0))
    assert [event for event in events if isinstance(event, Failure)] == trainer.failures() == [failure]
    before = events[events.index(failure) - 1]
    assert is_measured(before) and before.step == min(STEPS, step // WINDOW * WINDOW + WINDOW)
    assert trainer.done == STEPS and whole.is_end_of(trainer, [0, 2])

    saved = checkpoints.load(tmp_path / "c.pt")
    assert saved["done"] == STEPS
    values = [saved["players"][player][what] for what in ("weights", "average") for player in small.PLAYERS]
    for value, good, end in zip(values, whole.tensors[step], whole.tensors[-1]):
        assert torch.equal(value[[0, 2]], end[[0, 2]])
        assert torch.equal(value[1], good[1]) or step == 0, "before the first checkpoint there is none to keep"


def test_after_a_failure_the_others_can_be_stopped_and_resumed(tmp_path, whole):
    struck, resumed = make(), make()
    poison(struck, {2: 1})
    with pytest.raises(Interrupted):
        list(run_to_end(struck, tmp_path / "c.pt", checkpoint_seconds=0, should_stop=after(10)))
    list(run_to_end(resumed, tmp_path / "c.pt"))
    assert whole.is_end_of(resumed, [0, 2]) and resumed.failures() == [Failure(1, 2, "labelled_loss")]


def test_with_no_lane_left_the_loop_ends_and_the_last_good_checkpoint_stays(tmp_path):
    trainer = make((3, 4))
    poison(trainer, {6: 1, 9: 0})
    events = list(run_to_end(trainer, tmp_path / "c.pt", checkpoint_seconds=0))
    assert [event for event in events if isinstance(event, Failure)] == [
        Failure(1, 6, "labelled_loss"), Failure(0, 9, "labelled_loss")]
    assert trainer.done == 12 and isinstance(events[-1], Failure)
    saved = checkpoints.load(tmp_path / "c.pt")
    assert saved["done"] == 9 and saved["players"]["discriminator"]["weights"].isfinite().all()


def explode(monkeypatch, trainer: Trainer, player: str, step: int) -> None:
    """Makes the gradient of lane 1 of a player NaN in that step."""
    adam = optimisers.adam

    def exploding(config, weights, state, gradient, *rest, **options) -> None:
        struck = trainer.done == step and weights is small.weights(trainer, player)
        adam(config, weights, state, gradient * torch.tensor([[1.0], [float("nan")]]) if struck else gradient, *rest,
             **options)

    monkeypatch.setattr(optimisers, "adam", exploding)


def test_weights_that_are_not_finite_after_the_last_step_are_a_failure_too(tmp_path, monkeypatch):
    trainer = make((3, 4), override(RECIPE, ["gan.weight=0"]))
    explode(monkeypatch, trainer, "discriminator", STEPS - 1)
    events = list(run_to_end(trainer, tmp_path / "c.pt"))
    assert not small.weights(trainer)[1].isfinite().any()
    assert [event.lane for event in events if isinstance(event, Failure)] == [1]


def test_a_checkpoint_never_holds_weights_that_are_not_finite(tmp_path, monkeypatch):
    trainer = make((3, 4))
    explode(monkeypatch, trainer, "generator", 6)
    list(run_to_end(trainer, tmp_path / "c.pt", checkpoint_seconds=0))
    assert checkpoints.load(tmp_path / "c.pt")["players"]["generator"]["weights"].isfinite().all()
