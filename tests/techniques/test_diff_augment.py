"""DiffAugment: which images are changed, by their own draws, and what flows through. (Its steps:
tests/technique_cases.py.)
"""

import plain_images
import pytest
import small
import torch

from ssgan.config import override
from ssgan.techniques.diff_augment import DiffAugment
from ssgan.techniques.technique import Size, View

SIZE = Size((3, 6, 8), 3, 4, 6, 5, 2)
ALL = {"shift": 2.0, "brightness": 0.3, "contrast": 0.5, "saturation": 1.0, "cutout": 0.5}


def drawn(technique: DiffAugment) -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(1)
    return {part: torch.rand(draw.shape, generator=random)
            for part, draw in technique.draws("discriminator", SIZE).items()}


@pytest.mark.parametrize("settings", [ALL, {"shift": 2.0, "border": "reflected"}, {"contrast": 0.4}, {"cutout": 0.6}])
@pytest.mark.parametrize("real", [True, False])
def test_generated_images_and_real_ones_alike_are_changed(settings, real):
    technique = DiffAugment(**settings, real=real)
    images = {part: torch.rand(n, 3, 6, 8, dtype=torch.float64)
              for part, n in (("labelled", 4), ("unlabelled", 6), ("generated", 5))}
    draws = drawn(technique)
    found = technique.images("discriminator", View(images, {}, {}, {}, {}, draws, {}, {}, None))
    assert set(found) == ({"unlabelled", "generated"} if real else {"generated"})
    for part, x in found.items():
        torch.testing.assert_close(x, plain_images.changed(technique, images[part], draws[part].double()))
        assert not torch.equal(x, images[part])


def test_an_update_of_the_generator_may_look_at_generated_images_alone():
    technique = DiffAugment(**ALL)
    view = View({"generated": torch.rand(5, 3, 6, 8)}, {}, {}, {}, {}, drawn(technique), {}, {}, None)
    assert set(technique.images("generator", view)) == {"generated"}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradients_flow_to_the_image_in_its_own_type(dtype):
    technique = DiffAugment(**ALL)
    x = torch.rand(5, 3, 6, 8).to(dtype).requires_grad_()
    found = technique.changed(x, drawn(technique)["generated"])
    gradient, = torch.autograd.grad(found.sum(), x)
    assert found.dtype == gradient.dtype == dtype and gradient.abs().sum() > 0


def test_it_is_off_by_default_and_without_a_generator():
    assert not DiffAugment().is_on() and all(DiffAugment(**{name: value}).is_on() for name, value in ALL.items())
    assert DiffAugment(**ALL).off() == DiffAugment()
    trainer = small.trainer(override(small.CONV, ["gan.weight=0", "diff_augment.cutout=0.5"]))
    assert "diff_augment" not in trainer.gan.techniques
