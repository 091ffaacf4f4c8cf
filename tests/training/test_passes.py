"""The step against the plain implementation in plain.py: losses, gradients, weights and averages in fp64."""

import pytest
import torch

import plain
import small
from ssgan.config import override
from ssgan.models.context import Context
from ssgan.models.functional import widened
from ssgan.training.execution import Resolved, prepare_process
from ssgan.techniques.virtual_adversarial import unit, vat_loss
from ssgan.training.passes import DiscriminatorBatch, Weights, discriminator_loss, generator_loss
from ssgan.training.trainer import Trainer

AUTHORS = ["train.adam=authors", "train.averaging=zero-start"]
CONSISTENCY = ["consistency.weight=0.7", "consistency.threshold=0.44", "consistency.start=0.2", "augment.shift=1", "augment.rotation=20"]
EARLY = [*AUTHORS, "train.averaging_rate=0.3", "consistency.threshold=0.3"]  # averages that are young are not confident
CASES = {
    "mlp": (small.MLP, []),
    "mlp, the authors' Adam and averages": (small.MLP, AUTHORS),
    "mlp, consistency": (small.MLP, [*CONSISTENCY, "gan.weight=0.5"]),
    "mlp, consistency from the start with averages from zero": (small.MLP, [*CONSISTENCY, *EARLY, "consistency.start=0"]),
    "mlp, no generator": (small.MLP, ["gan.weight=0", "train.schedule=cosine"]),
    "mlp, no generator, consistency from the start": (small.MLP, [*CONSISTENCY, "gan.weight=0", "consistency.start=0", "consistency.balance=0.3"]),
    "conv": (small.CONV, ["train.schedule=linear", "train.decay_from=0.1"]),
    "conv, the authors' Adam, consistency": (small.CONV, [*CONSISTENCY, *EARLY, "consistency.threshold=0.31"]),
    "mlp, few labelled and generated images a step": (small.MLP, ["train.labelled_share=0.3", "train.generated_share=0.5", *CONSISTENCY]),
    "conv, other strides, dense generator": (small.CONV, ["model.strides=[2, 1, 1]", "model.generator=mlp", "model.generator_widths=[7, 6]"]),
    "conv, no pooling": (small.CONV, ["model.pooling=none", "model.strides=[2, 1]"]),
    "mlp, balance alone": (small.MLP, ["gan.weight=0", "consistency.balance=2"]),
    "conv, balance": (small.CONV, ["consistency.balance=2"]),
    "mlp, virtual adversarial training": (small.MLP, [*CONSISTENCY, "vat.weight=0.1", "vat.epsilon=0.8"]),
    "mlp, virtual adversarial training alone": (small.MLP, ["gan.weight=0", "vat.weight=0.2", "vat.share=1"]),
    "conv, virtual adversarial training": (small.CONV, ["vat.weight=1", "vat.share=0.3", "consistency.balance=0.5", "model.pooling=none"]),
    "mlp, pull-away": (small.MLP, ["gan.pull_away=3"]),
    "conv, the complement generator's losses": (small.CONV, ["gan.pull_away=0.7", "consistency.entropy=0.4"]),
    "mlp, entropy alone": (small.MLP, ["gan.weight=0", "consistency.entropy=2"]),
    "conv, no generator": (small.CONV, ["gan.weight=0"]),
    "mlp, plain output": (small.MLP, ["model.output=plain"]),
    "conv, plain output with small first logits": (small.CONV, ["model.output=plain", "model.output_scale=0.02", "vat.weight=1"]),
}


def draws(trainer: Trainer, lane: int) -> plain.Draws:
    """What the trainer's next step draws for a lane; the noise of its one pass is cut into that of three."""
    drawn, config = trainer._draw(), trainer.config
    parts = [config.labelled_images, config.batch, config.generated_images]
    images = [None if x is None else x[lane] for x in drawn[:5]]
    latents = [x[lane] for x in drawn.latents or ()] or [None, None]
    one_pass = [site[lane] for site in drawn.context.noise]
    three = [[site[sum(parts[:i]): sum(parts[:i + 1])] for site in one_pass] for i in range(3)]
    others = [[site[lane] for site in context.noise] for context in drawn.generator_contexts or ()] or [[], []]
    directions = None if drawn.directions is None else drawn.directions[lane]
    return plain.Draws(*images, *latents, *three, *others, directions)


