"""LeCam regularisation by loops, by finite differences, in lanes, as the program that is compiled, and resumed."""

import dataclasses
import math

import pytest
import small
import torch

from ssgan.config import override
from ssgan.techniques.lecam import LeCam
from ssgan.techniques.technique import Output, View
from ssgan.training import compile as compiled_module
from ssgan.training.lanes import tree_leaves

RECIPE = override(small.MLP, ["lecam.weight=0.3", "lecam.decay=0.6", "adversarial.weight=0.5"])
ITS = RECIPE.lecam


def some(n: int, seed: int) -> torch.Tensor:
    return 2 * torch.randn(n, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def term(unlabelled: torch.Tensor, generated: torch.Tensor, state: dict):
    out = {"unlabelled": Output(unlabelled, unlabelled), "generated": Output(generated, generated)}
    return ITS.term("discriminator", View({}, {}, out, {}, {}, {}, state, {}, torch.ones(3)))


def test_over_updates_it_is_the_loop_over_images():
    state = {name: value.double() for name, value in ITS.state(None).items()}
    means = [0.0, 0.0]
    for t in range(1, 6):
        kinds = some(4, t), some(5, 10 + t)
        found = term(*kinds, state)
        z = [[math.log(sum(math.exp(logit) for logit in row)) for row in logits.tolist()] for logits in kinds]
        share = max(1 / t, 0.4)
        means = [(1 - share) * mean + share * sum(each) / len(each) for mean, each in zip(means, z)]
        wanted = sum(sum((each - means[1 - kind]) ** 2 for each in z[kind]) / len(z[kind]) for kind in (0, 1))
        assert found.loss.item() == pytest.approx(wanted, abs=1e-12) and found.measured["lecam_loss"] is found.loss
        state = dict(found.state)
        assert [state["unlabelled"].item(), state["generated"].item()] == pytest.approx(means, abs=1e-12)


def test_its_gradient_is_that_of_finite_differences_where_the_means_are_held():
    """Of an update in which the newest images hardly count in the means."""
    state = {name: torch.tensor(value, dtype=torch.float64) for name, value in (
        ("unlabelled", 1.5), ("generated", -0.5), ("updates", 1e12))}
    held = dataclasses.replace(ITS, decay=0.999999)
    x, g = some(4, 1).requires_grad_(), some(5, 2).requires_grad_()

    def loss(x, g):
        out = {"unlabelled": Output(x, x), "generated": Output(g, g)}
        return held.term("discriminator", View({}, {}, out, {}, {}, {}, state, {}, torch.ones(3))).loss

    assert torch.autograd.gradcheck(loss, (x, g), atol=1e-5)


def trained(seeds: tuple[int, ...], recipe=RECIPE, resolved=small.FP64):
    trainer = small.trainer(recipe, resolved, seeds)
    for _ in range(3):
        trainer.step()
    assert trainer.failures() == []
    return trainer


def test_it_is_the_same_in_lanes_and_alone_and_as_the_compiled_program(monkeypatch):
    together, alone = trained((3, 4)), trained((4,))
    for mine, its in zip(tree_leaves(together.state), tree_leaves(alone.state)):
        if mine.dim():
            torch.testing.assert_close(mine[1], its[0], rtol=0, atol=1e-9)

    def at_once(graph, tensors):
        program = torch.no_grad()(graph)
        program(*tensors)
        return program

    monkeypatch.setattr(compiled_module, "_compile", at_once)
    compiled = trained((4,), resolved=dataclasses.replace(small.FP64, compiled=True))
    for mine, its in zip(tree_leaves(alone.state), tree_leaves(compiled.state)):
        torch.testing.assert_close(mine, its, rtol=0, atol=1e-9)


def test_off_it_changes_nothing_and_on_it_does():
    plain, off = trained((3,), override(RECIPE, ["lecam.weight=0"])), trained((3,))
    assert "lecam_loss" not in plain.names and "lecam" not in plain.state["techniques"]
    assert not torch.equal(small.weights(plain), small.weights(off)) and LeCam().is_on() is False
