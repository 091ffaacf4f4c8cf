"""Which targets the images are told, of smoothing and flipped labels, and where neither can work. (Their steps:
tests/training/test_passes.py.)
"""

import pytest
import small
import torch

from ssgan.config import override
from ssgan.errors import Mistake
from ssgan.techniques import active
from ssgan.techniques.label_noise import LabelNoise
from ssgan.techniques.smoothing import LabelSmoothing
from ssgan.techniques.technique import Size, View

SIZE = Size((1, 2, 2), 3, 4, 6, 5, 2)


def view(draws=None, targets=None) -> View:
    images = {"unlabelled": torch.zeros(6, 1, 2, 2), "generated": torch.zeros(5, 1, 2, 2)}
    return View(images, {}, {}, {}, {}, draws or {}, {}, {}, torch.full((3,), 1 / 3), targets or {})


def test_by_default_real_images_are_told_0_9_and_generated_ones_0():
    technique = LabelSmoothing(weight=1)
    assert technique.draws("discriminator", SIZE) == {}
    found = technique.targets(view())
    torch.testing.assert_close(found, {"unlabelled": torch.full((6,), 0.9), "generated": torch.zeros(5)})


@pytest.mark.parametrize(("weight", "expected"), [(0.5, (0.9, 0.05)), (1.0, (0.8, 0.1))])
def test_the_weight_is_a_share_of_the_way_there(weight, expected):
    found = LabelSmoothing(weight=weight, alpha=0.8, beta=0.1).targets(view())
    torch.testing.assert_close(found["unlabelled"], torch.full((6,), expected[0]))
    torch.testing.assert_close(found["generated"], torch.full((5,), expected[1]))


def test_a_range_reaches_from_the_targets_inwards():
    technique = LabelSmoothing(weight=1, alpha=0.95, beta=0.05, width=0.2)
    shapes = {name: draw.shape for name, draw in technique.draws("discriminator", SIZE).items()}
    assert shapes == {"unlabelled": (6,), "generated": (5,)}
    draws = {"unlabelled": torch.linspace(0, 1, 6), "generated": torch.linspace(0, 1, 5)}
    found = technique.targets(view(draws))
    torch.testing.assert_close(found["unlabelled"], torch.linspace(0.95, 0.75, 6))
    torch.testing.assert_close(found["generated"], torch.linspace(0.05, 0.25, 5))


def test_flipped_labels_are_those_of_the_draws_below_the_share():
    technique = LabelNoise(share=0.3)
    draws = {"unlabelled": torch.tensor([0.0, 0.29, 0.3, 0.31, 0.9, 0.1]),
             "generated": torch.tensor([0.5, 0.2, 0.6, 0.3, 0.0])}
    found = technique.targets(view(draws))
    assert found["unlabelled"].tolist() == [0, 0, 1, 1, 1, 0] and found["generated"].tolist() == [0, 1, 0, 0, 1]
    smooth = technique.targets(view(draws, {"unlabelled": torch.full((6,), 0.75)}))
    assert smooth["unlabelled"].tolist() == [0.25, 0.25, 0.75, 0.75, 0.75, 0.25]


@pytest.mark.parametrize("side", ["unlabelled", "generated"])
def test_one_side_may_be_left_as_it_is(side):
    technique = LabelNoise(share=0.3, sides=side)
    draws = technique.draws("discriminator", SIZE)
    assert set(draws) == {side}
    assert set(technique.targets(view({side: torch.zeros(draws[side].shape)}))) == {side}


@pytest.mark.parametrize("setting", ["smoothing.weight=1", "label_noise.share=0.1"])
def test_a_wasserstein_loss_has_no_targets_that_could_be_changed(setting):
    key = setting.partition("=")[0]
    with pytest.raises(Mistake, match=rf"{key} and gan.loss = wasserstein cannot be combined.*(\n.*)*--set {key}=0"):
        small.trainer(override(small.MLP, ["gan.loss=wasserstein", "gradient_penalty.weight=1", setting]))


@pytest.mark.parametrize("setting", ["smoothing.weight=1", "label_noise.share=0.1"])
def test_they_are_off_without_a_generator(setting):
    name = setting.partition(".")[0]
    assert name in active(override(small.MLP, [setting]))
    assert name not in active(override(small.MLP, [setting, "gan.weight=0"]))


def test_smoothing_holds_the_classifier_from_being_sure():
    """After some steps D of unlabelled images is no further than alpha above what it is without."""
    found = {}
    for weight in (0, 1):
        trainer = small.trainer(override(small.MLP, [f"smoothing.weight={weight}", "smoothing.alpha=0.5",
                                                     "train.learning_rate=0.01", "train.epochs=30"]))
        for _ in range(60):
            trainer.step()
        index = torch.arange(20)[None]
        z = trainer.averaged_logits(trainer.images.gather(index, dtype=torch.float64)).logsumexp(2)
        found[weight] = z.mean().item()
    assert found[1] < found[0]
