"""The generator against the averaged discriminator. (Its steps: tests/technique_cases.py.)"""

import pytest
import small
import torch

from ssgan.config import override
from ssgan.errors import Mistake

RECIPE = override(small.MLP, ["train.generator_against=average", "adversarial.weight=0.5"])


def generators(recipe) -> torch.Tensor:
    """Their weights after three steps."""
    trainer = small.trainer(recipe, seeds=(0, 1))
    for _ in range(3):
        trainer.step()
    return small.weights(trainer, "generator")


def test_where_the_average_is_the_last_weights_it_makes_no_difference():
    newest = override(RECIPE, ["train.averaging_rate=1"])
    torch.testing.assert_close(generators(newest), generators(override(newest, ["train.generator_against=last"])),
                               rtol=0, atol=1e-12)
    slow, last = generators(RECIPE), generators(override(RECIPE, ["train.generator_against=last"]))
    assert (slow - last).abs().amax(1).min() > 1e-6


def test_with_averages_from_zero_it_is_refused():
    with pytest.raises(Mistake, match="averages from zero are no network at the start"):
        small.trainer(override(RECIPE, ["train.averaging=zero-start"]))
    small.trainer(override(RECIPE, ["train.averaging=zero-start", "gan.weight=0"]))
