"""The step against the plain implementation in plain.py: losses, gradients, weights and averages in fp64."""

import itertools

import plain
import plain_networks
import pytest
import small
import technique_cases
import torch

from ssgan.config import override
from ssgan.models import mlp
from ssgan.models.context import Context
from ssgan.models.functional import widened
from ssgan.techniques.virtual_adversarial import unit, vat_loss
from ssgan.training import optimisers
from ssgan.training.execution import Resolved, prepare_process
from ssgan.training.lanes import tree_map
from ssgan.training.passes import outputs
from ssgan.training.trainer import Trainer

AUTHORS = ["train.adam=authors", "train.averaging=zero-start"]
CONSISTENCY = ["consistency.weight=0.7", "consistency.threshold=0.44", "consistency.start=0.2", "augment.shift=1",
               "augment.rotation=20"]
EARLY = [*AUTHORS, "train.averaging_rate=0.3", "consistency.threshold=0.3"]  # averages that are young are not confident
CASES = {
    "mlp": (small.MLP, []),
    "mlp, the authors' Adam and averages": (small.MLP, AUTHORS),
    "mlp, consistency": (small.MLP, [*CONSISTENCY, "gan.weight=0.5"]),
    "mlp, consistency from the start with averages from zero": (
        small.MLP, [*CONSISTENCY, *EARLY, "consistency.start=0"]),
    "mlp, no generator": (small.MLP, ["gan.weight=0", "train.schedule=cosine"]),
    "mlp, no generator, consistency from the start": (small.MLP,
                                                      [*CONSISTENCY, "gan.weight=0", "consistency.start=0",
                                                       "consistency.balance=0.3"]),
    "conv": (small.CONV, ["train.schedule=linear", "train.decay_from=0.1"]),
    "conv, the authors' Adam, consistency": (small.CONV, [*CONSISTENCY, *EARLY, "consistency.threshold=0.31"]),
    "mlp, few labelled and generated images a step": (small.MLP,
                                                      ["train.labelled_share=0.3", "train.generated_share=0.5",
                                                       *CONSISTENCY]),
    "conv, other strides, dense generator": (
        small.CONV, ["model.strides=[2, 1, 1]", "model.generator=mlp", "model.generator_widths=[7, 6]"]),
    "conv, no pooling": (small.CONV, ["model.pooling=none", "model.strides=[2, 1]"]),
    "mlp, balance alone": (small.MLP, ["gan.weight=0", "consistency.balance=2"]),
    "conv, balance": (small.CONV, ["consistency.balance=2"]),
    "mlp, forward balance": (small.MLP, ["class_balance.weight=2", "class_balance.divergence=forward"]),
    "mlp, virtual adversarial training": (small.MLP, [*CONSISTENCY, "vat.weight=0.1", "vat.epsilon=0.8"]),
    "mlp, virtual adversarial training alone": (small.MLP, ["gan.weight=0", "vat.weight=0.2", "vat.share=1"]),
    "conv, virtual adversarial training": (
        small.CONV, ["vat.weight=1", "vat.share=0.3", "consistency.balance=0.5", "model.pooling=none"]),
    "mlp, pull-away": (small.MLP, ["gan.pull_away=3"]),
    "conv, the complement generator's losses": (small.CONV, ["gan.pull_away=0.7", "consistency.entropy=0.4"]),
    "mlp, entropy alone": (small.MLP, ["gan.weight=0", "consistency.entropy=2"]),
    "conv, no generator": (small.CONV, ["gan.weight=0"]),
    "mlp, absolute feature matching": (small.MLP,
                                       ["feature_matching.distance=absolute", "feature_matching.weight=0.3"]),
    "mlp, features and their first layer matched": (
        small.MLP, ["feature_matching.layers=[0, 1, 1]", "train.generator_updates=2"]),
    "mlp, both hidden layers matched, and a loss of logits": (
        small.MLP, ["feature_matching.layers=[2, 1]", "feature_matching.distance=absolute", "conditional.weight=0.4"]),
    "conv, maps matched": (small.CONV, ["feature_matching.layers=[2, 0, 1]", "feature_matching.weight=2"]),
    "conv, maps matched in absolute distance, no pooling, spectral norm": (
        small.CONV, ["feature_matching.layers=[3, 1]", "feature_matching.distance=absolute", "model.pooling=none",
                     "model.norm=spectral"]),
    "mlp, pull-away alone": (small.MLP, ["feature_matching.weight=0", "gan.pull_away=2"]),
    "mlp, two time scales": (small.MLP, ["train.generator_learning_rate=0.001", "train.schedule=linear"]),
    "mlp, two updates of the discriminator": (small.MLP,
                                              ["train.discriminator_updates=2", *CONSISTENCY, "vat.weight=0.1"]),
    "conv, three updates of the generator, the authors' Adam": (small.CONV, [*AUTHORS, "train.generator_updates=3"]),
    "mlp, short gradients": (small.MLP, ["train.clip=0.05"]),
    "mlp, historical averaging, two updates of the generator": (
        small.MLP, ["historical_averaging.weight=3", "train.generator_updates=2"]),
    "mlp, historical averaging, short gradients, no generator": (
        small.MLP, ["historical_averaging.weight=0.2", "train.clip=0.1", "gan.weight=0"]),
    "mlp, a generator that is told classes": (small.MLP, ["conditional.weight=0.4"]),
    "conv, a generator that is told classes, two updates": (
        small.CONV, ["conditional.weight=0.4", "feature_matching.weight=0", "train.generator_updates=2"]),
    "mlp, gradient penalty": (small.MLP, ["gradient_penalty.weight=2"]),
    "mlp, one-sided gradient penalty": (small.MLP,
                                        ["gradient_penalty.weight=3", "gradient_penalty.one_sided=true",
                                         "gradient_penalty.target=0.35"]),
    "conv, lazy gradient penalty at real images": (
        small.CONV, ["gradient_penalty.weight=5", "gradient_penalty.at=real", "gradient_penalty.target=0",
                     "gradient_penalty.every=2"]),
    "mlp, spectral norm, two updates": (small.MLP,
                                        ["model.norm=spectral", *CONSISTENCY, "consistency.start=0",
                                         "consistency.threshold=0.3", "train.discriminator_updates=2"]),
    "conv, spectral norm": (small.CONV, ["model.norm=spectral", "gradient_penalty.weight=0.5", "vat.weight=0.3"]),
    "mlp, minibatch discrimination": (
        small.MLP, ["model.minibatch_kernels=3", "model.minibatch_dimensions=2", "model.output_scale=0.5", *CONSISTENCY,
                    "consistency.start=0", "consistency.threshold=0.32", "gan.weight=0.7"]),
    "conv, minibatch discrimination, a loss of the generator that reads logits": (
        small.CONV, ["model.minibatch_kernels=2", "conditional.weight=0.4", "feature_matching.layers=[0, 2]",
                     "train.labelled_share=0.4"]),
    "mlp, plain output": (small.MLP, ["model.output=plain"]),
    "conv, plain output with small first logits": (small.CONV,
                                                   ["model.output=plain", "model.output_scale=0.02", "vat.weight=1"]),
    **technique_cases.CASES,
}


