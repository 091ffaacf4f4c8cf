"""The training loop: what it yields, resuming bit for bit after SIGKILL, lanes that fail alone."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import killed
import plain
import small
from ssgan import checkpoints, trainer as trainer_module, training
from ssgan.config import override
from ssgan.errors import Mistake
from ssgan.trainer import Failure, Trainer
from ssgan.training import Interrupted, Record, Sheet, train

WINDOW = 4
RECIPE = override(small.MLP, ["train.epochs=3", "split.validation=8", "train.batch=8", "consistency.weight=1", "consistency.threshold=0.4"])
STEPS = 18  # 52 images of the pool, 8 a step


@pytest.fixture(autouse=True)
def short_windows(monkeypatch):
    for module in (trainer_module, training):
        monkeypatch.setattr(module, "RECORD_STEPS", WINDOW)
    monkeypatch.setattr(training, "SHEETS", 2)
    monkeypatch.setattr(training, "SHEET_IMAGES", 5)


def make(seeds: tuple[int, ...] = (3, 4, 5), resolved=small.FP32, recipe=RECIPE) -> Trainer:
    return small.trainer(recipe, resolved, seeds)


def tensors(trainer: Trainer) -> list[torch.Tensor]:
    """The weights and their averages."""
    return [*(stack.flat for stack in trainer.stacks), *trainer.averages]


def same(one: Trainer, other: Trainer, lanes=slice(None)) -> bool:
    return all(torch.equal(a[lanes], b[lanes]) for a, b in zip(tensors(one), tensors(other)))


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
            trainer.discriminator.flat[at[trainer.done]] = float("inf")
            trainer._refresh(0)
        step()

    trainer.step = poisoned


def test_what_is_yielded_when(tmp_path):
    trainer = make()
    events = list(train(trainer, tmp_path / "c.pt"))
    assert trainer.done == trainer.steps == STEPS
    records = [event for event in events if isinstance(event, Record)]
    assert [event.step for event in records if "val/error" not in event.values] == [4, 8, 12, 16, 18]
    assert [event.step for event in records if "val/error" in event.values] == [4, 8, 12, 16, 18]
    sheets = [event for event in events if isinstance(event, Sheet)]
    assert [sheet.step for sheet in sheets] == [8, 16, 18]
    assert len(events) == len(records) + len(sheets)
    assert not (tmp_path / "c.pt").exists(), "a short run saves nothing"


def test_records_are_the_means_of_their_windows(tmp_path):
    twin, values = make(), []
    for _ in range(STEPS):
        twin.step()
        values.append(twin.sums.clone())
        twin.sums.zero_()
    for record in train(make(), tmp_path / "c.pt"):
        if isinstance(record, Record) and "val/error" not in record.values:
            means = torch.stack(values[(record.step - 1) // WINDOW * WINDOW: record.step]).mean(0)
            assert record.values == {name: pytest.approx(means[:, i].tolist(), rel=1e-5) for i, name in enumerate(twin.names)}


def test_the_monitor_is_the_averaged_classifiers_error_on_each_lanes_own_validation_images(tmp_path):
    trainer = make(resolved=small.FP64)
    for event in train(trainer, tmp_path / "c.pt"):
        if isinstance(event, Record) and "val/error" in event.values:
            for lane, split in enumerate(trainer.splits):
                index = torch.from_numpy(split.validation)
                weights = small.lane_weights(trainer.discriminator, trainer.averages[0], lane)
                logits, _ = plain.discriminator(RECIPE, weights, trainer.images.gather(index, dtype=torch.float64), None)
                assert event.values["val/error"][lane] == pytest.approx((logits.argmax(1) != trainer.images.labels[index]).double().mean().item())


def test_a_sheet_shows_every_lanes_averaged_generator(tmp_path):
    trainer = make((3, 4))
    sheets = [event for event in train(trainer, tmp_path / "c.pt") if isinstance(event, Sheet)]
    assert sheets[-1].images.dtype == torch.uint8 and sheets[-1].images.shape == (2, 5, 2, 6, 8)
    for lane in range(2):
        expected = trainer.sample(lane, 0, 5, average=True) * 255
        assert (sheets[-1].images[lane] - expected).abs().max() <= 0.5


def test_without_generator_and_validation_there_are_only_records(tmp_path):
    recipe = override(RECIPE, ["gan.weight=0", "split.validation=0"])
    events = list(train(make(recipe=recipe), tmp_path / "c.pt"))
    assert all(isinstance(event, Record) and "val/error" not in event.values for event in events)


@pytest.mark.parametrize("stops", [[1], [4], [7, 3, 6], [17]])
def test_stopped_and_resumed_it_ends_bit_for_bit_where_it_would_have(tmp_path, stops):
    whole = make()
    events = list(train(whole, tmp_path / "whole.pt"))
    found, done = [], 0
    for steps in stops:
        done += steps
        with pytest.raises(Interrupted) as caught:
            for event in train(make(), tmp_path / "c.pt", should_stop=after(steps)):
                found.append(event)
        assert caught.value.step == done == checkpoints.load(tmp_path / "c.pt")["done"]
    last = make()
    found += train(last, tmp_path / "c.pt")
    assert last.first == done and same(last, whole)
    assert [event.step for event in found] == [event.step for event in events]
    assert [event.values for event in found if isinstance(event, Record)] == [event.values for event in events if isinstance(event, Record)]
    sheets = [[event.images for event in side if isinstance(event, Sheet)] for side in (found, events)]
    assert all(map(torch.equal, *sheets))


def test_measurements_are_on_the_disk_before_the_checkpoint(tmp_path):
    steps = []
    trainer, path = make(), tmp_path / "c.pt"

    def before_save() -> None:
        saved = checkpoints.load(path)["done"] if path.exists() else 0
        steps.append((saved, trainer.done))

    for _ in train(trainer, path, checkpoint_seconds=0, before_save=before_save):
        pass
    assert steps == [(step, step + 1) for step in range(STEPS)]


def test_a_finished_run_is_not_trained_again(tmp_path):
    whole, again = make(), make()
    list(train(whole, tmp_path / "c.pt", checkpoint_seconds=0))
    assert list(train(again, tmp_path / "c.pt")) == []
    assert again.done == STEPS and same(again, whole)


def test_a_damaged_checkpoint_is_a_mistake(tmp_path):
    (tmp_path / "c.pt").write_bytes(b"PK damaged")
    with pytest.raises(Mistake, match="cannot be read as a checkpoint"):
        next(train(make(), tmp_path / "c.pt"))


@pytest.fixture
def runs(tmp_path):
    """The process of killed.py, beside its images."""
    data = small.digits().train
    torch.save({"pixels": data.pixels, "labels": data.labels}, tmp_path / "images.pt")
    root = Path(training.__file__).parent.parent
    with subprocess.Popen([sys.executable, killed.__file__, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                          env=os.environ | {"PYTHONPATH": str(root)}) as process:
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
    moments = [(random.randint(5, 50), random.uniform(0, 0.02)), (random.randint(80, 110), random.uniform(0, 0.02))]
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


@pytest.mark.parametrize("step", [0, 5, 7, 17])
@pytest.mark.parametrize("resolved", [small.FP32, small.FP64], ids=["fp32", "fp64"])
def test_a_lane_that_is_not_finite_fails_alone(tmp_path, step, resolved):
    sound, struck = make(resolved=resolved), make(resolved=resolved)
    list(train(sound, tmp_path / "sound.pt"))
    poison(struck, {step: 1})
    events = list(train(struck, tmp_path / "c.pt", checkpoint_seconds=0))
    assert [event for event in events if isinstance(event, Failure)] == [Failure(1, step, "labelled_loss")]
    place = next(i for i, event in enumerate(events) if isinstance(event, Failure))
    assert isinstance(events[place - 1], Record) and events[place - 1].step == min(STEPS, step // WINDOW * WINDOW + WINDOW)
    assert struck.done == STEPS and same(struck, sound, [0, 2]) and struck.failures() == [Failure(1, step, "labelled_loss")]


def test_the_checkpoint_keeps_a_failed_lanes_last_good_weights_and_the_others_new_ones(tmp_path):
    sound, struck = make(), make()
    for _ in range(7):
        sound.step()
    good = [value[1].clone() for value in tensors(sound)]
    for _ in range(7, STEPS):
        sound.step()
    poison(struck, {7: 1})
    list(train(struck, tmp_path / "c.pt", checkpoint_seconds=0))
    saved = checkpoints.load(tmp_path / "c.pt")
    assert saved["done"] == STEPS
    for value, kept, end in zip([*saved["flat"], *saved["averages"]], good, tensors(sound)):
        assert torch.equal(value[1], kept)
        assert torch.equal(value[[0, 2]], end[[0, 2]])


def test_after_a_failure_the_others_can_be_stopped_and_resumed(tmp_path):
    sound, struck, resumed = make(), make(), make()
    list(train(sound, tmp_path / "sound.pt"))
    poison(struck, {2: 1})
    with pytest.raises(Interrupted):
        list(train(struck, tmp_path / "c.pt", checkpoint_seconds=0, should_stop=after(10)))
    list(train(resumed, tmp_path / "c.pt"))
    assert same(resumed, sound, [0, 2]) and resumed.failures() == [Failure(1, 2, "labelled_loss")]


def test_two_failures_are_told_once_each(tmp_path):
    trainer = make()
    poison(trainer, {2: 1, 9: 0})
    failures = [event for event in train(trainer, tmp_path / "c.pt") if isinstance(event, Failure)]
    assert failures == [Failure(1, 2, "labelled_loss"), Failure(0, 9, "labelled_loss")]


def test_with_no_lane_left_the_loop_ends_and_the_last_good_checkpoint_stays(tmp_path):
    trainer = make((3, 4))
    poison(trainer, {6: 1, 9: 0})
    events = list(train(trainer, tmp_path / "c.pt", checkpoint_seconds=0))
    assert [event for event in events if isinstance(event, Failure)] == [Failure(1, 6, "labelled_loss"), Failure(0, 9, "labelled_loss")]
    assert trainer.done == 12 and isinstance(events[-1], Failure)
    saved = checkpoints.load(tmp_path / "c.pt")
    assert saved["done"] == 9 and saved["flat"][0].isfinite().all()
