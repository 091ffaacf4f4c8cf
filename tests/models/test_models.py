"""The families of networks against the plain ones: outputs, noise, initialisation, sizes."""

import dataclasses
from pathlib import Path

import plain_networks
import pytest
import small
import torch
from shaken import noise_for, shaken, some
from torch.utils.flop_counter import FlopCounterMode

from ssgan.config import Recipe, override
from ssgan.models import FAMILIES, build_discriminator, build_generator
from ssgan.models.context import Context
from ssgan.models.weight_norm import WeightNorm

RECIPES = {"mlp": small.MLP, "conv": small.CONV, "airbench": override(small.AIRBENCH, ["model.widths=[5]"])}
SHAPES = [(1, 8, 8), (3, 9, 13), (2, 5, 4)]
both = pytest.mark.parametrize("family", RECIPES)
all_shapes = pytest.mark.parametrize("shape", SHAPES)


def recipe_of(family: str, **model) -> Recipe:
    return dataclasses.replace(RECIPES[family], model=dataclasses.replace(RECIPES[family].model, **model))


def make_discriminator(recipe: Recipe, shape, seed: int = 0):
    """A discriminator of 4 classes whose biases and scales are not those of its birth."""
    random = torch.Generator().manual_seed(seed)
    module = build_discriminator(recipe.model, shape, 4, random).double()
    return shaken(module, random)


def make_generator(recipe: Recipe, shape, seed: int = 0):
    random = torch.Generator().manual_seed(seed)
    return shaken(build_generator(recipe.model, shape, random).double(), random)


def test_every_family_is_tested_here_or_in_a_file_of_its_name():
    of_their_own = {path.stem.removeprefix("test_") for path in Path(__file__).parent.glob("test_*.py")}
    assert set(FAMILIES) <= set(RECIPES) | of_their_own