def draws(trainer: Trainer, lane: int) -> list[plain.Draws]:
    """What the trainer's next step draws for a lane, by update; the noise of the discriminator's one pass is cut into
    that of three.
    """
    trainer.feed.open(trainer.done, trainer.gan.trained)
    drawn = {name: [tree_map(lambda x: x[lane], each) for each in updates] for name, updates in trainer._draw().items()}
    nothing = {"images": {}, "plain": {}, "noise": {}, "latent": None, "labels": {}, "techniques": {}}
    either = itertools.zip_longest(drawn["discriminator"], drawn.get("generator", []), fillvalue=nothing)
    return [_plain_draws(trainer, *pair) for pair in either]


def _plain_draws(trainer: Trainer, mine: dict, its: dict) -> plain.Draws:
    noise = _noise_of_parts(trainer, "discriminator", mine)
    generators = _noise_of_parts(trainer, "generator", its)
    images = [mine["images"].get("labelled"), mine["labels"].get("labelled"), mine["images"].get("unlabelled"),
              mine["plain"].get("unlabelled"), its["images"].get("unlabelled")]
    others = [generators[name] for name in ("unlabelled", "generated")]
    classes = [each["context"].labels if "context" in each else None for each in (mine, its)]
    further = [mine["techniques"].get(name, {}).get(draw)
               for name, draw in (("vat", "directions"), ("gradient_penalty", "share"))]
    return plain.Draws(*images, mine["latent"], its["latent"], *noise.values(), *others, further[0], *classes,
                       further[1], (mine["techniques"], its["techniques"]),
                       tuple(each["context"].noise if "context" in each else () for each in (mine, its)))


