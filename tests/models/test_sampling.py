"""Generated images: the same ones in whatever portions they are asked for."""

import plain_networks
import pytest
import small
import torch

from ssgan.config import override
from ssgan.models import build_generator
from ssgan.models.context import Context
from ssgan.models.sampling import Sampler
from ssgan.random_streams import torch_generator
from ssgan.training.trained_model import TrainedModel

RECIPES = {"mlp": small.MLP, "conv": small.CONV}
SHAPE = (2, 6, 8)


def make(recipe) -> torch.nn.Module:
    return build_generator(recipe.model, SHAPE, torch_generator(0))


def images(generator, recipe, seed: int, start: int, count: int) -> torch.Tensor:
    return Sampler("generator", generator, recipe.model.latent, recipe.train.generated_images, seed).images(start, count)


@pytest.mark.parametrize("family", RECIPES)
def test_an_image_is_the_same_in_whatever_company(family):
    recipe, generator = RECIPES[family], make(RECIPES[family])
    whole = images(generator, recipe, 3, 0, 47)
    assert whole.shape == (47, *SHAPE) and whole.dtype == torch.float32 and not whole.requires_grad
    assert whole.min() >= 0 and whole.max() <= 1 and len(whole.flatten(1).unique(dim=0)) == 47
    for start, count in ((0, 1), (9, 2), (10, 10), (13, 30), (46, 1), (0, 47)):
        assert torch.equal(images(generator, recipe, 3, start, count), whole[start: start + count])


def test_a_batch_is_of_the_training_size_for_its_statistics():
    recipe = override(small.MLP, ["train.batch=4"])
    generator = make(recipe)
    latent = torch.rand(4, 5, generator=torch_generator(3, "latent", "samples", 2)).double()
    weights = {name: value.double() for name, value in generator.state_dict().items()}
    expected = plain_networks.generator(recipe, weights, latent, SHAPE)
    torch.testing.assert_close(images(generator, recipe, 3, 8, 4).double(), expected, rtol=0, atol=1e-5)


def test_seeds_give_other_images():
    generator = make(small.MLP)
    assert not torch.equal(images(generator, small.MLP, 3, 0, 5), images(generator, small.MLP, 4, 0, 5))


@pytest.mark.parametrize("family", RECIPES)
def test_a_generator_that_is_told_classes_is_sampled_with_drawn_ones(family):
    trainer = small.trainer(override(RECIPES[family], ["conditional.weight=1"]), small.FP32, (3, 4))
    for _ in range(2):
        trainer.step()
    model = TrainedModel.of_trainer(trainer, 1)
    images, generator = model.sampler().images(0, 23), model.generator()
    assert images.shape == (23, *SHAPE) and torch.equal(model.sampler().images(7, 11), images[7:18])
    latent = torch.rand(10, 5, generator=torch_generator(4, "latent", "samples", 1))
    labels = torch.randint(4, (10,), generator=torch_generator(4, "classes", "samples", 1))
    assert torch.equal(model.sampler().labels(8, 20)[2:12], labels)
    torch.testing.assert_close(images[10:20], generator(latent, Context(labels=labels)).detach())
    sevens = model.sampler(label=3)
    assert sevens.labels(0, 11).tolist() == [3] * 11 and torch.equal(
        sevens.images(10, 10), generator(latent, Context(labels=torch.full((10,), 3))).detach())
    others = generator(latent, Context(labels=(labels + 1) % 4)).detach()
    assert (others - images[10:20]).abs().amax((1, 2, 3)).min() > 0, "the class counts"


def test_a_model_samples_its_lanes_averaged_or_last_generator():
    trainer = small.trainer(small.MLP, small.FP32, (3, 4))
    for _ in range(3):
        trainer.step()
    model = TrainedModel.of_trainer(trainer, 1)
    for average in (True, False):
        generator = make(small.MLP)
        generator.load_state_dict(trainer.lane("generator", 1, average=average))
        assert torch.equal(model.sampler(average=average).images(2, 9), images(generator, small.MLP, 4, 2, 9))
        assert torch.equal(model.sampler(average=average, seed=7).images(2, 9), images(generator, small.MLP, 7, 2, 9))
    assert not torch.equal(model.sampler().images(0, 9), model.sampler(average=False).images(0, 9))
