"""L1 and L2: their gradients against those of the sums, lane by lane. (Their steps: tests/training/test_passes.py.)"""

import pytest
import small
import torch

from ssgan.config import override
from ssgan.techniques.l1 import L1Penalty
from ssgan.techniques.l2 import L2Penalty

SUMS = {L1Penalty: lambda w: w.abs().sum(), L2Penalty: lambda w: (w * w).sum()}


@pytest.mark.parametrize("kind", SUMS)
def test_the_added_gradient_is_that_of_the_sum_by_finite_differences(kind):
    weights = torch.randn(2, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    given = torch.randn(2, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found, state = kind(weight=0.3).gradient("discriminator", given, weights, {}, {})
    assert state == {}
    step = 1e-6
    for lane in range(2):
        for i in range(5):
            change = torch.zeros(5, dtype=torch.float64)
            change[i] = step
            up, down = (0.3 * SUMS[kind](weights[lane] + sign * change) for sign in (1, -1))
            assert (found - given)[lane, i].item() == pytest.approx(((up - down) / (2 * step)).item(), abs=1e-8)


@pytest.mark.parametrize("kind", SUMS)
@pytest.mark.parametrize("chosen", ["discriminator", "generator"])
def test_only_the_chosen_players_weights_are_kept_small(kind, chosen):
    technique, ones = kind(weight=1, of=chosen), torch.ones(1, 3)
    for player in small.PLAYERS:
        found, _ = technique.gradient(player, ones, ones, {}, {})
        assert torch.equal(found, ones) is (player != chosen)


@pytest.mark.parametrize("kind", SUMS)
def test_at_zero_there_is_no_pull(kind):
    assert kind(weight=1).gradient("x", torch.ones(1, 3), torch.zeros(1, 3), {}, {})[0].tolist() == [[1, 1, 1]]


@pytest.mark.parametrize("name", ["l1", "l2"])
def test_weights_come_out_smaller_in_the_supervised_baseline_too(name):
    sizes = []
    for weight in (0, 1):
        trainer = small.trainer(override(small.MLP, [f"{name}.weight={weight}", "gan.weight=0", "train.epochs=10"]))
        for _ in range(20):
            trainer.step()
        sizes.append(small.weights(trainer).abs().sum().item())
    assert sizes[1] < sizes[0]
