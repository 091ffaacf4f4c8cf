"""DCGAN's pair: against the plain one, its rules, its sizes, sampling and hand-over."""

import plain_networks
import pytest
import small
import torch
from technique_cases import ADVERSARIAL, RADFORD
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ssgan.config import Recipe, override
from ssgan.errors import Mistake
from ssgan.export import write as export
from ssgan.export.load import open_model
from ssgan.export.model_card import Card
from ssgan.models import build_discriminator, build_generator
from ssgan.models.batch_normed import BatchNormed
from ssgan.models.context import Context
from ssgan.models.fold import fold
from ssgan.models.plain_layer import PlainLayer
from ssgan.models.spectral_norm import SpectralNorm
from ssgan.random_streams import torch_generator
from ssgan.training.trained_model import TrainedModel

TWO = ["model.widths=[4, 6]", "model.generator_widths=[5, 3]"]
BASE = override(small.DCGAN, TWO)
SHAPES = [(1, 12, 16), (3, 13, 14)]  # in two halvings 3x4, and 4x4 on a canvas of 16x16
NORMS = {
    "weight": [],
    "batch": [*RADFORD],
    "spectral": ["model.norm=spectral", "model.generator_norm=spectral", "model.output=spectral"],
    "virtual": ["model.norm=virtual", "model.reference_images=3", "model.generator_norm=virtual"],
    "none": ["model.norm=none", "model.generator_norm=none", "model.pooling=none", "model.dropout=0.2"]}
every_norm = pytest.mark.parametrize("norm", NORMS)
every_shape = pytest.mark.parametrize("shape", SHAPES)


def some(*shape: int, seed: int = 1) -> Tensor:
    return torch.rand(shape, generator=torch_generator(seed), dtype=torch.float64)


def discriminator_of(recipe: Recipe, shape) -> nn.Module:
    """Of four classes, with weights that are not those of its birth."""
    return shaken(build_discriminator(recipe.model, shape, 4, torch_generator(0)))


def generator_of(recipe: Recipe, shape, classes: int = 0) -> nn.Module:
    return shaken(build_generator(recipe.model, shape, torch_generator(0), classes))


@torch.no_grad()
def shaken(module: nn.Module) -> nn.Module:
    for number, value in enumerate(module.double().state_dict().values()):
        value.add_(0.3 * some(*value.shape, seed=number))
    return module


def noise_for(module: nn.Module, n: int) -> list[Tensor]:
    return [torch.randn(shape, generator=torch_generator(2), dtype=torch.float64) for shape in module.noise_shapes(n)]


def check_discriminator(recipe: Recipe, shape, x: Tensor, noisy: bool) -> Tensor:
    """Outputs and all gradients are those of the plain one; the images' is given back."""
    module, x = discriminator_of(recipe, shape), x.requires_grad_()
    noise = noise_for(module, len(x)) if noisy else None
    weights = {name: value.detach().clone().requires_grad_(name in dict(module.named_parameters()))
               for name, value in module.state_dict().items()}
    mine = module(x, Context(tuple(noise or ())))
    its = plain_networks.discriminator(recipe, weights, x, noise)
    torch.testing.assert_close(mine, its, rtol=0, atol=1e-11)
    trained = dict(module.named_parameters())
    found, expected = (torch.autograd.grad(sum((each.cos() * torch.arange(each.shape[1])).sum() for each in said),
                                           (x, *(values[name] for name in trained)))
                       for said, values in ((mine, trained), (its, weights)))
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    return found[0]