def _noise_of_parts(trainer: Trainer, player: str, drawn: dict) -> dict[str, list[torch.Tensor]]:
    """The noise of an update's passes, cut into that of each part."""
    noise, model = {name: [] for name in ("labelled", "unlabelled", "generated")}, trainer.recipe.model
    first = model.reference_images if model.norm == "virtual" else 0  # rows of the reference batch, in every pass
    for key, sites in drawn["noise"].items():
        parts = trainer.gan.passes[player][key]
        for site in sites:
            for name, rows in zip(parts, site[first:].split([trainer.gan.counts[part] for part in parts])):
                noise[name].append(torch.cat([site[:first], rows]))
    return noise


def watched_gradients(monkeypatch, trainer: Trainer) -> dict[str, torch.Tensor]:
    """The gradients [r, p] that the trainer's next step descends, by player; of several updates the last."""
    found, adam = {}, optimisers.adam

    def watching(config, weights, state, gradient, *rest, **options) -> None:
        player = next(name for name in small.PLAYERS if weights is small.weights(trainer, name))
        found[player] = gradient.clone()
        adam(config, weights, state, gradient, *rest, **options)

    monkeypatch.setattr(optimisers, "adam", watching)
    return found


def largest_difference(trainer: Trainer, player: str, flat: torch.Tensor, lane: int, expected: plain.Weights) -> float:
    found = small.lane_weights(trainer, player, flat, lane)
    return max((found[name] - value).abs().max().item() for name, value in expected.items())


@pytest.mark.parametrize(("case", "lanes"), [
    pytest.param(case, lanes, marks=[pytest.mark.slow] if lanes > 1 and case in technique_cases.CASES else [])
    for case in CASES for lanes in (1, 2)])
def test_steps_are_those_of_the_plain_implementation(case, lanes, monkeypatch):
    check_steps(case, lanes, small.FP64, monkeypatch)


def check_steps(case: str, lanes: int, resolved: Resolved, monkeypatch=None) -> None:
    """Three steps of a case beside the plain ones, in fp64; gradients too, where Python sees them."""
    base, settings = CASES[case]
    trainer = small.trainer(override(base, ["train.epochs=1", *settings]), resolved, tuple(range(3, 3 + lanes)))
    taught = check_trainer(trainer, [None] * lanes, monkeypatch)
    if trainer.recipe.consistency.weight > 0:
        assert any(0 < share < 1 for share in taught), "the case must teach some images and leave others out"


def check_trainer(trainer: Trainer, shares: list[list[float] | None], monkeypatch=None) -> list[float]:
    """Three steps of a trainer beside the plain ones of every lane, which has these class shares; how many images were
    taught in each.
    """
    lanes = len(shares)
    models = [plain.Plain(trainer.recipe,
                          *(small.lane_weights(trainer, player, small.weights(trainer, player), lane)
                            for player in small.PLAYERS), trainer.steps, shares[lane])
              for lane in range(lanes)]
    taught = []
    gradients = watched_gradients(monkeypatch, trainer) if monkeypatch else {}
    for _ in range(3):
        drawn = [draws(trainer, lane) for lane in range(lanes)]
        trainer.step()
        for lane, (model, draw) in enumerate(zip(models, drawn)):
            model.step(draw)
            assert dict(zip(trainer.names, trainer.sums[lane].tolist())) == pytest.approx(
                model.losses, rel=0, abs=1e-12)
            for player, gradient in gradients.items():
                assert largest_difference(trainer, player, gradient, lane,
                                          model.gradients[small.PLAYERS.index(player)]) < 1e-12
            taught.append(model.losses.get("confident", 0.0))
        trainer.sums.zero_()
    for lane, model in enumerate(models):
        for network, player in enumerate(trainer.gan.trained):
            assert largest_difference(trainer, player, small.weights(trainer, player), lane,
                                      model.weights[network]) < 1e-9
            assert largest_difference(trainer, player, small.weights(trainer, player, "average"), lane,
                                      model.averages(network)) < 1e-9
    return taught


