"""Training on labels that are not balanced: losses take the shares that the labels tell."""

import dataclasses

import numpy as np
import pytest
import small
import torch
from recorded import RecordedGraphs
from sklearn.svm import SVC
from test_passes import check_trainer

from ssgan.config import override
from ssgan.data.images import Images
from ssgan.data.splits import Split
from ssgan.experiments.group_training import train_group
from ssgan.experiments.interrupt import Stop
from ssgan.experiments.member import Group, Member
from ssgan.experiments.progress import Progress
from ssgan.random_streams import numpy_generator
from ssgan.recipes import read
from ssgan.tracking.workfolder import WorkFolder
from ssgan.training import checkpoint as checkpoints
from ssgan.training import draws
from ssgan.training import trainer as trainer_module
from ssgan.training.execution import pinned
from ssgan.training.trainer import Trainer

RECIPE = override(small.MLP, ["class_balance.weight=2", "conditional.weight=0.5", "consistency.weight=0.5",
                              "consistency.threshold=0.3"])
KEPT = ((4, 1, 1, 2), (1, 4, 4, 4))  # labelled images of each class, by lane


def uneven(kept: tuple[int, ...], seed: int) -> Split:
    """A split whose labelled images are so many of each class."""
    data = small.dataset()
    table = small.split(RECIPE, data, seed, 16)
    labels = data.train.labels.numpy()[table.labelled]
    chosen = np.concatenate([table.labelled[labels == label][:count] for label, count in enumerate(kept)])
    return dataclasses.replace(table, labelled=np.sort(chosen), labels=len(chosen))


def trainer(*lanes: int, recipe=RECIPE, resolved=small.FP64) -> Trainer:
    return Trainer(recipe, small.dataset().train, [uneven(KEPT[lane], lane) for lane in lanes], list(lanes), resolved)


def run(trainer: Trainer, steps: int) -> Trainer:
    for _ in range(steps):
        trainer.step()
    return trainer


def by_hand(kept: tuple[int, ...]) -> list[float]:
    return [(count + 1 / len(kept)) / (sum(kept) + 1) for count in kept]


@pytest.mark.parametrize("divergence", ["reverse", "forward"])
def test_steps_are_those_of_the_plain_implementation(monkeypatch, divergence):
    recipe = override(RECIPE, [f"class_balance.divergence={divergence}"])
    check_trainer(trainer(0, 1, recipe=recipe), [by_hand(kept) for kept in KEPT], monkeypatch)


@pytest.mark.slow
def test_the_compiled_program_is_that_of_the_plain_implementation():
    small.need_compiler()
    check_trainer(trainer(0, 1, resolved=dataclasses.replace(small.FP64, compiled=True)),
                  [by_hand(kept) for kept in KEPT])


def test_lanes_of_other_shares_are_their_solo_runs():
    together = run(trainer(0, 1), 10)
    assert not torch.equal(*together.feed.shares)
    for lane in (0, 1):
        alone = run(trainer(lane), 10)
        for player in small.PLAYERS:
            torch.testing.assert_close(small.weights(together, player)[lane], small.weights(alone, player)[0], rtol=0,
                                       atol=1e-9)


def test_replayed_steps_are_the_steps_and_a_checkpoint_goes_on(monkeypatch, tmp_path):
    monkeypatch.setattr(trainer_module, "replayed", lambda device: True)
    monkeypatch.setattr(trainer_module, "CudaGraphs", RecordedGraphs)
    plain, replayed, stopped, resumed = (trainer(0, 1) for _ in range(4))
    plain._program = plain._plain
    run(plain, 8), run(replayed, 8), run(stopped, 5)
    checkpoints.save(tmp_path / "state.pt", stopped.checkpoint())
    resumed.restore(checkpoints.load(tmp_path / "state.pt"))
    run(resumed, 3)
    for player in small.PLAYERS:
        expected = small.weights(plain, player)
        assert all(torch.equal(small.weights(other, player), expected) for other in (replayed, resumed))


def test_a_person_is_told_shares_that_are_not_even(tmp_path, capsys):
    quick = override(RECIPE, ["train.epochs=0.5", "gan.weight=0", "conditional.weight=0"])  # no sheets of two channels
    for number, kept in enumerate(((2, 2, 2, 2), KEPT[0])):
        group = Group([Member(RECIPE, 0, 0)], [WorkFolder.create(tmp_path / str(number), "f")], small.dataset(),
                      small.FP32, Progress(quiet=True), Stop())
        train_group(group, quick, [uneven(kept, 0)], "train", tmp_path / f"{number}.pt", record=True)
        said = "class shares estimated from the labels: class 0 47 %, class 1 14 %, class 2 14 %, class 3 25 %"
        assert capsys.readouterr().err.splitlines().count(said) == number


def rare_and_frequent() -> tuple[Images, torch.Tensor, torch.Tensor]:
    """Eights and threes of the digits, 1 : 9, and others of both to test with, pixels [n, 1, 8, 8] and labels [n]."""
    everything = small.digits().train
    order = torch.randperm(len(everything), generator=torch.Generator().manual_seed(0))
    rows = [order[everything.labels[order] == digit] for digit in (8, 3)]
    chosen, others = torch.cat([rows[0][:13], rows[1][:117]]), torch.cat([rows[0][13:], rows[1][117:]])
    images = Images.of(everything.pixels[chosen], (everything.labels[chosen] == 3).long(), ("eight", "three"))
    return images, everything.gather(others), (everything.labels[others] == 3).long()


def chosen(images: Images, seed: int) -> Split:
    """Three eights and 27 threes with labels."""
    random, nothing = numpy_generator(seed, "chosen"), np.zeros(0, dtype=np.int64)
    labelled = np.concatenate([random.permutation(13)[:3], 13 + random.permutation(117)[:27]])
    return Split(np.sort(labelled), np.arange(130), nothing, nothing, 30, seed, "inclusive", "X", images.sha256)


@pytest.mark.slow
def test_one_to_nine_is_better_than_a_support_vector_machine_and_than_shares_taken_for_even(monkeypatch):
    """Even ones teach a good part of the frequent class wrongly. Means of three choices of the labels."""
    images, test, truth = rare_and_frequent()
    splits = [chosen(images, seed) for seed in range(1000, 1003)]
    recipe = override(read("digits").recipe, ["class_balance.weight=2", "gan.weight=0", "train.epochs=60"])

    def errors(answers: torch.Tensor) -> torch.Tensor:
        """Of answers [r, n] the error where classes are 1 : 9, and the mean of both classes' errors."""
        rare, frequent = ((answers[:, truth == label] != label).double().mean() for label in (0, 1))
        return torch.stack([0.1 * rare + 0.9 * frequent, (rare + frequent) / 2])

    def trained() -> torch.Tensor:
        with pinned(small.FP32):
            group = Trainer(recipe, images, splits, [split.split_seed for split in splits], small.FP32)
            run(group, group.steps)
            return errors(group.averaged_logits(test.expand(len(splits), *test.shape)).argmax(2))

    ours = trained()
    monkeypatch.setattr(draws, "class_shares", lambda images, split: np.array([0.5, 0.5]))
    even = trained()
    pixels = images.gather(torch.arange(len(images))).flatten(1)
    machines = [SVC(C=10).fit(pixels[split.labelled], images.labels[split.labelled]) for split in splits]
    alone = errors(torch.stack([torch.from_numpy(machine.predict(test.flatten(1))) for machine in machines]))
    assert ours[0] < even[0] / 2 and (ours < alone).all(), f"{ours}, even {even}, alone {alone}"