def check_generator(recipe: Recipe, shape) -> Tensor:
    """Images and all gradients are those of the plain one."""
    module, latent = generator_of(recipe, shape), some(6, recipe.model.latent)
    weights = {name: value.detach().clone().requires_grad_(name in dict(module.named_parameters()))
               for name, value in module.state_dict().items()}
    mine, its = module(latent), plain_networks.generator(recipe, weights, latent, shape)
    torch.testing.assert_close(mine, its, rtol=0, atol=1e-11)
    trained = dict(module.named_parameters())
    scale = some(*mine.shape, seed=5)
    found, expected = (torch.autograd.grad((scale * images).sum(), [values[name] for name in trained])
                       for images, values in ((mine, trained), (its, weights)))
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    beside_norm = {name for name in trained if name.startswith(("dense", "hidden")) and name.endswith("bias")}
    assert all(gradient.abs().max() > 1e-9 for name, gradient in zip(trained, found)
               if name not in beside_norm), "every weight counts"
    return mine


@every_norm
@every_shape
def test_a_discriminator_and_its_gradients_are_the_plain_ones(norm, shape):
    check_discriminator(override(BASE, NORMS[norm]), shape, some(5, *shape), noisy=norm != "batch")


@every_norm
@every_shape
def test_a_generator_and_its_gradients_are_the_plain_ones(norm, shape):
    images = check_generator(override(BASE, NORMS[norm]), shape)
    assert images.shape == (6, *shape) and images.min() >= 0 and images.max() <= 1


def test_it_is_the_papers_to_the_letter():
    """Radford et al. 2016, section 3: the rules for 64 pixels."""
    recipe = override(small.DCGAN, [*RADFORD, "model.widths=[64, 128, 256, 512]", "model.latent=100",
                                    "model.generator_widths=[512, 256, 128, 64]"])
    discriminator = build_discriminator(recipe.model, (3, 64, 64), 10, torch_generator(0))
    first, *others = discriminator.hidden
    assert type(first) is PlainLayer and all(type(layer) is BatchNormed for layer in others), "no norm at D's input"
    assert {(layer.stride, layer.padding, layer.weight.shape[2]) for layer in discriminator.hidden} == {(2, 1, 4)}
    assert discriminator.width == 512 * 4 * 4 and type(discriminator.output) is PlainLayer
    generator = build_generator(recipe.model, (3, 64, 64), torch_generator(0))
    layers = [*generator.hidden, generator.output]
    assert [tuple(layer.weight.shape) for layer in layers] == [
        (512, 256, 4, 4), (256, 128, 4, 4), (128, 64, 4, 4), (64, 3, 4, 4)]
    assert {type(layer) for layer in layers} == {nn.ConvTranspose2d} and len(generator.norms) == 4
    assert all(layer.kernel_size[0] % layer.stride[0] == 0 for layer in layers), "no checkerboards"
    for layer in (*discriminator.hidden, discriminator.output, *layers, generator.dense):
        assert layer.weight.mean().item() == pytest.approx(0, abs=1e-3)
        assert layer.weight.std().item() == pytest.approx(0.02, rel=0.03)
    assert not any(type(part) is nn.Linear for part in discriminator.modules())


def test_without_initialisation_images_the_weights_stay_as_they_were_drawn():
    trainer = small.trainer(override(small.DCGAN, [*RADFORD, *ADVERSARIAL]), small.FP64)
    drawn = build_discriminator(trainer.recipe.model, (2, 6, 8), 4, torch_generator(0, "discriminator weights"))
    weights = small.lane_weights(trainer, "discriminator", small.weights(trainer), 0)
    for name, value in drawn.named_parameters():
        torch.testing.assert_close(weights[name].float(), value.detach())


@pytest.mark.parametrize(("side", "count"), [(28, 2), (28, 3), (32, 3), (64, 4), (128, 5)])
@pytest.mark.parametrize("channels", [1, 3])
def test_it_serves_images_of_28_to_128_pixels(side, count, channels):
    recipe = override(BASE, [f"model.widths={[2] * count}", f"model.generator_widths={[3] * count}"])
    images = generator_of(recipe, (channels, side, side))(some(2, 5))
    assert images.shape == (2, channels, side, side)
    assert discriminator_of(recipe, (channels, side, side))(images)[0].shape == (2, 4)


