"""The generator's norms: what depends on an image's company, first weights, and sampling. (Their steps:
tests/technique_cases.py.)
"""

import pytest
import small
import torch

from ssgan.config import override
from ssgan.models import build_generator
from ssgan.models.context import Context
from ssgan.models.spectral_norm import SpectralNorm
from ssgan.random_streams import torch_generator
from ssgan.training.trained_model import TrainedModel

SHAPE = (2, 6, 8)
FAMILIES = {"mlp": small.MLP, "conv": small.CONV}
family = pytest.mark.parametrize("base", FAMILIES.values(), ids=FAMILIES)
NORMS = ("batch", "virtual", "spectral", "none", "weight")


def make(base, norm: str, classes: int = 0, **settings):
    recipe = override(base, [f"model.generator_norm={norm}", "model.reference_images=6",
                             *(f"model.{key}={value}" for key, value in settings.items())])
    return build_generator(recipe.model, SHAPE, torch_generator(0), classes).double()


@family
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("classes", [0, 3])
def test_only_under_batch_norm_an_image_depends_on_its_company(base, norm, classes):
    generator, z = make(base, norm, classes), torch.rand(7, 5, generator=torch_generator(1)).double()
    labels = torch.arange(7) % 3 if classes else None
    whole = generator(z, Context(labels=labels))
    alone = torch.cat([generator(z[i:i + 2], Context(labels=None if labels is None else labels[i:i + 2]))[:1]
                       for i in range(6)])
    assert whole.shape == (7, *SHAPE) and torch.allclose(alone, whole[:6], rtol=0, atol=1e-12) is (
        norm in ("virtual", "none", "weight"))


@family
def test_a_reference_batch_is_the_seeds_and_of_the_kind_of_latent_vectors(base):
    uniform, normal = make(base, "virtual"), make(base, "virtual", latent_kind="normal")
    assert torch.equal(uniform.reference, make(base, "virtual").reference) and uniform.reference.shape == (6, 5)
    assert uniform.reference.min() >= 0 > normal.reference.min() and uniform.reference.max() < 1
    assert make(base, "batch").reference is None and "reference" in uniform.state_dict()


@family
def test_virtual_batch_norm_over_the_whole_batch_is_batch_norm(base):
    virtual, batch = make(base, "virtual"), make(base, "batch")
    batch.load_state_dict({key: value for key, value in virtual.state_dict().items() if key != "reference"})
    torch.testing.assert_close(virtual(virtual.reference), batch(virtual.reference))


@family
def test_under_spectral_norm_no_hidden_layer_stretches_from_the_first_on(base):
    layers = [layer for layer in make(base, "spectral").modules() if isinstance(layer, SpectralNorm)]
    assert len(layers) == 2
    for layer in layers:
        assert torch.linalg.matrix_norm(layer.folded()[0].flatten(1), 2).item() == pytest.approx(1, abs=0.1)


@family
def test_weight_norm_starts_with_the_weights_that_none_starts_with_and_trains_their_lengths(base):
    normed, plain = make(base, "weight"), make(base, "none")
    z = torch.rand(4, 5, generator=torch_generator(1)).double()
    torch.testing.assert_close(normed(z), plain(z))
    assert len([name for name, _ in normed.named_parameters() if name.endswith("scale")]) == 3


@pytest.mark.parametrize("norm", NORMS)
def test_a_kernel_of_what_enlarges_is_a_multiple_of_its_stride_so_that_a_flat_map_stays_flat_inside(norm):
    """Of each of the products, with the weights all the same."""
    generator = make(small.CONV, norm, upsampling="transposed")
    layer, = generator.hidden
    weight = layer.direction if norm == "weight" else layer.weight
    with torch.no_grad():
        weight.fill_(0.1)
        y = layer(torch.ones(1, 6, 5, 5).double())[0, :, 1:-1, 1:-1]
    assert weight.shape[-1] % 2 == 0 and y.shape[1:] == (8, 8)
    torch.testing.assert_close(y, y[:, :1, :1].expand_as(y))


@family
@pytest.mark.parametrize("norm", NORMS)
def test_each_is_trained_and_sampled(base, norm):
    trainer = small.trainer(override(base, [f"model.generator_norm={norm}", "model.reference_images=6"]), small.FP32,
                            (3, 4))
    for _ in range(2):
        trainer.step()
    assert trainer.failures() == []
    sampler = TrainedModel.of_trainer(trainer, 1).sampler()
    images = sampler.images(0, 23)
    assert images.isfinite().all() and torch.equal(sampler.images(7, 11), images[7:18])


@family
def test_a_gain_is_trained_where_it_is_asked_for(base):
    for norm in ("batch", "virtual"):
        assert sum(key.endswith("gain") for key in make(base, norm).state_dict()) == 0
        assert sum(key.endswith("gain") for key in make(base, norm, generator_norm_gain="true").state_dict()) == 2
