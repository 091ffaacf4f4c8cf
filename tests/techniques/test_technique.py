"""The protocol: the dict of all techniques and the recipe agree, and a technique made up here is trained with nothing
of the package changed.
"""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import small
import torch
from torch import Tensor, nn
from torch.nn import functional

from ssgan import settings, training
from ssgan.config import Recipe, override
from ssgan.errors import Mistake
from ssgan.settings import number
from ssgan.techniques import TECHNIQUES, active, check, without
from ssgan.techniques.supervised import Supervised
from ssgan.techniques.technique import SEEN, Draw, Moment, Size, Technique, Term, View
from ssgan.training import checkpoint as checkpoints
from ssgan.training.lanes import tree_leaves
from ssgan.training.trainer import Trainer


class Painter(nn.Module):
    """One dense layer to a picture."""

    def __init__(self, shape: tuple[int, int, int], random: torch.Generator | None):
        super().__init__()
        self.shape = shape
        size = torch.Size(shape).numel()
        self.weight = nn.Parameter(torch.empty(size, 3) if random is None
                                   else 0.1 * torch.randn(size, 3, generator=random))

    def forward(self, z: Tensor) -> Tensor:
        return (z @ self.weight.T).sigmoid().unflatten(1, self.shape)


@dataclass(frozen=True)
class Painting(Technique):
    """A painter of mean images, and classes for mixtures with its pictures: made up, to use everything that a technique
    may.
    """

    sees = frozenset({"unlabelled", "weights"})
    parts = {"discriminator": ("labelled", "unlabelled", "mixed"), "painter": ("unlabelled",)}
    measures = ("mixed_loss",)
    excludes = {"pull_away": "both pull at the same thing"}

    weight: float = number(0.0, 0, 10, "weight of the loss; 0 is off")
    pull: float = number(0.1, 0, 1, "of the weights to their mean")

    def draws(self, player: str, size: Size) -> dict[str, Draw]:
        """A share of each mixture, its class, and the painter's numbers."""
        if player == "painter":
            return {"z": Draw((4, 3), "normal")}
        return {"share": Draw((5, 1, 1, 1), "uniform"), "classes": Draw((5,), "classes")}

    def state(self, size: Size) -> dict[str, Tensor]:
        """A running mean of the logits, and of the discriminator's weights."""
        return {"logits": torch.zeros(size.classes), "weights": torch.zeros(size.parameters["discriminator"])}

    def numbers(self, moment: Moment) -> dict[str, float]:
        """A share that falls with the step."""
        return {"share": 1 / (1 + moment.step)}

    def players(self, size: Size):
        """The painter."""
        return {"painter": lambda random: Painter(size.shape, random)}

    def adds(self, size: Size) -> dict[str, int]:
        """Five mixtures."""
        return {"mixed": 5}

    def images(self, player: str, view: View) -> dict[str, Tensor]:
        """Of unlabelled images and pictures."""
        if player == "painter":
            return {}
        with torch.no_grad():
            pictures = view.players["painter"](view.draws["share"].flatten(1).expand(-1, 3))
        return {"mixed": torch.lerp(view.images["unlabelled"][:5], pictures.to(view.images["unlabelled"].dtype),
                                    view.draws["share"])}

    def term(self, player: str, view: View) -> Term:
        """The painter's pictures are like the unlabelled images; the classifier's answers to mixtures like drawn
        classes and like their mean.
        """
        if player == "painter":
            gap = view.players["painter"](view.draws["z"]).mean(0) - view.images["unlabelled"].mean(0)
            return Term(gap.square().sum().float())
        logits = view.out["mixed"].logits
        mean = torch.lerp(view.state["logits"], logits.detach().mean(0), view.numbers["share"].to(logits.dtype))
        loss = functional.cross_entropy(logits, view.draws["classes"]) + (logits.mean(0) - mean).square().mean()
        return Term(loss, {"mixed_loss": loss}, {"logits": mean})

    def gradient(self, player: str, gradient: Tensor, weights: Tensor, state: Mapping[str, Tensor],
                 numbers: Mapping[str, Tensor]):
        """Pulls the discriminator's weights to their mean."""
        if player != "discriminator":
            return gradient, {}
        mean = torch.lerp(state["weights"], weights, numbers["share"].to(weights.dtype))
        return gradient + self.pull * (weights - mean), {"weights": mean}


@pytest.fixture
def recipe(monkeypatch) -> Recipe:
    """One with the technique on."""
    return small.recipe_with(monkeypatch, "painting", Painting(weight=0.5))


def run(trainer: Trainer, steps: int) -> Trainer:
    for _ in range(steps):
        trainer.step()
    return trainer