@every_shape
@pytest.mark.parametrize("settings", [[], ["model.minibatch_kernels=0", "model.pooling=none"]])
def test_products_are_what_torch_counts(shape, settings):
    recipe = override(BASE, settings)
    for module, x in ((discriminator_of(recipe, shape), some(2, *shape)), (generator_of(recipe, shape), some(2, 5))):
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            module(x)
        assert 2 * 2 * module.products == counter.get_total_flops()


def test_a_border_is_seen_black_and_makes_no_difference_to_an_image_in_the_middle():
    recipe, x = override(BASE, ["model.image_range=signed"]), some(2, 1, 28, 28)
    three = [[2, 3, 4]] * 2
    recipe = override(recipe, [f"model.widths={three[0]}", f"model.generator_widths={three[1]}"])
    framed, whole = discriminator_of(recipe, (1, 28, 28)), discriminator_of(recipe, (1, 32, 32))
    whole.load_state_dict(framed.state_dict())
    torch.testing.assert_close(framed(x), whole(nn.functional.pad(x, (2, 2, 2, 2))))


def test_spectral_norm_is_on_every_layer_where_it_is_asked_for():
    recipe = override(BASE, NORMS["spectral"])
    for module, count in ((build_discriminator(recipe.model, SHAPES[0], 4, torch_generator(0)), 3),
                          (build_generator(recipe.model, SHAPES[0], torch_generator(0)), 3)):
        layers = [layer for layer in module.modules() if isinstance(layer, SpectralNorm)]
        assert len(layers) == count
        for layer in layers:
            u = layer.advance(50)["u"]
            layer.u.copy_(u)
            assert torch.linalg.matrix_norm(layer.folded()[0].flatten(1), 2).item() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(("key", "value"), [("widths", "[4, 4, 4, 4]"), ("generator_widths", "[4, 4, 4, 4]")])
def test_widths_that_do_not_fit_are_told_before_anything_is_written(key, value, tmp_path):
    from ssgan.experiments.stages import check

    data = small.dataset(600, (1, 28, 28), 10)
    recipe = override(BASE, [f"model.{key}={value}", "labels=10"])
    with pytest.raises(Mistake, match=f"model.{key}: 4 halvings make images of 28x28 .*\n.*at most 3"):
        check(recipe, data, "train")


@pytest.mark.parametrize("family", [small.DCGAN, small.MULTISCALE], ids=["dcgan", "multiscale"])
@pytest.mark.parametrize("norm", NORMS)
def test_an_image_is_sampled_the_same_and_a_folded_classifier_answers_the_same(family, norm):
    trainer = small.trainer(override(family, [*NORMS[norm], "adversarial.weight=1", "feature_matching.weight=0"]),
                            small.FP32, (3, 4))
    for _ in range(2):
        trainer.step()
    assert trainer.failures() == []
    model = TrainedModel.of_trainer(trainer, 1)
    images = model.sampler().images(0, 23)
    assert images.shape == (23, 2, 6, 8) and torch.equal(model.sampler().images(7, 11), images[7:18])
    discriminator = model.discriminator()
    with torch.no_grad():
        torch.testing.assert_close(fold(discriminator)(images)[0], discriminator(images)[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("family", "kind"), [(small.DCGAN, "pt2"), (small.MULTISCALE, "onnx")],
                         ids=["dcgan", "multiscale"])
def test_its_classifier_is_exported(family, kind, tmp_path):
    recipe = override(family, ["model.norm=spectral", "model.output=spectral"])
    discriminator = build_discriminator(recipe.model, (3, 6, 8), 4, torch_generator(3))
    discriminator.initialise(torch.rand(50, 3, 6, 8, generator=torch_generator(4)), Context())
    card = Card(("a", "b", "c", "d"), 3, 6, 8, "small", 8, None, "none", "0")
    path = tmp_path / f"classifier.{kind}"
    agreement = export.export_classifier(discriminator, card, kind, path, export.random_images(card, 300))
    assert agreement.sound and open_model(path).card == card
