"""The paper's pair for CIFAR-10 and SVHN against a plain one, and what does not fit it."""

import plain_colour
import pytest
import small
import torch
from shaken import noise_for, shaken, some
from small_colour import CONV9
from torch.utils.flop_counter import FlopCounterMode

from ssgan import recipes
from ssgan.config import override
from ssgan.errors import Mistake
from ssgan.models import build_discriminator, build_generator
from ssgan.models.context import Context
from ssgan.models.fold import fold
from ssgan.models.weight_norm import WeightNorm

SHAPES = pytest.mark.parametrize("shape", [(3, 12, 12), (1, 13, 9)])


def discriminator(shape, recipe=CONV9):
    random = torch.Generator().manual_seed(0)
    return shaken(build_discriminator(recipe.model, shape, 4, random).double(), random)


@SHAPES
@pytest.mark.parametrize("noisy", [True, False])
def test_the_discriminator_is_the_plain_one(shape, noisy):
    module, x = discriminator(shape), some(5, shape)
    noise = noise_for(module, 5) if noisy else []
    assert len(noise) == (3 if noisy else 0), "dropout alone is drawn for"
    found = module(x, Context(tuple(noise)))
    expected = plain_colour.conv9_discriminator(CONV9, dict(module.state_dict()), x, noise)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-11)
    torch.testing.assert_close(fold(module)(x, Context(tuple(noise)))[0], expected[0], rtol=0, atol=1e-11)


@SHAPES
def test_the_generator_is_the_plain_one(shape):
    random = torch.Generator().manual_seed(0)
    module = shaken(build_generator(CONV9.model, shape, random).double(), random)
    latent = some(6, (CONV9.model.latent,))
    found = module(latent)
    assert found.shape == (6, *shape) and 0 < found.min() and found.max() < 1
    torch.testing.assert_close(found, plain_colour.conv9_generator(CONV9, dict(module.state_dict()), latent, shape),
                               rtol=0, atol=1e-11)


def test_after_the_initialisation_every_pre_activation_is_standardised_and_logits_have_the_recipes_deviation():
    module, x = discriminator((3, 12, 12)), some(40, (3, 12, 12))
    context, seen = Context(tuple(noise_for(module, 40))), []
    module.initialise(x, context)
    for layer in module.modules():
        if isinstance(layer, WeightNorm):
            layer.register_forward_hook(lambda layer, inputs, y: seen.append(y.transpose(0, 1).flatten(1)))
    module(x, context)
    assert len(seen) == 10
    for units, wanted in zip(seen, [1.0] * 9 + [0.1]):
        torch.testing.assert_close(units.mean(1), torch.zeros(len(units)).double(), rtol=0, atol=1e-7)
        torch.testing.assert_close(units.std(1, correction=0), torch.full((len(units),), wanted).double(), rtol=0,
                                   atol=1e-7)


@pytest.mark.parametrize("classes", [0, 3])
def test_the_generators_first_images_have_deviation_a_tenth_before_tanh(classes):
    model = override(CONV9, ["model.generator_widths=[32, 24, 16]", "model.latent=60"]).model
    module = build_generator(model, (3, 12, 12), torch.Generator().manual_seed(0), classes)
    images = module(some(100, (60,)).float(), Context(labels=torch.arange(100) % 3 if classes else None))
    before = torch.atanh(2 * images - 1)
    assert before.std((0, 2, 3)).tolist() == pytest.approx([0.1] * 3, rel=0.1)
    assert before.mean((0, 2, 3)).abs().max() < 0.02
    again = build_generator(model, (3, 12, 12), torch.Generator().manual_seed(0), classes)
    assert all(torch.equal(x, again.state_dict()[name]) for name, x in module.state_dict().items())


@pytest.mark.parametrize(("name", "first", "second"), [("cifar10", 96, 192), ("svhn", 64, 128)])
def test_the_papers_pair_has_the_papers_sizes(name, first, second):
    model = recipes.read(f"salimans2016-{name}").recipe.model
    with torch.device("meta"):
        judge, maker = (build(model, (3, 32, 32), *more, None) for build, more in (
            (build_discriminator, (10,)), (build_generator, ())))
    kernels = [tuple(layer.direction.shape) for layer in (*judge.hidden, judge.output)]
    inputs = [3, *[first] * 3, *[second] * 5]
    sizes = [3, 3, 3, 3, 3, 3, 3, 1, 1]
    assert kernels == [*((out, a, side, side) for out, a, side in zip([*inputs[1:], second], inputs, sizes)),
                       (10, second)]
    assert maker.dense.weight.shape == (512 * 4 * 4, 100) and maker.norms[0].shift.shape == (512 * 4 * 4,)
    assert [tuple(layer.weight.shape) for layer in maker.hidden] == [(256, 512, 5, 5), (128, 256, 5, 5)]
    assert maker.output.direction.shape == (3, 128, 5, 5)
    assert [place.dropout for place in judge.noise.places] == [0.2, 0, 0, 0.5, 0, 0, 0.5, 0, 0, 0, 0]


@SHAPES
def test_products_are_what_torch_counts(shape):
    recipe = override(CONV9, ["model.minibatch_kernels=2", "model.minibatch_dimensions=3"])
    with torch.no_grad(), FlopCounterMode(display=False) as judged:
        module = discriminator(shape, recipe)
        module(some(2, shape))
    assert judged.get_total_flops() == 4 * module.products
    maker = build_generator(CONV9.model, shape, None)
    with torch.no_grad(), FlopCounterMode(display=False) as made:
        maker(torch.rand(2, CONV9.model.latent))
    assert made.get_total_flops() == 4 * maker.products


@pytest.mark.parametrize(("overrides", "shape", "told"), [
    (["model.widths=[4, 4]"], (3, 12, 12), r"model.widths = \[4, 4\].*9 convolutions"),
    ([], (3, 8, 12), "at least, .* 8x12")])
def test_what_does_not_fit_is_a_mistake(overrides, shape, told):
    recipe = override(CONV9, overrides)
    with pytest.raises(Mistake, match=told) as mistake:
        small.trainer(recipe, data=small.dataset(60, shape))
    assert len(str(mistake.value).splitlines()) <= 3


@pytest.mark.parametrize("norm", ["weight", "spectral", "none"])
def test_the_generator_s_other_norms_train(norm):
    trainer = small.trainer(override(CONV9, [f"model.generator_norm={norm}"]), seeds=(0, 1),
                            data=small.dataset(60, (3, 16, 16)))
    trainer.step()
    assert not trainer.failures() and trainer.sums.isfinite().all()