def same(one: Trainer, other: Trainer) -> bool:
    return all(map(torch.equal, tree_leaves(one.state), tree_leaves(other.state)))


def test_a_made_up_technique_trains_its_player_and_keeps_its_state(recipe):
    trainer = small.trainer(recipe)
    before = {name: small.weights(trainer, name).clone() for name in trainer.gan.players}
    run(trainer, 3)
    assert trainer.gan.trained == ("discriminator", "generator", "painter") and trainer.failures() == []
    assert all((small.weights(trainer, name) != value).any() for name, value in before.items())
    assert {"mixed_loss", "painter_loss"} < set(trainer.names) and trainer.sums.min() > 0
    kept = trainer.state["techniques"]["painting"]
    assert kept["logits"].shape == (1, 4) and kept["logits"].abs().min() > 0
    torch.testing.assert_close(kept["weights"], small.weights(trainer), rtol=0, atol=0.05)


def test_its_mean_of_the_weights_is_that_of_the_steps(recipe):
    trainer, seen = small.trainer(recipe), []
    for _ in range(4):
        seen.append(small.weights(trainer).clone())
        trainer.step()
    torch.testing.assert_close(trainer.state["techniques"]["painting"]["weights"], torch.stack(seen).mean(0), rtol=0,
                               atol=1e-12)


def test_it_is_the_same_in_lanes_and_alone(recipe):
    together = run(small.trainer(recipe, seeds=(3, 4)), 4)
    for lane, seed in enumerate((3, 4)):
        alone = run(small.trainer(recipe, seeds=(seed,)), 4)
        for mine, solo in zip(tree_leaves(together.state), tree_leaves(alone.state)):
            if mine.dim():
                torch.testing.assert_close(mine[lane], solo[0], rtol=0, atol=1e-9)


def test_it_resumes_bit_for_bit(recipe, tmp_path):
    whole, stopped, resumed = (small.trainer(recipe, small.FP32, (3, 4)) for _ in range(3))
    checkpoints.save(tmp_path / "c.pt", run(stopped, 3).checkpoint())
    resumed.restore(checkpoints.load(tmp_path / "c.pt"))
    assert same(run(resumed, 2), run(whole, 5))


def test_it_is_compiled(recipe):
    small.need_compiler()
    eager, compiled = (run(small.trainer(recipe, dataclasses.replace(small.FP64, compiled=compiled)), 4)
                       for compiled in (False, True))
    for mine, its in zip(tree_leaves(eager.state), tree_leaves(compiled.state)):
        torch.testing.assert_close(its, mine, rtol=0, atol=1e-9)


def test_one_lane_that_is_not_finite_leaves_the_others_bits(recipe):
    sound, struck = (small.trainer(recipe, small.FP32, (3, 4)) for _ in range(2))
    small.spoil(struck, 1)
    run(sound, 3), run(struck, 3)
    assert all(torch.equal(a[0], b[0]) for a, b in zip(tree_leaves(sound.state), tree_leaves(struck.state)) if a.dim())
    assert [failure.lane for failure in struck.failures()] == [1]


ON = {"augment": ["augment.shift=1"], "diff_augment": ["diff_augment.shift=1"],
      "consistency": ["consistency.weight=1", "consistency.start=0", "consistency.threshold=0"],
      "label_noise": ["label_noise.share=0.3"], "instance_noise": ["instance_noise.std=0.2"],
      "loss_ratio": ["loss_ratio.share=0.5"],
      "contrastive": ["contrastive.weight=1", "contrastive.steps=2", "contrastive.grouping_steps=1",
                      "contrastive.until=1", "augment.shift=1"],
      "pictures": ["pictures.steps=3", "pictures.batch=5", "train.epochs=0.1"]}


@pytest.mark.parametrize("name", TECHNIQUES)
def test_with_every_technique_a_lane_that_is_not_finite_leaves_the_others_bits(name):
    chosen = override(small.MLP, ON.get(name, [f"{name}.weight=1"]))
    assert name in active(chosen)
    sound, struck = (small.trainer(chosen, small.FP32, (3, 4)) for _ in range(2))
    run(sound, 1), run(struck, 1)
    small.spoil(struck, 1)
    run(sound, 2), run(struck, 2)
    pairs = [(a, b) for a, b in zip(tree_leaves(sound.state), tree_leaves(struck.state)) if a.dim()]
    assert all(torch.equal(a[0], b[0]) for a, b in pairs) and not all(torch.equal(a, b) for a, b in pairs)


def test_it_is_a_section_of_keys_and_off_where_unlabelled_images_may_not_be_seen(recipe):
    assert settings.describe(type(recipe))["painting.weight"] == "weight of the loss; 0 is off"
    assert "painting" not in active(without(recipe, {"unlabelled"}))
    assert "painting" in active(without(recipe, {"generated"}))
    with pytest.raises(Mistake, match=r"painting.weight must be a number from 0 to 10, found 11"):
        override(recipe, ["painting.weight=11"])


