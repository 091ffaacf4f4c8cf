"""The paper's pairs for colour in training: lanes, resuming, the learning rate's fall, compiled, in fewer digits."""

import dataclasses

import pytest
import small
import torch
from small_colour import CONV9, PAPERS

from ssgan import recipes
from ssgan.config import override
from ssgan.training.lanes import tree_leaves

DATA = small.dataset(60, (3, 16, 16), 4)
BOTH = pytest.mark.parametrize("family", PAPERS)


def trained(recipe, steps: int = 3, resolved=small.FP64, seeds=(0,), data=DATA):
    trainer = small.trainer(recipe, resolved, seeds=seeds, data=data)
    for _ in range(steps):
        trainer.step()
    assert trainer.failures() == []
    return trainer


@BOTH
def test_lanes_train_as_each_alone_and_say_the_same(family):
    together = trained(PAPERS[family], seeds=(3, 4))
    x = DATA.test.gather(torch.arange(6), torch.float64)
    said = together.averaged_logits(x.expand(2, *x.shape))
    for lane, seed in enumerate((3, 4)):
        alone = trained(PAPERS[family], seeds=(seed,))
        for mine, its in zip(tree_leaves(together.state), tree_leaves(alone.state)):
            if mine.dim():
                torch.testing.assert_close(mine[lane], its[0], rtol=0, atol=1e-9)
        torch.testing.assert_close(said[lane], alone.averaged_logits(x[None])[0], rtol=0, atol=1e-6)


@BOTH
def test_a_run_that_goes_on_ends_with_the_same_bits(family):
    whole, begun = trained(PAPERS[family], 4, small.FP32), trained(PAPERS[family], 2, small.FP32)
    saved = begun.checkpoint()
    resumed = small.trainer(PAPERS[family], small.FP32, data=DATA)
    resumed.restore(saved)
    for _ in range(2):
        resumed.step()
    for mine, its in zip(tree_leaves(whole.state), tree_leaves(resumed.state), strict=True):
        assert torch.equal(mine, its)


@BOTH
def test_products_in_bf16(family):
    trainer = trained(PAPERS[family], 2, small.BF16)
    assert trainer.sums.isfinite().all()


@pytest.mark.slow
@BOTH
def test_a_compiled_step_is_the_eager_one(family):
    small.need_compiler()
    eager, compiled = (trained(PAPERS[family], 2, dataclasses.replace(small.FP32, compiled=each))
                       for each in (False, True))
    for player in small.PLAYERS:
        torch.testing.assert_close(small.weights(compiled, player), small.weights(eager, player), rtol=0, atol=2e-3)


@pytest.mark.parametrize(("name", "epochs", "first"), [("cifar10", 1200, 800), ("svhn", 900, 600)])
def test_the_learning_rate_falls_from_the_authors_epoch_on(name, epochs, first):
    recipe = recipes.read(f"salimans2016-{name}").recipe
    tiny = override(CONV9, [f"train.{key}={getattr(recipe.train, key)}" for key in (
        "epochs", "learning_rate", "schedule", "decay_from")])
    trainer = small.trainer(tiny, data=DATA)
    per_epoch = trainer.steps_per_epoch
    rates = [trainer.gan.numbers(epoch * per_epoch)["players"]["generator"][0] for epoch in range(0, epochs, 50)]
    wanted = [3e-4 * min(3 - epoch / (first / 2), 1) for epoch in range(0, epochs, 50)]
    assert [each["rate"] for each in rates] == pytest.approx(wanted, rel=1e-2)