def watched_gradients(trainer: Trainer) -> list[torch.Tensor]:
    """A list that the trainer's next gradients [r, p] are appended to."""
    found = []
    for adam in trainer.adams:
        adam.step = lambda gradient, step=adam.step: (found.append(gradient.clone()), step(gradient))
    return found


def largest_difference(stack, flat: torch.Tensor, lane: int, expected: plain.Weights) -> float:
    found = small.lane_weights(stack, flat, lane)
    return max((found[name] - value).abs().max().item() for name, value in expected.items())


@pytest.mark.parametrize("lanes", [1, 2])
@pytest.mark.parametrize("case", CASES)
def test_steps_are_those_of_the_plain_implementation(case, lanes):
    check_steps(case, lanes, small.FP64)


def check_steps(case: str, lanes: int, resolved: Resolved) -> None:
    """Three steps of a case beside the plain ones, in fp64; gradients too, where Python sees them."""
    base, settings = CASES[case]
    trainer = small.trainer(override(base, ["train.epochs=1", *settings]), resolved, tuple(range(3, 3 + lanes)))
    stacks = trainer.stacks
    models = [plain.Plain(trainer.recipe, *(small.lane_weights(stack, stack.flat, lane) for stack in stacks), trainer.steps)
              for lane in range(lanes)]
    taught = []
    for _ in range(3):
        drawn = [draws(trainer, lane) for lane in range(lanes)]
        gradients = [] if resolved.compiled else watched_gradients(trainer)
        trainer.step()
        for lane, (model, draw) in enumerate(zip(models, drawn)):
            model.step(draw)
            assert dict(zip(trainer.names, trainer.sums[lane].tolist())) == pytest.approx(model.losses, rel=0, abs=1e-12)
            for stack, gradient, expected in zip(stacks, gradients, model.gradients):
                assert largest_difference(stack, gradient, lane, expected) < 1e-12
            taught.append(model.losses.get("confident", 0.0))
        trainer.sums.zero_()
        for adam in trainer.adams:
            vars(adam).pop("step", None)  # the method again
    for lane, model in enumerate(models):
        for network in range(1 + trainer.with_generator):
            stack = stacks[network]
            assert largest_difference(stack, stack.flat, lane, model.weights[network]) < 1e-9
            assert largest_difference(stack, trainer.averages[network], lane, model.averages(network)) < 1e-9
    if trainer.weights.consistency > 0:
        assert any(0 < share < 1 for share in taught), "the case must teach some images and leave others out"


def test_without_a_generator_its_weights_stay():
    trainer = small.trainer(override(small.MLP, ["gan.weight=0"]))
    before = trainer.generator.flat.clone()
    trainer.step()
    assert torch.equal(trainer.generator.flat, before) and "generator_loss" not in trainer.names


@pytest.fixture
def linear():
    """A discriminator that is one matrix, whose features are its logits, and which remembers its calls."""
    weight = torch.randn(6, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)

    def discriminator(x, context):
        discriminator.calls.append((len(x), context))
        logits = x.flatten(1) @ weight
        return logits, logits

    discriminator.weight, discriminator.calls = weight, []
    return discriminator