def test_techniques_that_exclude_each_other_are_a_mistake_with_the_reason(recipe):
    with pytest.raises(Mistake,
                       match=r"\[painting\] and \[pull_away\] cannot be combined: both pull at the same thing"):
        small.trainer(override(recipe, ["pull_away.weight=1"]))


def test_a_generator_without_a_loss_is_a_mistake():
    with pytest.raises(Mistake, match="the generator has no loss"):
        check(override(small.MLP, ["feature_matching.weight=0", "instance_noise.std=0.1"]), 4)
    check(override(small.MLP, ["feature_matching.weight=0", "adversarial.weight=1"]), 4)
    check(override(small.MLP, ["feature_matching.weight=0", "gan.weight=0"]), 4)


@pytest.mark.parametrize("base", [small.MLP, small.CONV], ids=["mlp", "conv"])
def test_a_layer_that_the_network_has_not_is_a_mistake(base):
    count = len(base.model.widths)
    with pytest.raises(Mistake, match=rf"\[feature_matching\] asks for hidden layer {count + 1} .* has {count}"):
        small.trainer(override(base, [f"feature_matching.layers=[0, {count + 1}]"]))
    check(override(base, [f"feature_matching.layers=[{count}]"]), 4)
    check(override(base, [f"feature_matching.layers=[{count + 1}]", "feature_matching.weight=0",
                          "pull_away.weight=1"]), 4)
    for value in ("[]", "[-1]", "[0.5]", "first"):
        with pytest.raises(Mistake, match="feature_matching.layers must be"):
            override(base, [f"feature_matching.layers={value}"])


@pytest.mark.parametrize("seen", [None, frozenset({"labels"}), frozenset({"labelled"})])
def test_a_technique_that_does_not_say_what_it_sees_is_no_class(seen):
    with pytest.raises(TypeError, match="must say what it sees"):
        type("Silent", (Technique,),
             {"parts": {"discriminator": ("unlabelled",)}, **({} if seen is None else {"sees": seen})})


def test_the_recipe_has_every_technique_as_its_section():
    sections = {item.name: item.type for item in dataclasses.fields(Recipe)}
    assert {name: sections[name] for name in TECHNIQUES} == TECHNIQUES
    assert [name for name, section in sections.items() if issubclass(section, Technique)
            and name not in TECHNIQUES] == []


@pytest.mark.parametrize("name", TECHNIQUES)
def test_every_technique_has_its_page_and_is_off_by_its_key(name):
    technique = TECHNIQUES[name]()
    page = TECHNIQUES[name].__doc__
    assert "Costs" in page and re.search(r"(19|20)\d\d", page), "what it costs, and its source"
    assert not technique.off().is_on() and technique.sees <= SEEN
    names = [measure for each in (Supervised, *TECHNIQUES.values()) for measure in each.measures]
    assert len(names) == len(set(names))


def test_nothing_that_sees_no_labels_is_left_in_the_supervised_recipe():
    everything = override(Recipe(), [setting for name in TECHNIQUES for setting in ON.get(name, [f"{name}.weight=1"])])
    assert set(active(everything)) == {"supervised", *TECHNIQUES}
    alone = active(without(everything, {"unlabelled", "generated"}))
    assert set(alone) == {"supervised", "augment", "historical_averaging", "l1", "l2"}
    generators = {name for name, each in TECHNIQUES.items() if "generated" in each.sees}
    assert {"gan", "smoothing", "label_noise", "instance_noise", "feature_matching", "adversarial", "pull_away",
            "gradient_penalty", "manifold", "conditional", "pictures", "loss_ratio"} <= generators
    assert set(active(without(everything, {"generated"}))) == {"supervised", *TECHNIQUES} - generators


def test_the_generators_techniques_are_off_without_it():
    assert set(active(override(Recipe(), ["gan.weight=0", "pull_away.weight=1"]))) == {"supervised"}


def test_training_names_no_technique():
    """Neither in code nor in text: what one of them needs, any may."""
    words = {name for name in TECHNIQUES if name != "gan"} | {cls.__name__ for cls in TECHNIQUES.values()}
    words |= {word.replace("_", sign) for word in list(words) for sign in (" ", "-")}
    words |= {"virtual adversarial", "k+1", "kplus1", "augmentation"}
    for path in sorted(Path(training.__file__).parent.glob("*.py")):
        text = path.read_text(encoding="utf-8").lower()
        found = [word for word in words if re.search(rf"\b{re.escape(word.lower())}\b", text)]
        assert found == [], path.name
