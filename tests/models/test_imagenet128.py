"""The paper's pair for ImageNet against a plain one, its halves, and what does not fit it."""

import plain_colour
import pytest
import small
import torch
from shaken import noise_for, shaken, some
from small_colour import IMAGENET
from torch.utils.flop_counter import FlopCounterMode

from ssgan import recipes
from ssgan.config import override
from ssgan.errors import Mistake
from ssgan.models import build_discriminator, build_generator, compares_halves, couples_batch, latent_numbers
from ssgan.models.context import Context
from ssgan.models.fold import fold
from ssgan.models.reference import refer, settle

SHAPE = (3, 16, 16)


def discriminator(recipe=IMAGENET):
    random = torch.Generator().manual_seed(0)
    return shaken(build_discriminator(recipe.model, SHAPE, 4, random).double(), random)


def generator(recipe=IMAGENET):
    random = torch.Generator().manual_seed(0)
    return shaken(build_generator(recipe.model, SHAPE, random).double(), random)


@pytest.mark.parametrize("generated", [0, 3])
@pytest.mark.parametrize("noisy", [True, False])
def test_the_discriminator_is_the_plain_one(generated, noisy):
    module, x = discriminator(), some(8, SHAPE)
    noise = noise_for(module, 8) if noisy else []
    found = module(x, Context(tuple(noise), generated=generated))
    expected = plain_colour.imagenet_discriminator(IMAGENET, dict(module.state_dict()), x, generated, *noise)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-11)


def test_the_generator_is_the_plain_one():
    module, latent = generator(), some(3, (latent_numbers(IMAGENET.model, SHAPE),))
    found = module(latent)
    assert found.shape == (3, *SHAPE) and 0 < found.min() and found.max() < 1
    expected = plain_colour.imagenet_generator(IMAGENET, dict(module.state_dict()), latent, SHAPE)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


def test_noise_at_every_scale_changes_the_image():
    module, latent = generator(), some(1, (latent_numbers(IMAGENET.model, SHAPE),)).requires_grad_()
    gradient, = torch.autograd.grad(module(latent).square().sum(), latent)
    assert all(part.abs().max() > 0 for part in gradient.split(module.sizes, 1))


def test_settled_it_says_of_an_image_what_it_says_alone_and_can_be_folded():
    module, x = discriminator(), some(9, SHAPE)
    assert couples_batch(module) and compares_halves(module)
    with pytest.raises(Mistake, match="couples the images"):
        fold(module)
    settle(module, x, 4)
    refer(module, x, 4)
    assert not couples_batch(module)
    alone = torch.cat([module(image[None])[0] for image in x])
    torch.testing.assert_close(module(x)[0], alone, rtol=0, atol=1e-11)
    torch.testing.assert_close(fold(module)(x, Context())[0], alone, rtol=0, atol=1e-11)
    again = discriminator()
    again.load_state_dict(module.state_dict())
    torch.testing.assert_close(again(x)[0], alone, rtol=0, atol=1e-11)


def test_settled_statistics_are_those_of_the_halves():
    module, x = discriminator(), some(9, SHAPE)
    seen = []
    module.features(x, Context(generated=4), seen)
    settle(module, x, 4)
    settled = []
    module.features(x, Context(), settled)
    for one, other in zip(seen, settled, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-11)


def test_a_pass_has_real_images_and_behind_them_generated_ones():
    trainer = small.trainer(IMAGENET, data=small.dataset(60, SHAPE))
    assert trainer.gan.passes == {
        "discriminator": {"labelled+unlabelled+generated": ("labelled", "unlabelled", "generated")},
        "generator": {"unlabelled+generated": ("unlabelled", "generated")}}
    alone = small.trainer(override(IMAGENET, ["gan.weight=0"]), data=small.dataset(60, SHAPE))
    alone.step()
    assert not alone.failures() and alone.averaged_logits(some(2, (2, *SHAPE))[:1]).isfinite().all()


def test_the_papers_pair_has_the_papers_sizes():
    model = recipes.read("salimans2016-imagenet128").recipe.model
    with torch.device("meta"):
        judge = build_discriminator(model, (3, 128, 128), 1000, None)
        maker = build_generator(model, (3, 128, 128), None)
    assert [tuple(layer.weight.shape) for layer in judge.hidden] == [
        *((b, a, 3, 3) for a, b in zip((3, 64, 128, 256, 256, 256, 512), (64, 128, 256, 256, 256, 512, 512))),
        (2560, 512 * 4 * 4)]
    assert judge.minibatch.weight.shape == (300 * 50, 2560) and judge.output.weight.shape == (1000, 2560 + 600)
    assert maker.dense.weight.shape == (512 * 4 * 4, 8192)
    assert [tuple(layer.weight.shape[:2]) for layer in (*maker.hidden, maker.output)] == [
        (256, 512 + 64), (128, 256 + 64), (64, 128 + 32), (64, 64 + 16), (64, 64 + 8), (3, 64 + 8)]
    noise = 16 * 64 + 64 * 64 + 256 * 32 + 1024 * 16 + 4096 * 8 + 16384 * 8
    assert latent_numbers(model, (3, 128, 128)) == 8192 + noise


def test_products_are_what_torch_counts():
    judge, maker = discriminator(), generator(override(IMAGENET, ["model.generator_norm=batch"]))
    with torch.no_grad(), FlopCounterMode(display=False) as judged:
        judge(some(2, SHAPE))
    assert judged.get_total_flops() == 4 * judge.products
    with torch.no_grad(), FlopCounterMode(display=False) as made:
        maker(some(2, (latent_numbers(IMAGENET.model, SHAPE),)))
    assert made.get_total_flops() == 4 * maker.products


@pytest.mark.parametrize("norm", ["weight", "spectral"])
def test_other_norms_are_initialised_and_train(norm):
    trainer = small.trainer(override(IMAGENET, [f"model.norm={norm}", "model.output=normalised"]),
                            data=small.dataset(60, SHAPE))
    trainer.step()
    assert not trainer.failures() and trainer.sums.isfinite().all()


@pytest.mark.parametrize(("overrides", "shape", "told"), [
    (["model.widths=[4, 4]"], SHAPE, r"model.widths = \[4, 4\].*7 convolutions and of a dense"),
    (["model.norm=virtual"], SHAPE, "virtual"),
    ([], (3, 18, 16), r"double a map 2 times.*\n.*--image-size 16")])
def test_what_does_not_fit_is_a_mistake(overrides, shape, told):
    with pytest.raises(Mistake, match=f"(?s){told}") as mistake:
        small.trainer(override(IMAGENET, overrides), data=small.dataset(60, shape))
    assert len(str(mistake.value).splitlines()) <= 3


@pytest.mark.parametrize("norm", ["weight", "spectral", "none"])
def test_the_generator_s_other_norms_train(norm):
    trainer = small.trainer(override(IMAGENET, [f"model.generator_norm={norm}"]), seeds=(0, 1),
                            data=small.dataset(60, (3, 16, 16)))
    trainer.step()
    assert not trainer.failures() and trainer.sums.isfinite().all()
