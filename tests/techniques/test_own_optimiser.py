"""A player that a technique brings is trained as the technique says: against the plain Adam, in fp64."""

import dataclasses
from dataclasses import dataclass

import plain
import pytest
import small
import torch
from torch import Tensor, nn

from ssgan.config import Recipe, override
from ssgan.settings import number
from ssgan.techniques.technique import Optimiser, Size, Technique, Term, View
from ssgan.training.lanes import tree_leaves


class Picture(nn.Module):
    """One picture, black at first."""

    def __init__(self, shape: tuple[int, int, int]):
        super().__init__()
        self.pixels = nn.Parameter(torch.zeros(shape))

    def forward(self) -> Tensor:
        return self.pixels


@dataclass(frozen=True)
class MeanPicture(Technique):
    """A picture in the middle of the unlabelled images."""

    sees = frozenset({"unlabelled"})
    parts = {"picture": ("unlabelled",)}

    weight: float = number(0.0, 0, 10, "weight of the loss; 0 is off")

    def players(self, size: Size):
        """The picture."""
        return {"picture": lambda random: Picture(size.shape)}

    def optimiser(self, player: str, usual: Optimiser) -> Optimiser:
        """Nothing as in the recipe."""
        assert player == "picture" and usual.updates == 1
        return Optimiser(learning_rate=0.03, updates=3, clip=0.9, beta1=0.8, beta2=0.95, epsilon=1e-3, adam="authors",
                         averaging="zero-start", averaging_rate=0.2)

    def term(self, player: str, view: View) -> Term:
        """Its distance from them."""
        return Term((view.players["picture"]() - view.images["unlabelled"]).square().sum((1, 2, 3)).mean())


@pytest.fixture
def recipe(monkeypatch) -> Recipe:
    """One with the technique on, whose learning rate decays."""
    return override(small.recipe_with(monkeypatch, "picture", MeanPicture(weight=0.5)), ["train.schedule=linear"])


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_it_is_trained_as_the_technique_says(recipe, compiled):
    if compiled:
        small.need_compiler()
    trainer = small.trainer(recipe, dataclasses.replace(small.FP64, compiled=compiled))
    its = MeanPicture().optimiser("picture", Optimiser(0.1, 1, 0, 0, 0, 0, "", "", 0))
    settings = {key: value for key, value in its._asdict().items() if key != "updates"}
    slow = dataclasses.replace(recipe, train=dataclasses.replace(recipe.train, **settings))
    adam = plain.Adam(slow)
    weights, history = {"pixels": torch.zeros(2, 6, 8, dtype=torch.float64)}, []
    for step in range(4):
        trainer.feed.open(step, trainer.gan.trained)
        drawn = trainer._draw()["picture"]
        assert len(drawn) == 3
        trainer.step()
        for each in drawn:
            gradient = recipe.picture.weight * 2 * (weights["pixels"] - each["images"]["unlabelled"][0]).mean(0)
            length = gradient.square().sum().sqrt()
            gradient = gradient * 0.9 / length if length > 0.9 else gradient
            adam.step(weights, {"pixels": gradient}, 0.03 * (1 - step / trainer.steps))
            history.append(dict(weights))
        average = plain.average(slow, history, "pixels")
        for what, expected in (("weights", weights["pixels"]), ("average", average)):
            torch.testing.assert_close(small.weights(trainer, "picture", what)[0], expected.flatten(), rtol=0,
                                       atol=1e-12)


def test_the_others_are_trained_as_without_it(recipe):
    alone = dataclasses.replace(recipe, picture=MeanPicture(weight=0))
    one, other = (small.trainer(each) for each in (recipe, alone))
    for _ in range(3):
        one.step(), other.step()
    for player in small.PLAYERS:
        mine, its = (tree_leaves(trainer.state["players"][player]) for trainer in (one, other))
        assert all(map(torch.equal, mine, its))


def test_a_player_of_which_nothing_is_said_is_trained_as_the_recipe_says(recipe, monkeypatch):
    monkeypatch.setattr(MeanPicture, "optimiser", Technique.optimiser)
    chosen = override(recipe, ["train.clip=3", "train.beta1=0.7", "train.generator_learning_rate=1",
                               "train.discriminator_updates=2"])
    trainer = small.trainer(chosen)
    its = trainer.gan.players["picture"].optimiser
    mine = trainer.gan.players["discriminator"].optimiser
    assert its == mine._replace(updates=1) and its.clip == 3 and its.beta1 == 0.7 and its.learning_rate == 0.003
    assert trainer.gan.players["generator"].optimiser == its._replace(learning_rate=1)


def test_one_lane_that_is_not_finite_leaves_the_others_bits(recipe):
    sound, struck = (small.trainer(recipe, small.FP32, (3, 4)) for _ in range(2))
    small.spoil(struck, 1, "picture")
    for _ in range(3):
        sound.step(), struck.step()
    pairs = [(a, b) for a, b in zip(tree_leaves(sound.state), tree_leaves(struck.state)) if a.dim()]
    assert all(torch.equal(a[0], b[0]) for a, b in pairs)
    assert [failure.lane for failure in struck.failures()] == [1]
