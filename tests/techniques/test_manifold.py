"""Manifold regularisation of a linear classifier and generator by hand. (Its steps: tests/technique_cases.py.)"""

import pytest
import small
import torch

from ssgan.config import override
from ssgan.errors import Mistake
from ssgan.models.context import Context
from ssgan.techniques import active
from ssgan.techniques.manifold import Manifold
from ssgan.techniques.technique import View


def drawn(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def linear_view(weight: torch.Tensor, spread: torch.Tensor, latent: torch.Tensor, change: torch.Tensor) -> View:
    """logits = x W, and images z S."""
    players = {"discriminator": lambda x, context: (x.flatten(1) @ weight, None),
               "generator": lambda z, context: (z @ spread).unflatten(1, (1, 2, 3))}
    return View({"generated": players["generator"](latent, Context())}, {}, {}, {}, players, {"change": change}, {}, {},
                torch.full((3,), 1 / 3), {}, latent, Context())


@pytest.mark.parametrize("epsilon", [0.5, 10])
def test_it_is_the_change_of_the_logits_along_what_the_generator_can_make(epsilon):
    weight, spread = drawn(6, 3, seed=0).requires_grad_(), drawn(2, 6, seed=1)
    latent, change = drawn(5, 2, seed=2), drawn(5, 2, seed=3)
    technique = Manifold(weight=1, epsilon=epsilon, step=0.3)
    term = technique.term("discriminator", linear_view(weight, spread, latent, change))
    expected = 0.0
    for e in change:
        way = (0.3 * e) @ spread
        expected = expected + (epsilon * way / (way ** 2).sum().sqrt() @ weight).abs().sum() / len(change)
    torch.testing.assert_close(term.loss, expected)
    assert torch.autograd.gradcheck(
        lambda w: technique.term("discriminator", linear_view(w, spread, latent, change)).loss, weight)


def test_a_classifier_that_is_flat_along_the_surface_pays_nothing():
    spread = torch.eye(6, dtype=torch.float64)[:2]  # pixels 0 and 1 alone are ever lit
    weight = drawn(6, 3, seed=0)
    weight[:2] = 0
    view = linear_view(weight, spread, drawn(5, 2, seed=2), drawn(5, 2, seed=3))
    assert Manifold(weight=1).term("discriminator", view).loss == 0
    still = linear_view(drawn(6, 3, seed=0), spread, drawn(5, 2, seed=2), torch.zeros(5, 2, dtype=torch.float64))
    assert Manifold(weight=1).term("discriminator", still).loss == 0, "a generator that stands still shows no way"


@pytest.mark.parametrize("setting", ["instance_noise.std=0.1", "model.minibatch_kernels=3"])
def test_what_takes_images_off_the_surface_or_couples_them_is_a_mistake(setting):
    with pytest.raises(Mistake, match=r"\[manifold\] and .* cannot be combined"):
        small.trainer(override(small.MLP, ["manifold.weight=1", setting]))


def test_it_is_off_without_a_generator_and_only_it_asks_for_its_network():
    recipe = override(small.MLP, ["manifold.weight=1"])
    assert "manifold" not in active(override(recipe, ["gan.weight=0"]))
    assert small.trainer(recipe).gan.beside["discriminator"] == ("generator",)
    assert small.trainer(small.MLP).gan.beside["discriminator"] == ()
