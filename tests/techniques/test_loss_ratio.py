"""Updates by the ratio of losses: who rests and what stays, lane by lane. (Its steps: tests/technique_cases.py.)"""

import math

import pytest
import small
import torch

from ssgan.config import override
from ssgan.errors import Mistake
from ssgan.techniques.loss_ratio import LossRatio
from ssgan.techniques.technique import Output, View
from ssgan.training.lanes import tree_leaves

RECIPE = override(small.MLP, ["loss_ratio.share=0.9", "train.learning_rate=0.02", "train.averaging_rate=0.3"])


def losses(unlabelled: float, generated: float, **settings) -> tuple[dict, dict]:
    """By player its loss, and whether it is updated, where the images' judgements are these."""
    out = {part: Output(torch.full((4, 1), z, dtype=torch.float64), torch.zeros(4, 1))
           for part, z in (("unlabelled", unlabelled), ("generated", generated))}
    term = LossRatio(0.9, **settings).term("discriminator", View({}, {}, out, {}, {}, {}, {}, {}, torch.ones(1)))
    return ({name: value.item() for name, value in term.state.items()},
            {name.removesuffix("_updated"): value.item() for name, value in term.measured.items()})


def test_where_neither_is_ahead_both_losses_are_log_2_and_both_are_updated():
    found, updated = losses(0.0, 0.0)
    assert found == pytest.approx({"discriminator": math.log(2), "generator": math.log(2)})
    assert updated == {"discriminator": 1, "generator": 1}


def test_who_is_far_ahead_rests_and_never_both():
    assert losses(3.0, -3.0)[1] == {"discriminator": 0, "generator": 1}
    assert losses(-1.0, 3.0)[1] == {"discriminator": 1, "generator": 0}
    assert losses(3.0, -3.0, of="generator")[1] == {"discriminator": 1, "generator": 1}
    assert losses(-1.0, 3.0, of="discriminator")[1] == {"discriminator": 1, "generator": 1}
    for one in range(-40, 41, 8):
        for other in range(-40, 41, 8):
            assert 1 in losses(one / 10, other / 10)[1].values()


def moved(trainer, player: str, lane: int) -> list[torch.Tensor]:
    mine = trainer.state["players"][player]
    return [value[lane].clone() for value in (mine["weights"], mine["average"], mine["copy"], mine["adam"]["exp_avg"],
                                              mine["adam"]["exp_avg_sq"])]


def test_a_lane_that_rests_keeps_all_and_the_others_go_on():
    trainer, seen = small.trainer(RECIPE, seeds=(3, 4, 5)), set()
    for _ in range(10):
        trainer.sums.zero_()
        before = {(player, lane): moved(trainer, player, lane) for player in small.PLAYERS for lane in range(3)}
        trainer.step()
        for (player, lane), was in before.items():
            updated = trainer.sums[lane, trainer.names.index(f"{player}_updated")].item()
            same = [torch.equal(a, b) for a, b in zip(moved(trainer, player, lane), was)]
            assert all(same) if updated == 0 else not any(same)
            seen.add((player, updated))
    assert {("discriminator", 0), ("discriminator", 1), ("generator", 1)} <= seen
    assert trainer.failures() == []


def test_it_is_the_same_in_lanes_and_alone():
    trainers = [small.trainer(RECIPE, seeds=seeds) for seeds in ((3, 4), (3,), (4,))]
    for trainer in trainers:
        for _ in range(4):
            trainer.step()
    together, *alone = trainers
    for lane, solo in enumerate(alone):
        for mine, its in zip(tree_leaves(together.state), tree_leaves(solo.state)):
            if mine.dim():
                torch.testing.assert_close(mine[lane], its[0], rtol=0, atol=1e-9)


@pytest.mark.parametrize("loss", ["relativistic", "hinge", "least-squares"])
def test_a_loss_whose_judgement_is_no_probability_is_refused(loss):
    with pytest.raises(Mistake, match=f"loss_ratio.share and gan.loss = {loss} cannot be combined"):
        small.trainer(override(RECIPE, [f"gan.loss={loss}"]))
