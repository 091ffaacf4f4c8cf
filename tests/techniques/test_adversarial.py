"""The adversarial loss teaches the generator with and without feature matching, in lanes, and is refused where it
cannot work. (Its steps: tests/training/test_passes.py; its forms: test_judgement.py.)
"""

import pytest
import small
import torch

from ssgan.config import override
from ssgan.errors import Mistake
from ssgan.techniques import active
from ssgan.techniques.judgement import PASSING, passing_loss
from ssgan.training.lanes import tree_leaves


@pytest.mark.parametrize("matching", [0, 1])
@pytest.mark.parametrize("loss", PASSING)
def test_it_is_the_same_in_lanes_and_alone_with_and_without_feature_matching(loss, matching):
    recipe = override(small.MLP, ["adversarial.weight=1", f"adversarial.loss={loss}",
                                  f"feature_matching.weight={matching}"])
    trainers = [small.trainer(recipe, seeds=seeds) for seeds in ((3, 4), (3,), (4,))]
    for trainer in trainers:
        for _ in range(3):
            trainer.step()
        assert trainer.failures() == []
    together, *alone = trainers
    for lane, solo in enumerate(alone):
        for mine, its in zip(tree_leaves(together.state), tree_leaves(solo.state)):
            if mine.dim():
                torch.testing.assert_close(mine[lane], its[0], rtol=0, atol=1e-9)


def test_a_target_moves_the_least_loss_to_it():
    z = torch.linspace(-4, 4, 801, dtype=torch.float64)
    losses = torch.stack([passing_loss("non-saturating", each[None], each[None], 0.375) for each in z])
    assert torch.sigmoid(z[losses.argmin()]).item() == pytest.approx(0.375, abs=3e-3)
    with pytest.raises(Mistake, match="adversarial.target = 0.375 is of the non-saturating loss"):
        small.trainer(override(small.MLP, ["adversarial.weight=1", "adversarial.target=0.375",
                                           "adversarial.loss=hinge"]))


def test_a_generator_that_it_alone_teaches_comes_to_pass_for_real():
    """Against a discriminator that stands still."""
    recipe = override(small.MLP, ["adversarial.weight=1", "feature_matching.weight=0", "train.learning_rate=1e-9",
                                  "train.generator_learning_rate=0.01", "train.epochs=30"])
    trainer = small.trainer(recipe)
    place, losses = trainer.names.index("adversarial_loss"), []
    for _ in range(60):
        trainer.sums.zero_()
        trainer.step()
        losses.append(trainer.sums[0, place].item())
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


def test_a_wasserstein_loss_without_a_gradient_penalty_is_a_mistake():
    recipe = override(small.MLP, ["gan.loss=wasserstein"])
    with pytest.raises(Mistake, match=r"gan.loss = wasserstein has no minimum .*(\n.*)*set gradient_penalty.weight"):
        small.trainer(recipe)
    small.trainer(override(recipe, ["gradient_penalty.weight=10"]))
    small.trainer(override(recipe, ["gan.weight=0"]))


def test_it_is_off_without_a_generator():
    assert "adversarial" not in active(override(small.MLP, ["adversarial.weight=1", "gan.weight=0"]))
