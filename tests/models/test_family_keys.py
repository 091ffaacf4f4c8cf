"""Every key of [model] in every family: it acts on the networks, or is refused."""

import dataclasses

import pytest
import small
import small_colour
import torch

from ssgan.config import Recipe, override
from ssgan.errors import Mistake
from ssgan.experiments.switches import switches
from ssgan.models import FAMILIES, build_discriminator, build_generator, compares_halves, joins_batches, latent_numbers
from ssgan.models.context import Context
from ssgan.models.family_keys import DISCRIMINATORS, GENERATORS
from ssgan.models.sampling import Sampler
from ssgan.models.settings import ModelConfig
from ssgan.random_streams import torch_generator
from ssgan.techniques import check

SHAPE = (3, 16, 16)
PLAIN = ["model.norm=weight", "model.generator_norm=batch", "model.minibatch_kernels=0", "model.output=normalised",
         "model.generator_norm_gain=false", "model.reference_itself=false", "model.image_range=unit",
         "model.output_scale=1", "model.input_noise=0.3", "model.dropout=0", "model.input_dropout=0",
         "model.initial_scale=0.1", "model.pooling=mean"]
BASES = {name: override(recipe, PLAIN).model for name, recipe in {
    "mlp": small.MLP, "conv": small.CONV, "dcgan": override(
        small.DCGAN, ["model.widths=[5, 4]", "model.generator_widths=[6, 5]"]),
    "multiscale": small.MULTISCALE, "conv9": small_colour.CONV9,
    "imagenet128": small_colour.IMAGENET, "airbench": small.AIRBENCH}.items()}

VIRTUAL, VIRTUAL_MAKER = {"norm": "virtual"}, {"generator_norm": "virtual"}
# By key the values that it is to have in turn, and what else the recipe must say for them to matter.
CASES: list[tuple[str, tuple, dict]] = [
    ("latent", (4, 6), {}),
    ("latent_kind", ("uniform", "normal"), {}),
    ("latent_noise", (0.0, 0.5), {}),
    ("image_range", ("unit", "signed"), {}),
    ("initial_scale", (0.1, 0.2), {"norm": "none"}),
    ("strides", ((1, 2), (2, 1)), {}),
    ("pooling", ("mean", "max", "none"), {}),
    ("downsampling", ("strides", "average"), {}),
    ("upsampling", ("nearest", "transposed"), {}),
    ("norm", ("weight", "spectral", "batch", "virtual", "none"), {}),
    ("norm_gain", (True, False), {"norm": "batch"}),
    ("norm_batches", ("apart", "joint"), {"norm": "batch"}),
    ("reference_images", (5, 6), VIRTUAL),
    ("reference_images", (5, 6), VIRTUAL_MAKER),
    ("reference_itself", (False, True), VIRTUAL),
    ("reference_itself", (False, True), VIRTUAL_MAKER),
    ("output", ("normalised", "plain", "spectral"), {}),
    ("output_scale", (1.0, 0.5), {}),
    ("output_scale", (1.0, 0.5), {"output": "plain"}),
    ("minibatch_kernels", (0, 2, 3), {}),
    ("minibatch_dimensions", (2, 3), {"minibatch_kernels": 3}),
    ("minibatch_distance", ("l1", "l2"), {"minibatch_kernels": 3}),
    ("input_noise", (0.0, 0.3, 0.5), {}),
    ("hidden_noise", (0.0, 0.3, 0.5), {}),
    ("input_dropout", (0.0, 0.3, 0.5), {}),
    ("dropout", (0.0, 0.3, 0.5), {}),
    ("activation", ("relu", "leaky"), {}),
    ("generator_norm", ("batch", "virtual", "spectral", "none", "weight"), {}),
    ("generator_norm_gain", (False, True), {}),
    ("generator_norm_gain", (False, True), VIRTUAL_MAKER),
    ("generator_activation", ("relu", "leaky"), {}),
    ("generator_dropout", (0.0, 0.3, 0.5), {}),
    ("generator_dropout_sampling", (False, True), {"generator_dropout": 0.5}),
]
TAUGHT = override(Recipe(), ["feature_matching.weight=0", "adversarial.weight=1"])  # which goes with every norm
OF_THE_PAIR = {"family", "generator", "widths", "generator_widths"}