def some(n: int, seed: int) -> torch.Tensor:
    return torch.rand(n, 1, 2, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_discriminator_sees_all_kinds_of_images_in_one_pass(linear):
    labels, mask = torch.tensor([0, 2, 1]), torch.tensor([1.0, 0, 1, 1])
    batch = DiscriminatorBatch(some(3, 1), labels, some(4, 2), some(5, 3), torch.tensor([0, 1, 2, 0]), mask)
    context = Context((torch.ones(1),))
    loss, parts = discriminator_loss(linear, batch, context, Weights(2.0, 3.0))
    assert linear.calls == [(12, context)]
    assert loss.item() == pytest.approx(parts["labelled_loss"] + 2 * parts["unlabelled_loss"] + 3 * parts["consistency_loss"])
    assert parts["confident"].item() == 0.75
    assert loss.requires_grad and not any(part.requires_grad for part in parts.values())


def test_kinds_of_images_that_no_loss_needs_are_left_out(linear):
    loss, parts = discriminator_loss(linear, DiscriminatorBatch(some(3, 1), torch.tensor([0, 2, 1]), None, None, None, None), Context(), Weights(0, 0))
    assert [n for n, _ in linear.calls] == [3]
    assert loss.item() == parts["labelled_loss"] and set(parts) == {"labelled_loss", "labelled_error"}


def test_the_generator_is_taught_by_the_generated_images_alone(linear):
    generated = some(5, 3).requires_grad_()
    real = some(4, 2).requires_grad_()
    loss = generator_loss(lambda x, context: linear(x, context)[1], real, generated, Context((torch.zeros(1),)), Context((torch.ones(1),)))
    assert [(n, context.noise[0].item()) for n, context in linear.calls] == [(4, 0), (5, 1)]
    mean_difference = (real.flatten(1).mean(0) - generated.flatten(1).mean(0)) @ linear.weight
    torch.testing.assert_close(loss, (mean_difference ** 2).mean())
    expected = torch.autograd.grad((mean_difference ** 2).mean(), generated)[0]
    gradients = torch.autograd.grad(loss, [generated, real], allow_unused=True)
    torch.testing.assert_close(gradients[0], expected)
    assert gradients[1] is None


def test_losses_of_half_precision_products_are_taken_in_fp32():
    assert widened(torch.ones(1, dtype=torch.bfloat16)).dtype == torch.float32
    assert widened(torch.ones(1, dtype=torch.float64)).dtype == torch.float64

    def half(x, context):
        logits = x.flatten(1)[:, :3].bfloat16()
        return logits, logits

    loss, parts = discriminator_loss(half, DiscriminatorBatch(some(3, 1), torch.tensor([0, 2, 1]), some(4, 2), some(5, 3), None, None), Context(), Weights(1, 0))
    assert loss.dtype == parts["unlabelled_loss"].dtype == torch.float32
    assert generator_loss(lambda x, context: half(x, context)[1], some(4, 2), some(5, 3), Context(), Context()).dtype == torch.float32


@pytest.mark.parametrize("margin", [0.0, 2.0, 20.0, 45.0, 60.0, 70.0, 80.0])
def test_adversarial_changes_have_their_length_however_sure_the_answers_are(margin):
    """From a margin of 45 on, the squares of the gradient that points to them are below all that float32 holds; at 80 parts of it are too."""
    prepare_process()  # as in a run: numbers below 1e-38 are zero
    generator, seen = torch.Generator().manual_seed(0), []
    weight, images, directions = (torch.randn(shape, generator=generator) for shape in ((3, 16), (5, 1, 4, 4), (5, 1, 4, 4)))

    def discriminator(x, context):
        seen.append(x)
        return x.flatten(1) @ weight.T / 10 + torch.tensor([margin, 0, 0]), None

    loss = vat_loss(discriminator, images, directions, 2.0)
    lengths = (seen[-1] - images).flatten(1).norm(dim=1)
    torch.testing.assert_close(lengths, torch.full((5,), 2.0), rtol=1e-4, atol=0)
    assert -1e-6 < loss < 5


def test_images_without_length_stay_zero_and_all_others_get_length_one():
    x = torch.randn(4, 1, 3, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([0, 1e-30, 1, 1e30]).view(4, 1, 1, 1)
    lengths = unit(x).flatten(1).norm(dim=1)
    torch.testing.assert_close(lengths, torch.tensor([0.0, 1, 1, 1]))