def test_without_a_generator_its_weights_stay():
    trainer = small.trainer(override(small.MLP, ["gan.weight=0"]))
    before = small.weights(trainer, "generator").clone()
    trainer.step()
    assert torch.equal(small.weights(trainer, "generator"), before) and "generator_loss" not in trainer.names


@pytest.fixture
def linear():
    """A discriminator that is one matrix, whose features are its logits, and which remembers its calls."""
    weight = torch.randn(6, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)

    def discriminator(x, context):
        discriminator.calls.append((len(x), context))
        logits = x.flatten(1) @ weight
        return logits, logits

    discriminator.weight, discriminator.calls = weight, []
    discriminator.features = lambda x, context: discriminator(x, context)[1]
    return discriminator


def some(n: int, seed: int) -> torch.Tensor:
    return torch.rand(n, 1, 2, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


IMAGES = {"labelled": some(3, 1), "unlabelled": some(4, 2), "generated": some(5, 3)}


def test_parts_that_share_a_pass_go_through_it_at_once_and_come_apart_again(linear):
    passes, noise = {"all": ("labelled", "unlabelled", "generated")}, {"all": (torch.ones(1),)}
    out = outputs(linear, passes, IMAGES, noise, set(IMAGES), True)
    assert linear.calls == [(12, Context(noise["all"], generated=5))]
    for part, x in IMAGES.items():
        torch.testing.assert_close(out[part].logits, x.flatten(1) @ linear.weight)
        assert out[part].logits.requires_grad and torch.equal(out[part].logits, out[part].features)


def test_parts_that_a_player_did_not_make_have_no_gradient(linear):
    images = {part: x.clone().requires_grad_() for part, x in IMAGES.items()}
    passes = {"unlabelled": ("unlabelled",), "generated": ("generated",)}
    out = outputs(linear, passes, images, {part: (torch.full((1,), i),) for i, part in enumerate(passes)},
                  {"generated"}, False)
    assert [(n, context.noise[0].item()) for n, context in linear.calls] == [(4, 0), (5, 1)]
    assert out["generated"].features.requires_grad and not out["unlabelled"].features.requires_grad
    assert out["generated"].logits is None


def test_a_discriminator_that_couples_a_batch_takes_a_pass_a_part(monkeypatch):
    """Which for one that does not comes to the same, where there is no noise."""
    recipe = override(small.MLP, ["model.input_noise=0", "model.hidden_noise=0"])
    one = small.trainer(recipe)
    assert list(one.gan.passes["discriminator"].values()) == [("labelled", "unlabelled", "generated")]
    monkeypatch.setattr(mlp.Discriminator, "couples_batch", True)
    apart = small.trainer(recipe)
    assert list(apart.gan.passes["discriminator"].values()) == [("labelled",), ("unlabelled",), ("generated",)]
    for trainer in (one, apart):
        trainer.step()
        trainer.step()
    torch.testing.assert_close(apart.sums, one.sums, rtol=0, atol=1e-9)
    torch.testing.assert_close(small.weights(apart), small.weights(one), rtol=0, atol=1e-9)


@pytest.mark.parametrize("base", [small.MLP, small.CONV], ids=["mlp", "conv"])
@pytest.mark.parametrize("logits", [False, True])
def test_activations_of_hidden_layers_come_of_the_one_pass(base, logits):
    trainer = small.trainer(base)
    tensors = small.lane_weights(trainer, "discriminator", small.weights(trainer), 0)
    images = {part: torch.rand(n, 2, 6, 8, generator=torch.Generator().manual_seed(n), dtype=torch.float64)
              for part, n in (("unlabelled", 4), ("generated", 5))}
    with trainer.gan.players["discriminator"].layout.of(tensors) as module:
        out = outputs(module, {"both": tuple(images)}, images, {"both": ()}, set(images), logits, [1, 2])
        alone = outputs(module, {"both": tuple(images)}, images, {"both": ()}, set(images), logits)
    for part, x in images.items():
        hidden = []
        plain_networks.discriminator(base, tensors, x, None, hidden)
        assert set(out[part].hidden) == {1, 2} and alone[part].hidden == {}
        for layer, found in out[part].hidden.items():
            torch.testing.assert_close(found, hidden[layer - 1], rtol=0, atol=1e-12)
        assert torch.equal(out[part].features, alone[part].features) and (out[part].logits is None) is not logits


def test_whole_images_are_shown_with_the_scales_that_others_of_their_pass_carry():
    seen = []

    def discriminator(x, context):
        seen.append(x)
        return x.flatten(1)[:, :3], x.flatten(1)[:, :3]

    whole, carrying = torch.rand(3, 1, 2, 4), torch.rand(5, 1, 3, 4)
    images = {"labelled": whole, "generated": carrying}
    out = outputs(discriminator, {"both": tuple(images)}, images, {"both": ()}, set(images), True)
    assert torch.equal(seen[0][3:], carrying) and torch.equal(seen[0][:3, :, :2], whole)
    torch.testing.assert_close(seen[0][:3, 0, 2], torch.stack(
        [whole[..., :2].mean((1, 2, 3)), whole[..., 2:].mean((1, 2, 3)), torch.zeros(3), torch.zeros(3)], 1))
    assert [len(out[part].logits) for part in images] == [3, 5]
    outputs(discriminator, {"alone": ("labelled",)}, images, {"alone": ()}, set(images), True)
    assert seen[1] is whole


def test_what_half_precision_products_say_is_given_to_losses_in_fp32():
    assert widened(torch.ones(1, dtype=torch.bfloat16)).dtype == torch.float32
    assert widened(torch.ones(1, dtype=torch.float64)).dtype == torch.float64

    def half(x, context):
        logits = x.flatten(1)[:, :3].bfloat16()
        return logits, logits

    out = outputs(half, {"labelled": ("labelled",)}, IMAGES, {"labelled": ()}, set(IMAGES), True)
    assert out["labelled"].logits.dtype == out["labelled"].features.dtype == torch.float32


@pytest.mark.parametrize("margin", [0.0, 2.0, 20.0, 45.0, 60.0, 70.0, 80.0])
def test_adversarial_changes_have_their_length_however_sure_the_answers_are(margin):
    """From a margin of 45 on, the squares of the gradient that points to them are below all that float32 holds; at 80
    parts of it are too.
    """
    prepare_process()  # as in a run: numbers below 1e-38 are zero
    generator, seen = torch.Generator().manual_seed(0), []
    weight, images, directions = (torch.randn(shape, generator=generator)
                                  for shape in ((3, 16), (5, 1, 4, 4), (5, 1, 4, 4)))

    def discriminator(x, context):
        seen.append(x)
        return x.flatten(1) @ weight.T / 10 + torch.tensor([margin, 0, 0]), None

    loss = vat_loss(discriminator, images, directions, 2.0)
    lengths = (seen[-1] - images).flatten(1).norm(dim=1)
    torch.testing.assert_close(lengths, torch.full((5,), 2.0), rtol=1e-4, atol=0)
    assert -1e-6 < loss < 5


def test_images_without_length_stay_zero_and_all_others_get_length_one():
    x = torch.randn(4, 1, 3, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([0, 1e-30, 1, 1e30]).view(
        4, 1, 1, 1)
    lengths = unit(x).flatten(1).norm(dim=1)
    torch.testing.assert_close(lengths, torch.tensor([0.0, 1, 1, 1]))
