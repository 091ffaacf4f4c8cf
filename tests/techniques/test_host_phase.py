"""What a technique does on the host before some steps reaches the updates, whatever program they are."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import small
import torch
from recorded import RecordedGraphs
from torch import Tensor

from ssgan.config import Recipe
from ssgan.settings import number
from ssgan.techniques.technique import Moment, Pool, Size, Technique, Term, View
from ssgan.training import checkpoint as checkpoints
from ssgan.training import trainer as trainer_module
from ssgan.training.lanes import tree_leaves
from ssgan.training.trainer import Trainer

SHOWN = 4


@dataclass(frozen=True)
class Levels(Technique):
    """Features are pulled to some of the weights, sorted on the host as numbers of Python; and counts its calls."""

    sees = frozenset({"unlabelled"})
    parts = {"discriminator": ("unlabelled",)}
    measures = ("level_loss",)

    weight: float = number(0.0, 0, 10, "weight of the loss; 0 is off")

    def state(self, size: Size) -> dict[str, Tensor]:
        """The levels, the last step before which they were made, and how often they were."""
        return {"levels": torch.zeros(SHOWN), "step": torch.zeros(()), "calls": torch.zeros(())}

    def phases(self, steps: int) -> range:
        """Every third."""
        return range(0, steps, 3)

    def phase(self, moment: Moment, state: Mapping[str, Any], pool: Pool) -> dict[str, Tensor]:
        """The largest weights."""
        levels = sorted(state["players"]["discriminator"]["weights"].tolist())[-SHOWN:]
        kept = state["techniques"]["levels"]
        return {"levels": torch.tensor(levels), "step": torch.tensor(float(moment.step)), "calls": kept["calls"] + 1}

    def term(self, player: str, view: View) -> Term:
        """The distance of the mean features from the levels."""
        loss = (view.out["unlabelled"].features.mean(0)[:SHOWN] - view.state["levels"]).square().mean()
        return Term(loss, {"level_loss": loss})


@pytest.fixture
def recipe(monkeypatch) -> Recipe:
    """One with the technique on."""
    return small.recipe_with(monkeypatch, "levels", Levels(weight=0.5))


def run(trainer: Trainer, steps: int) -> Trainer:
    for _ in range(steps):
        trainer.step()
    return trainer


def same(one: Trainer, other: Trainer) -> bool:
    return all(map(torch.equal, tree_leaves(one.state), tree_leaves(other.state)))


def kept(trainer: Trainer) -> dict[str, Tensor]:
    return trainer.state["techniques"]["levels"]


def test_it_is_asked_before_its_steps_lane_by_lane_and_losses_see_what_it_gives(recipe):
    trainer = small.trainer(recipe, seeds=(3, 4))
    places = {key: value.data_ptr() for key, value in kept(trainer).items()}
    for step in range(5):
        largest = small.weights(trainer).sort(1).values[:, -SHOWN:].clone()
        trainer.step()
        assert kept(trainer)["step"].tolist() == [step // 3 * 3] * 2
        assert kept(trainer)["calls"].tolist() == [step // 3 + 1] * 2
        if step % 3 == 0:
            torch.testing.assert_close(kept(trainer)["levels"], largest.float().double(), rtol=0, atol=0)
    assert {key: value.data_ptr() for key, value in kept(trainer).items()} == places
    assert (small.weights(trainer) != small.weights(run(small.trainer(quiet(recipe), seeds=(3, 4)), 5))).any()


def quiet(recipe: Recipe) -> Recipe:
    return dataclasses.replace(recipe, levels=Levels(weight=0))


def test_a_lane_alone_is_the_same(recipe):
    together, alone = run(small.trainer(recipe, seeds=(3, 4)), 5), run(small.trainer(recipe, seeds=(4,)), 5)
    torch.testing.assert_close(kept(together)["levels"][1], kept(alone)["levels"][0], rtol=0, atol=1e-9)
    torch.testing.assert_close(small.weights(together)[1], small.weights(alone)[0], rtol=0, atol=1e-9)


@pytest.mark.slow
def test_a_compiled_program_sees_what_it_gives(recipe):
    small.need_compiler()
    eager, compiled = (run(small.trainer(recipe, dataclasses.replace(small.FP64, compiled=compiled)), 5)
                       for compiled in (False, True))
    assert kept(compiled)["calls"].item() == 2
    for mine, its in zip(tree_leaves(eager.state), tree_leaves(compiled.state)):
        torch.testing.assert_close(its, mine, rtol=0, atol=1e-9)


def test_a_replayed_program_sees_what_it_gives(recipe, monkeypatch):
    monkeypatch.setattr(trainer_module, "replayed", lambda device: True)
    monkeypatch.setattr(trainer_module, "CudaGraphs", RecordedGraphs)
    replayed, plain = (small.trainer(recipe) for _ in range(2))
    plain._program = plain._plain
    assert same(run(replayed, 8), run(plain, 8))
    assert replayed._program(replayed.gan.program(0)).machine.captured == 1 and kept(replayed)["calls"].item() == 3


@pytest.mark.parametrize("stop", [2, 3, 4])
def test_it_resumes_bit_for_bit(recipe, tmp_path, stop):
    whole, stopped, resumed = (small.trainer(recipe, small.FP32, (3, 4)) for _ in range(3))
    checkpoints.save(tmp_path / "c.pt", run(stopped, stop).checkpoint())
    resumed.restore(checkpoints.load(tmp_path / "c.pt"))
    assert same(run(resumed, 7 - stop), run(whole, 7))
    assert kept(resumed)["calls"].tolist() == [3, 3]


def test_one_lane_that_is_not_finite_leaves_the_others_bits(recipe):
    sound, struck = (small.trainer(recipe, small.FP32, (3, 4)) for _ in range(2))
    small.spoil(struck, 1)
    run(sound, 4), run(struck, 4)
    pairs = [(a, b) for a, b in zip(tree_leaves(sound.state), tree_leaves(struck.state)) if a.dim()]
    assert all(torch.equal(a[0], b[0]) for a, b in pairs) and kept(struck)["levels"][1].isnan().all()


def test_what_it_gives_keeps_its_shape(recipe, monkeypatch):
    monkeypatch.setattr(Levels, "phase", lambda self, moment, state, pool: {"levels": torch.zeros(1)})
    with pytest.raises(AssertionError, match="levels.levels keeps its shape"):
        small.trainer(recipe).step()
