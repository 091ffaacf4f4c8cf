"""The pair with multi-scale gradients: against the plain one, at each scale, and what is given outside of training.
(Sampling, hand-over and spectral norm: test_dcgan.py.)
"""

import plain_halving
import pytest
import small
import torch
from test_dcgan import NORMS, check_discriminator, check_generator, discriminator_of, generator_of, some
from torch.utils.flop_counter import FlopCounterMode

from ssgan.config import override
from ssgan.errors import Mistake
from ssgan.models.scales import packed, pyramid, unpacked

BASE = override(small.MULTISCALE, ["model.widths=[4, 6, 5]", "model.generator_widths=[5, 3, 4]"])
SHAPES = [(1, 12, 16), (3, 16, 20)]
every_norm = pytest.mark.parametrize("norm", NORMS)


@every_norm
@pytest.mark.parametrize("shape", SHAPES)
def test_a_discriminator_and_its_gradients_at_each_scale_are_the_plain_ones(norm, shape):
    recipe = override(BASE, NORMS[norm])
    scales = [some(5, shape[0], shape[1] >> number, shape[2] >> number, seed=number) for number in range(3)]
    gradient = check_discriminator(recipe, shape, packed(scales), noisy=norm != "batch")
    for each in unpacked(gradient, 3):
        assert each.abs().max() > 1e-6, "a gradient flows at every scale"
    check_discriminator(recipe, shape, some(5, *shape), noisy=norm != "batch")


@every_norm
@pytest.mark.parametrize("shape", SHAPES)
def test_a_generator_and_its_gradients_are_the_plain_ones(norm, shape):
    images = check_generator(override(BASE, NORMS[norm]), shape)
    assert images.shape == (6, shape[0], shape[1] * 3 // 2, shape[2])


def test_a_real_image_is_shown_at_every_scale_as_its_averages():
    discriminator, x = discriminator_of(BASE, SHAPES[0]), some(4, *SHAPES[0])
    scales = [x, plain_halving.averaged(x), plain_halving.averaged(plain_halving.averaged(x))]
    torch.testing.assert_close(discriminator(x), discriminator(packed(scales)))
    torch.testing.assert_close(discriminator(x), discriminator(packed(pyramid(x))))
    for number in range(3):
        changed = [scale + 0.1 * (place == number) for place, scale in enumerate(scales)]
        assert (discriminator(packed(changed))[0] - discriminator(x)[0]).abs().max() > 1e-4, "each counts"


def test_outside_of_training_the_whole_image_alone_is_made():
    generator, latent = generator_of(BASE, SHAPES[0]), some(6, 5)
    torch.testing.assert_close(generator.eval()(latent), unpacked(generator.train()(latent), 1)[0])


def test_the_discriminators_loss_teaches_every_scale_of_the_generator():
    generator, discriminator = generator_of(BASE, SHAPES[0]), discriminator_of(BASE, SHAPES[0])
    heads = [head.weight for head in generator.outputs]
    found = torch.autograd.grad(discriminator(generator(some(6, 5)))[0].logsumexp(1).sum(), heads)
    assert len(found) == 3 and all(gradient.abs().max() > 1e-6 for gradient in found)


@pytest.mark.parametrize("shape", SHAPES)
def test_products_are_what_torch_counts(shape):
    for module, x in ((discriminator_of(BASE, shape), some(2, *shape)), (generator_of(BASE, shape), some(2, 5))):
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            module(x)
        assert 2 * 2 * module.products == counter.get_total_flops()


@pytest.mark.parametrize(("widths", "shape", "said"), [
    ("[4, 4, 4, 4]", (1, 28, 28), "4 widths ask for images whose sides 8 divides, and these are 28x28"),
    ("[4, 4]", (3, 9, 12), "2 widths ask for images whose sides 2 divides, and these are 9x12"),
    ("[4]", (1, 28, 28), "1 widths of one layer have no smaller scale"),
    ("[4, 4, 4, 4, 4]", (1, 28, 28), "4 halvings make images of 28x28 pixels a map of 2x2")])
@pytest.mark.parametrize("key", ["widths", "generator_widths"])
def test_images_that_cannot_be_halved_so_often_are_a_mistake(key, widths, shape, said):
    make = discriminator_of if key == "widths" else generator_of
    with pytest.raises(Mistake, match=rf"model\.{key}.*{said}"):
        make(override(BASE, [f"model.{key}={widths}"]), shape)


def test_a_generator_of_another_family_is_shown_at_its_averages():
    trainer = small.trainer(override(small.MULTISCALE, ["model.generator=mlp"]), small.FP32, (3, 4))
    trainer.step()
    assert trainer.failures() == [] and torch.isfinite(trainer.sums).all()
