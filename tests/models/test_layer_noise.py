"""Dropout by hand and by its share, where noise falls, and what is drawn for it. (Its steps: tests/technique_cases.py.)
"""

import pytest
import small
import torch

from ssgan.config import override
from ssgan.models import build_discriminator, build_generator
from ssgan.models.context import Context
from ssgan.models.layer_noise import LayerNoise, Place, dropped
from ssgan.random_streams import torch_generator
from ssgan.training.noise import normal_sites
from ssgan.training.trained_model import TrainedModel

SHAPE = (2, 6, 8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("share", [0.05, 0.2, 0.5, 0.9])
def test_that_share_is_dropped_and_the_mean_stays(share, dtype):
    draws, = normal_sites([(200_000,)], (0,), ("test",), dtype)
    y = dropped(torch.ones(1, 200_000, dtype=dtype), share, draws)
    assert (y == 0).double().mean().item() == pytest.approx(share, abs=0.005)
    assert y.double().mean().item() == pytest.approx(1, abs=0.03)
    assert set(y.flatten().tolist()) == {0.0, (torch.ones((), dtype=dtype) / (1 - share)).item()}


def test_by_hand():
    x, draws = torch.tensor([[1.0, 2, 3, 4]]), torch.tensor([[-1.0, 0.1, -0.1, 2]])
    assert dropped(x, 0.5, draws).tolist() == [[0, 4, 0, 8]]
    assert dropped(x, 0.5, None) is x and torch.equal(dropped(x, 0, draws), x)


def test_draws_are_those_of_gaussian_places_and_then_of_those_with_dropout():
    noise = LayerNoise([Place((3,), 0.1), Place((2, 2), dropout=0.5), Place((4,), 0.0, 0.25), Place((5,))])
    assert noise.shapes(7) == [(7, 3), (7, 4), (7, 2, 2), (7, 4)]
    x, context = torch.ones(7, 4), Context(tuple(torch.full(shape, -9.0) for shape in noise.shapes(7)))
    assert noise(x, 2, context).abs().max() == 0 and noise(torch.ones(7, 5), 3, context).min() == 1
    assert torch.equal(noise(x, 2, Context()), x)


@pytest.mark.parametrize("base", [small.MLP, small.CONV], ids=["mlp", "conv"])
def test_without_dropout_nothing_more_is_drawn(base):
    random = torch_generator(0)
    with_it = override(base, ["model.dropout=0.5", "model.input_dropout=0.2", "model.generator_dropout=0.5"])
    for recipe, more in ((base, False), (with_it, True)):
        discriminator = build_discriminator(recipe.model, SHAPE, 4, random)
        gaussian = 2 if recipe.model.family == "conv" else 1 + len(recipe.model.widths)
        assert (len(discriminator.noise_shapes(3)) > gaussian) is more
        assert bool(build_generator(recipe.model, SHAPE, random).noise_shapes(3)) is more


@pytest.mark.parametrize("base", [small.MLP, small.CONV], ids=["mlp", "conv"])
def test_images_are_sampled_without_dropout_unless_it_is_asked_for(base):
    for asked in (False, True):
        trainer = small.trainer(override(base, [
            "model.generator_dropout=0.5", f"model.generator_dropout_sampling={str(asked).lower()}"]), small.FP32)
        trainer.step()
        model = TrainedModel.of_trainer(trainer)
        images, generator = model.sampler().images(0, 20), model.generator()
        assert torch.equal(images[7:18], model.sampler().images(7, 11))
        latent = torch.rand(10, 5, generator=torch_generator(0, "latent", "samples", 1))
        random = torch_generator(0, "generator noise", "samples", 1)
        sites = tuple(torch.randn(shape, generator=random) for shape in generator.noise_shapes(10)) if asked else ()
        torch.testing.assert_close(images[10:], generator(latent, Context(sites)).detach())


@pytest.mark.parametrize(("settings", "mean", "std"), [
    ([], 0.5, 12**-0.5), (["model.latent_kind=normal"], 0, 1), (["model.latent_noise=0.5"], 0.5, (1 / 12 + 0.25)**0.5),
    (["model.latent_kind=normal", "model.latent_noise=2"], 0, 5**0.5)])
def test_latent_vectors_are_of_their_kind_in_training_and_when_sampled(settings, mean, std):
    recipe = override(small.MLP, [*settings, "model.latent=2000"])
    trainer = small.trainer(recipe, small.FP32)
    trainer.feed.open(0, trainer.gan.trained)
    drawn = trainer._draw()
    sampler, seen = TrainedModel.of_trainer(trainer).sampler(), []
    sampler.generator.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    sampler.images(0, 10)
    latents = [drawn[player][0]["latent"][0] for player in small.PLAYERS]
    for latent in (*latents, seen[0]):
        assert latent.shape == (10, 2000)
        assert latent.mean().item() == pytest.approx(mean, abs=5 * std / 20_000**0.5)
        assert latent.std().item() == pytest.approx(std, rel=0.05)
    assert not torch.equal(*latents)


@pytest.mark.parametrize("base", [small.MLP, small.CONV], ids=["mlp", "conv"])
def test_images_are_in_0_to_1_outside_whatever_their_range_within(base):
    recipe = override(base, ["model.image_range=signed"])
    generator = build_generator(recipe.model, SHAPE, torch_generator(0))
    images = generator(5 * torch.randn(10, 5, generator=torch_generator(1)))
    assert images.min() >= 0 and images.max() <= 1
    weights = dict(generator.state_dict())
    unit = build_generator(base.model, SHAPE, torch_generator(0))
    unit.load_state_dict(weights)
    logit = torch.logit(unit(5 * torch.randn(10, 5, generator=torch_generator(1))).double())
    torch.testing.assert_close(images.double(), (torch.tanh(logit) + 1) / 2, rtol=0, atol=1e-5)