@both
@all_shapes
@pytest.mark.parametrize("noisy", [True, False])
def test_a_discriminator_is_the_plain_one(family, shape, noisy):
    recipe = RECIPES[family]
    module, x = make_discriminator(recipe, shape), some(7, shape)
    noise = noise_for(module, 7) if noisy else None
    logits, features = module(x, Context(tuple(noise or ())))
    assert logits.shape == (7, 4) and features.shape == (7, recipe.model.widths[-1])
    expected = plain_networks.discriminator(recipe, dict(module.state_dict()), x, noise)
    torch.testing.assert_close((logits, features), expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("family", ["conv", "airbench"])
@pytest.mark.parametrize("pooling", ["mean", "max", "none"])
def test_a_map_becomes_features_as_the_recipe_says(family, pooling):
    recipe = recipe_of(family, pooling=pooling)
    module, x = make_discriminator(recipe, (2, 9, 13)), some(5, (2, 9, 13))
    torch.testing.assert_close(module(x), plain_networks.discriminator(recipe, dict(module.state_dict()), x, None),
                               rtol=0, atol=1e-11)


@both
@all_shapes
def test_a_generator_is_the_plain_one(family, shape):
    recipe = RECIPES[family]
    module, latent = make_generator(recipe, shape), some(7, (recipe.model.latent,))
    images = module(latent)
    assert images.shape == (7, *shape) and images.min() > 0 and images.max() < 1
    slow = plain_networks.generator(recipe, dict(module.state_dict()), latent, shape)
    torch.testing.assert_close(images, slow, rtol=0,
                               atol=1e-11)


@both
@all_shapes
def test_after_the_initialisation_every_pre_activation_has_mean_0_and_variance_1(family, shape):
    """On the initialisation images and with their noise, in every layer and unit (Salimans & Kingma 2016, section
    3).
    """
    module, x = make_discriminator(RECIPES[family], shape), some(50, shape)
    context = Context(tuple(noise_for(module, 50)))
    module.initialise(x, context)
    seen = []
    for layer in module.modules():
        if isinstance(layer, WeightNorm):
            layer.register_forward_hook(lambda layer, inputs, y: seen.append(y.transpose(0, 1).flatten(1)))
    module(x, context)
    assert len(seen) == len(module.hidden) + 1
    for units in seen:
        torch.testing.assert_close(units.mean(1), torch.zeros(len(units)).double(), rtol=0, atol=1e-10)
        torch.testing.assert_close(units.var(1, correction=0), torch.ones(len(units)).double(), rtol=0, atol=1e-10)


@both
@pytest.mark.parametrize("output", ("normalised", "plain"))
def test_the_first_logits_have_the_recipes_deviation(family, output):
    module, x = make_discriminator(recipe_of(family, output=output, output_scale=0.25), SHAPES[0]), some(50, SHAPES[0])
    context = Context(tuple(noise_for(module, 50)))
    module.initialise(x, context)
    logits, _ = module(x, context)
    torch.testing.assert_close(logits.mean(0), torch.zeros(logits.shape[1]).double(), rtol=0, atol=1e-10)
    torch.testing.assert_close(logits.std(0, correction=0), torch.full((logits.shape[1],), 0.25).double(), rtol=0,
                               atol=1e-10)


@both
def test_a_plain_output_is_one_matrix_of_the_features(family):
    module, x = make_discriminator(recipe_of(family, output="plain"), SHAPES[0]), some(7, SHAPES[0])
    logits, features = module(x)
    state = module.state_dict()
    torch.testing.assert_close(logits, features @ state["output.weight"].T + state["output.bias"], rtol=0, atol=1e-11)
    assert ({name for name, _ in module.output.named_parameters()} == {"weight", "bias"}
            and not list(module.output.buffers()))


@both
def test_features_are_taken_before_the_last_noise(family):
    module, x = make_discriminator(RECIPES[family], SHAPES[0]), some(7, SHAPES[0])
    noise = noise_for(module, 7)
    logits, features = module(x, Context(tuple(noise)))
    other_logits, other_features = module(x, Context((*noise[:-1], -noise[-1])))
    assert torch.equal(features, other_features) and not torch.equal(logits, other_logits)


@both
def test_noise_of_deviation_zero_is_none(family):
    module, x = make_discriminator(recipe_of(family, input_noise=0.0, hidden_noise=0.0), SHAPES[0]), some(7, SHAPES[0])
    assert torch.equal(module(x, Context(tuple(noise_for(module, 7))))[0], module(x)[0])


@both
def test_a_discriminator_that_couples_no_batch_sees_each_image_alone(family):
    module, x = make_discriminator(RECIPES[family], SHAPES[1]), some(7, SHAPES[1])
    assert not module.couples_batch
    alone = torch.cat([module(image[None])[0] for image in x])
    torch.testing.assert_close(module(x)[0], alone, rtol=0, atol=1e-11)


@both
def test_what_is_trained(family):
    discriminator, generator = make_discriminator(RECIPES[family], SHAPES[0]), make_generator(
        RECIPES[family], SHAPES[0])
    fixed = {name for name, _ in discriminator.named_buffers()}
    assert fixed - {"whitening"} == {f"hidden.{i}.scale" for i in range(len(discriminator.hidden))}, \
        "hidden scales are fixed, the output's is trained"
    assert not list(generator.buffers())
    names = {name for name, _ in generator.named_parameters()}
    assert {"output.direction", "output.scale", "output.bias", "norms.0.shift"} <= names
    assert not any(name.startswith(("hidden", "dense")) and name.endswith("bias")
                   for name in names), "batch norm takes it out again"


@both
def test_weights_are_a_function_of_the_generator_of_numbers(family):
    for build in (lambda random: build_discriminator(RECIPES[family].model, SHAPES[0], 4, random),
                  lambda random: build_generator(RECIPES[family].model, SHAPES[0], random)):
        first, again, other = (build(torch.Generator().manual_seed(seed)).state_dict() for seed in (0, 0, 1))
        assert all(torch.equal(first[name], again[name]) for name in first)
        changed = [name for name in first if not torch.equal(first[name], other[name])]
        identity = family == "airbench" and "whitening" in first  # whose convolutions are all the identity here
        assert changed == [name for name in first if name.endswith(("direction", "weight"))
                           and not (identity and name.startswith("hidden"))]


def test_the_generators_dense_layers_start_as_glorot_has_it():
    recipe = recipe_of("mlp", latent=100, generator_widths=(300, 200))
    module = build_generator(recipe.model, (1, 28, 28), torch.Generator().manual_seed(0))
    for weight in (module.hidden[0].weight, module.hidden[1].weight, module.output.direction):
        limit = (6 / sum(weight.shape)) ** 0.5
        assert weight.abs().max() <= limit and weight.std().item() == pytest.approx(limit / 3**0.5, rel=0.02)


def test_the_papers_pair_has_the_papers_sizes():
    model = Recipe().model
    discriminator = build_discriminator(model, (1, 28, 28), 10, torch.Generator())
    sizes = [tuple(layer.direction.shape) for layer in (*discriminator.hidden, discriminator.output)]
    assert sizes == [(1000, 784), (500, 1000), (250, 500), (250, 250), (250, 250), (10, 250)]
    generator = build_generator(model, (1, 28, 28), torch.Generator())
    assert [tuple(weight.shape) for weight in (generator.hidden[0].weight, generator.hidden[1].weight,
                                               generator.output.direction)] == [
        (500, 100), (500, 500), (784, 500)]


@both
@all_shapes
@pytest.mark.parametrize("settings", [{}, {"pooling": "none", "strides": (2, 1)},
                                      {"downsampling": "average", "upsampling": "transposed", "norm": "none"}])
def test_products_are_what_torch_counts(family, shape, settings):
    recipe = recipe_of(family, **settings)
    for module, x in ((make_discriminator(recipe, shape), some(2, shape)),
                      (make_generator(recipe, shape), some(2, (recipe.model.latent,)))):
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            module(x)
        assert 2 * 2 * module.products == counter.get_total_flops()


@pytest.mark.parametrize("side", [8, 28, 32, 64])
def test_the_convolutional_pair_serves_images_of_8_to_64_pixels(side):
    recipe = recipe_of("conv", generator_widths=(4, 4, 3))
    images = make_generator(recipe, (3, side, side))(some(2, (5,)))
    assert images.shape == (2, 3, side, side)
    assert make_discriminator(recipe, (3, side, side))(images)[0].shape == (2, 4)


@both
def test_white_pixels_are_taught_in_bf16_too(family):
    """Sums of 8 are images of 1 in bf16, from which torch's own sigmoid gives no gradient back."""
    module = make_generator(RECIPES[family], (1, 8, 8)).bfloat16()
    with torch.no_grad():
        module.output.scale.zero_()
        module.output.bias.fill_(8.0)
    images = module(torch.rand(6, RECIPES[family].model.latent, generator=torch.Generator().manual_seed(1)).bfloat16())
    assert images.dtype == torch.bfloat16 and (images == 1).all()
    gradient, = torch.autograd.grad(images.sum(), module.output.bias)
    expected = 8 * 8 * 6 / len(gradient) * torch.full(gradient.shape, 8.0).sigmoid() * torch.full(
        gradient.shape, -8.0).sigmoid()
    torch.testing.assert_close(gradient.float(), expected, rtol=0.02, atol=0)
