"""Generated images: the same ones in whatever portions they are asked for."""

import pytest
import torch

import plain
import small
from ssgan.config import override
from ssgan.models import build_generator
from ssgan.sampling import sample_images
from ssgan.seeds import torch_generator

RECIPES = {"mlp": small.MLP, "conv": small.CONV}
SHAPE = (2, 6, 8)


def make(recipe) -> torch.nn.Module:
    return build_generator(recipe.model, SHAPE, torch_generator(0))


@pytest.mark.parametrize("family", RECIPES)
def test_an_image_is_the_same_in_whatever_company(family):
    recipe, generator = RECIPES[family], make(RECIPES[family])
    whole = sample_images(generator, recipe, 3, 0, 47)
    assert whole.shape == (47, *SHAPE) and whole.dtype == torch.float32 and not whole.requires_grad
    assert whole.min() >= 0 and whole.max() <= 1 and len(whole.flatten(1).unique(dim=0)) == 47
    for start, count in ((0, 1), (9, 2), (10, 10), (13, 30), (46, 1), (0, 47)):
        assert torch.equal(sample_images(generator, recipe, 3, start, count), whole[start: start + count])


def test_a_batch_is_of_the_training_size_for_its_statistics():
    recipe = override(small.MLP, ["train.batch=4"])
    generator = make(recipe)
    latent = torch.rand(4, 5, generator=torch_generator(3, "latent", "samples", 2)).double()
    weights = {name: value.double() for name, value in generator.state_dict().items()}
    expected = plain.generator(recipe, weights, latent, SHAPE)
    torch.testing.assert_close(sample_images(generator, recipe, 3, 8, 4).double(), expected, rtol=0, atol=1e-5)


def test_seeds_give_other_images():
    generator = make(small.MLP)
    assert not torch.equal(sample_images(generator, small.MLP, 3, 0, 5), sample_images(generator, small.MLP, 4, 0, 5))


def test_a_trainer_samples_a_lanes_averaged_or_last_generator():
    trainer = small.trainer(small.MLP, small.FP32, (3, 4))
    for _ in range(3):
        trainer.step()
    for average in (True, False):
        generator = make(small.MLP)
        generator.load_state_dict(trainer.generator_state(1, average=average))
        assert torch.equal(trainer.sample(1, 2, 9, average=average), sample_images(generator, small.MLP, 4, 2, 9))
    assert not torch.equal(trainer.sample(1, 0, 9, average=True), trainer.sample(1, 0, 9, average=False))