def refused(config: ModelConfig) -> str:
    """What is said where the keys cannot be had, else nothing."""
    try:
        check(dataclasses.replace(TAUGHT, model=config), 4)
        build_discriminator(config, SHAPE, 4, None)
        build_generator(config, SHAPE, None)
    except Mistake as mistake:
        return str(mistake)
    return ""


def drawn(network, n: int) -> Context:
    """The noise of a pass over n rows."""
    random = torch_generator(2)
    return Context(tuple(torch.randn(shape, generator=random) for shape in network.noise_shapes(n)))


@torch.no_grad()
def behaviour(config: ModelConfig) -> list[torch.Tensor]:
    """What tells networks apart: their first weights, what they are initialised to, answers and images with noise and
    without, and by which batches they are trained.
    """
    x = torch.rand(8, *SHAPE, generator=torch_generator(1))
    judge, maker = build_discriminator(config, SHAPE, 4, torch_generator(0)), build_generator(config, SHAPE,
                                                                                             torch_generator(0))
    for gain in (value for name, value in maker.named_parameters() if "norms" in name):
        gain.add_(0.3 * torch.rand(gain.shape, generator=torch_generator(3)))
    if judge.references:
        judge.reference.copy_(torch.rand(judge.reference.shape, generator=torch_generator(4)))
    judge.initialise(x, drawn(judge, 8))
    numbers = latent_numbers(config, SHAPE)
    images = Sampler("generator", maker.eval(), numbers, 6, 0, normal=config.latent_kind == "normal",
                     latent_noise=config.latent_noise, noisy=config.generator_dropout_sampling).images(0, 6)
    latent = torch.rand(6, numbers, generator=torch_generator(5))
    return [*judge.state_dict().values(), *maker.state_dict().values(), *judge(x), *judge(x, drawn(judge, 8)),
            images, maker(latent, drawn(maker, 6)), torch.tensor([joins_batches(judge), compares_halves(judge)])]


def alike(first: list[torch.Tensor], second: list[torch.Tensor]) -> bool:
    return [x.shape for x in first] == [x.shape for x in second] and all(map(torch.equal, first, second))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_key_changes_the_networks_or_is_refused_with_the_family_s_name(family):
    for key, values, setting in CASES:
        configs = [dataclasses.replace(BASES[family], **setting, **{key: value}) for value in values]
        told = [refused(config) for config in configs]
        for words in filter(None, told):
            assert family in words and len(words.splitlines()) <= 3, words
        found = [behaviour(config) for config, words in zip(configs, told) if not words]
        same = [values for i, one in enumerate(found) for other in found[:i] if alike(one, other)]
        assert not same, f"model.{key} of family {family} is not asked, and not refused"


@pytest.mark.parametrize("family", FAMILIES)
def test_what_a_family_has_no_use_for_does_nothing_there(family):
    usual = behaviour(BASES[family])
    for key in (*DISCRIMINATORS[family], *GENERATORS[family]):
        for value in next(values for name, values, _ in CASES if name == key):
            assert alike(behaviour(dataclasses.replace(BASES[family], **{key: value})), usual), key


def test_every_key_of_the_section_and_every_family_is_tried():
    assert {item.name for item in dataclasses.fields(ModelConfig)} == OF_THE_PAIR | {key for key, *_ in CASES}
    assert set(FAMILIES) == set(BASES) == set(DISCRIMINATORS) == set(GENERATORS)


def test_all_that_is_of_no_use_is_told_at_once():
    wrong = override(small.CONV, ["model.family=mlp", "model.strides=[2]", "model.pooling=max"])
    with pytest.raises(Mistake, match=r"model.family = mlp has no use for model.strides=\[2\] and model.pooling=max:\n"
                                      r"set model.strides=\[1, 2\] and model.pooling=mean"):
        check(wrong, 4)
    with pytest.raises(Mistake, match="model.generator = mlp has no use for model.upsampling=transposed"):
        check(override(small.CONV, ["model.generator=mlp", "model.upsampling=transposed"]), 4)
    check(override(small.MLP, ["model.family=mlp", "model.generator=conv", "model.upsampling=transposed"]), 4)


def test_a_whitening_needs_images():
    with pytest.raises(Mistake, match="model.family = airbench .* train.initialise_images is 0"):
        check(override(small.AIRBENCH, ["train.initialise_images=0"]), 4)
    found = switches(small.AIRBENCH, None, [])
    assert any(line.startswith("data_dependent_initialisation: model.family") for line in found.left_out)
