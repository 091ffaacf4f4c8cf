"""The contrastive start: its loss, its features and its graph against slow ones, what is taught, and to whom."""

import dataclasses
import math

import numpy as np
import pytest
import small
import torch
from recorded import RecordedGraphs
from torch.nn import functional

from ssgan.config import override
from ssgan.data.images import Images
from ssgan.experiments.group_training import _before_the_first_step
from ssgan.random_streams import torch_generator
from ssgan.techniques import active, contrastive
from ssgan.techniques.contrastive import answered
from ssgan.techniques.contrastive_network import (contrastive_network, features_of, grouped_answers,
                                                   mutual_information, nt_xent)
from ssgan.techniques.neighbour_graph import NeighbourGraph
from ssgan.techniques.technique import Pool, View
from ssgan.training import checkpoint as checkpoints
from ssgan.training import trainer as trainer_module
from ssgan.training.benchmark import lane_rate
from ssgan.training.execution import compile_problem
from ssgan.training.lanes import tree_leaves
from ssgan.training.trainer import Trainer
from ssgan.training.update import update

RECIPE = override(small.MLP, ["contrastive.weight=1", "contrastive.steps=3", "contrastive.grouping_steps=2",
                              "contrastive.until=0.5", "augment.shift=1", "augment.rotation=10"])


@pytest.fixture(autouse=True)
def forgotten(tmp_path, monkeypatch):
    """What a test before has found is found anew."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def kept(trainer: Trainer, lane: int = 0) -> dict[str, torch.Tensor]:
    return {key: value[lane] for key, value in trainer.state["techniques"]["contrastive"].items()}


def run(trainer: Trainer, steps: int) -> Trainer:
    for _ in range(steps):
        trainer.step()
    return trainer


def test_the_loss_of_pairs_is_that_of_the_paper():
    rows, count = torch.randn(10, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64), 5
    losses = []
    for i in range(2 * count):
        partner = (i + count) % (2 * count)
        alike = [math.exp(functional.cosine_similarity(rows[i], rows[k], dim=0).item() / 0.3) for k in range(2 * count)]
        losses.append(-math.log(alike[partner] / (sum(alike) - alike[i])))
    assert nt_xent(rows, 0.3).item() == pytest.approx(np.mean(losses), rel=1e-12)
    assert nt_xent(torch.cat([torch.eye(5)] * 2), 0.01).item() < 1e-9


def three_kinds(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Images [n, 1, 14, 14] of a bar that lies, one that stands, and a square, each somewhere; their kinds [n]."""
    random, images = np.random.default_rng(0), torch.zeros(count, 1, 14, 14)
    kinds = torch.arange(count) % 3
    for image, kind in zip(images, kinds.tolist()):
        height, width = ((2, 9), (9, 2), (5, 5))[kind]
        top, left = random.integers(0, 14 - height), random.integers(0, 14 - width)
        image[0, top: top + height, left: left + width] = 1
    return images, kinds


def views_of(images: torch.Tensor, dtype: torch.dtype = torch.float32):
    def views(index: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        moved = [image.roll(torch.randint(-4, 5, (2,), generator=random).tolist(), (1, 2)) for image in images[index]]
        return torch.stack(moved).to(dtype)

    return views


def learnt(images: torch.Tensor, steps: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    index = torch.arange(len(images))
    network = contrastive_network(index, views_of(images, dtype), steps, 0.2, torch_generator(seed))
    return features_of(network, index, lambda index: images[index])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
def test_what_is_alike_under_the_changes_comes_to_lie_together(dtype):
    images, kinds = three_kinds(90)

    def right(features: torch.Tensor) -> float:
        alike = (features @ features.T).fill_diagonal_(-1)
        return (kinds[alike.argmax(1)] == kinds).float().mean().item()

    features = learnt(images, 40, dtype=dtype)
    assert features.shape == (90, 128) and features.dtype == torch.float32
    torch.testing.assert_close(features.norm(dim=1), torch.ones(90))
    assert right(features) > 0.95


def test_features_follow_from_the_seed_alone():
    images, _ = three_kinds(20)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = learnt(images, 3)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(one, learnt(images, 3)) and not torch.equal(one, learnt(images, 3, seed=1))


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 1, 5), (2, 64, 48)])
def test_images_of_any_size_have_features(shape):
    images = torch.rand(6, *shape)
    network = contrastive_network(torch.arange(6), lambda index, random: images[index], 2, 0.5, torch_generator(0))
    found = features_of(network, torch.arange(6), lambda index: images[index])
    assert found.shape == (6, 128) and found.isfinite().all()


def test_mutual_information_is_that_of_the_joint_distribution():
    one, other = torch.rand(2, 9, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64).softmax(2)
    shares = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    joint = [[sum((one[n, i] * other[n, j] + one[n, j] * other[n, i]).item() for n in range(9)) / 18 for j in range(3)]
             for i in range(3)]
    of_class = [sum(row) for row in joint]
    expected = sum(joint[i][j] * math.log(joint[i][j] / of_class[i] / of_class[j]) for i in range(3) for j in range(3))
    expected += sum(of_class[i] * math.log(shares[i]) for i in range(3))
    assert mutual_information(one, other, shares).item() == pytest.approx(expected, rel=1e-12)


def test_mutual_information_is_largest_where_answers_agree_and_are_of_all_classes_by_their_shares():
    shares, eye = torch.tensor([0.6, 0.2, 0.2]), torch.eye(3)
    best = eye[torch.tensor([0, 0, 0, 1, 2])]
    assert mutual_information(best, best, shares).item() == pytest.approx(0, abs=1e-5)
    for other in (eye[torch.tensor([0, 0, 1, 1, 2])], eye[torch.tensor([0] * 5)], torch.full((5, 3), 1 / 3)):
        assert mutual_information(other, other, shares) < -0.01
    assert mutual_information(best, best.roll(1, 0), shares) < -0.3


@pytest.mark.parametrize("dtype, learns", [(torch.float32, True), (torch.bfloat16, False)], ids=["fp32", "bf16"])
def test_groups_are_named_by_few_labels_though_some_answers_given_are_wrong(dtype, learns):
    images, kinds = three_kinds(60)
    index, random, views = torch.arange(60), torch_generator(0), views_of(images, dtype)
    labels = torch.where(index < 3, kinds, -1)
    given = torch.where(index % 4 == 3, (kinds + 1) % 3, kinds)  # a quarter wrong
    network = contrastive_network(index, views, 40 if learns else 1, 0.2, random)
    found = grouped_answers(network, index, labels, given, torch.full((60,), 0.5), torch.full((3,), 1 / 3), views,
                            lambda index: images[index], 50 if learns else 2, random)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.sum(1), torch.ones(60))
    assert (found.argmax(1) == kinds).float().mean() > 0.9 or not learns


def test_hidden_labels_are_not_seen_and_each_lane_has_its_own(tmp_path, monkeypatch):
    said, of_answers = [], contrastive.directions
    monkeypatch.setattr(contrastive, "directions", lambda answers: (said.append(answers), of_answers(answers))[1])
    images, often = small.dataset().train, override(RECIPE, ["contrastive.until=0.1", "contrastive.again=2"])
    split = small.split(RECIPE, small.dataset())
    hidden = torch.from_numpy(np.setdiff1d(np.arange(len(images)), split.labelled))
    found = []
    for turn in (0, 1):
        labels = images.labels.clone()
        labels[hidden] = (labels[hidden] + turn) % 4
        trainer = Trainer(often, Images.of(images.pixels, labels, images.classes), [split], [0], small.FP64)
        found.append([{key: value.clone() for key, value in kept(run(trainer, steps)).items()} for steps in (1, 2, 1)])
    assert sorted(trainer.gan.phases) == [0, 2, 3]
    for one, other in zip(*found):
        assert all(torch.equal(one[key], other[key]) for key in one)
        assert (one["answers"][split.labelled] == images.labels[split.labelled]).all()
    first, second, mine, its = said  # of each turn, when answers are spread for the second time and for the third
    assert not np.array_equal(first, second) and np.array_equal(mine, first) and np.array_equal(its, second)
    first, *later = (each["certainty"] for each in found[0])
    assert (first < 1).any() and all((each == 1).all() for each in later)  # answers spread again are taught in full
    together = run(small.trainer(RECIPE, seeds=(3, 4)), 2)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))
    alone = run(small.trainer(RECIPE, seeds=(4,)), 2)
    assert all(torch.equal(kept(together, 1)[key], kept(alone)[key]) for key in kept(alone))
    assert not torch.equal(kept(together, 0)["certainty"], kept(together, 1)["certainty"])
    torch.testing.assert_close(small.weights(together)[1], small.weights(alone)[0], rtol=0, atol=1e-9)


def test_a_step_is_taught_the_answers_of_its_own_images_by_their_certainty():
    trainer = run(small.trainer(RECIPE, seeds=(3, 4)), 1)
    trainer.feed.open(trainer.done, trainer.gan.trained)
    drawn = trainer._draw()["discriminator"][0]
    index = drawn["index"]["unlabelled"]
    plain = small.trainer(override(RECIPE, ["augment.shift=0", "augment.rotation=0"]), seeds=(3, 4))
    plain.feed.open(trainer.done, plain.gan.trained)
    as_they_are = plain._draw()["discriminator"][0]["images"]["unlabelled"]
    torch.testing.assert_close(trainer.images.gather(index, dtype=torch.float64), as_they_are)  # those of the index
    technique = active(RECIPE)["contrastive"]
    logits = torch.randn(index.shape[1], 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for teaches in (0.0, 1.0):
        view = View({}, {}, {"unlabelled": dataclasses.make_dataclass("Out", ["logits"])(logits)}, {}, {}, {},
                    kept(trainer, 1), {"teaches": torch.tensor(teaches)}, torch.ones(4),
                    index={"unlabelled": index[1]})
        rows = [-kept(trainer, 1)["certainty"][i] * logits[row].log_softmax(0)[kept(trainer, 1)["answers"][i]]
                for row, i in enumerate(index[1].tolist())]
        torch.testing.assert_close(technique.term("discriminator", view).loss, teaches * torch.stack(rows).mean())


def test_it_teaches_until_its_share_of_the_run_and_needs_changes():
    trainer, taught = small.trainer(override(RECIPE, ["contrastive.grouping_steps=0"])), []
    for _ in range(trainer.gan.steps):
        trainer.step()
        taught.append(trainer.read()["contrastive_loss"][0] > 0)
    assert taught == [step < 0.5 * trainer.gan.steps for step in range(trainer.gan.steps)]
    assert "contrastive" not in active(override(RECIPE, ["augment.shift=0", "augment.rotation=0"]))


def test_a_person_is_told_of_the_work_before_the_first_step():
    trainer = small.trainer(RECIPE)
    assert _before_the_first_step(trainer) == "contrastive"
    assert _before_the_first_step(run(trainer, 1)) == "" == _before_the_first_step(small.trainer(small.MLP))


@pytest.mark.parametrize("stop", [2, 3, 4])
def test_resumed_it_is_the_same(tmp_path, stop):
    recipe = override(RECIPE, ["contrastive.until=0.25", "contrastive.again=1"])
    whole, stopped, resumed = (small.trainer(recipe, small.FP32, (3, 4)) for _ in range(3))
    assert sorted(whole.gan.phases) == [0, 3]
    checkpoints.save(tmp_path / "c.pt", run(stopped, stop).checkpoint())
    resumed.restore(checkpoints.load(tmp_path / "c.pt"))
    assert all(map(torch.equal, tree_leaves(run(whole, 6).state), tree_leaves(run(resumed, 6 - stop).state)))


def test_replayed_it_is_the_same(monkeypatch):
    monkeypatch.setattr(trainer_module, "replayed", lambda device: True)
    monkeypatch.setattr(trainer_module, "CudaGraphs", RecordedGraphs)
    recipe = override(RECIPE, ["contrastive.until=0.25", "contrastive.again=1"])
    replayed, plain = (small.trainer(recipe) for _ in range(2))
    plain._program = plain._plain
    assert all(map(torch.equal, tree_leaves(run(replayed, 5).state), tree_leaves(run(plain, 5).state)))


@pytest.mark.slow
def test_a_compiled_program_is_taught_the_same():
    small.need_compiler()
    eager, compiled = (run(small.trainer(RECIPE, dataclasses.replace(small.FP64, compiled=compiled)), 4)
                       for compiled in (False, True))
    for mine, its in zip(tree_leaves(eager.state), tree_leaves(compiled.state)):
        torch.testing.assert_close(its, mine, rtol=0, atol=1e-9)


def test_a_trial_of_the_step_does_without_the_work_before_it(monkeypatch):
    def refuse(self, moment, state, pool):
        raise AssertionError("a trial has no need of it")

    monkeypatch.setattr(contrastive.Contrastive, "phase", refuse)
    monkeypatch.setattr(Trainer, "_compile",
                        lambda trainer, program: lambda trees: update(trainer.gan, *trees, program))
    assert lane_rate(RECIPE, small.dataset(), small.FP64, 1, seconds=0.01) > 0
    assert compile_problem(RECIPE, small.dataset().train, small.FP64) == ""
    with pytest.raises(AssertionError, match="a trial"):
        small.trainer(RECIPE).step()


def test_what_the_groups_say_is_spread_in_the_place_of_what_the_labels_say(monkeypatch):
    def grouped(network, pool, shares, classes, wanted, steps, random):
        seen.update(shares=shares, labels=pool.labels.numpy(), classes=classes, wanted=wanted)
        return groups[:len(shares)]

    seen, spread, graphs = {}, [], []
    groups, of_graph = np.random.default_rng(0).dirichlet(np.full(4, 0.05), 1000), NeighbourGraph.spread
    monkeypatch.setattr(contrastive, "grouped", grouped)
    monkeypatch.setattr(NeighbourGraph, "spread", lambda graph, *given: (
        graphs.append(graph), spread.append((given, of_graph(graph, *given))))[1] or spread[-1][1])
    found = kept(run(small.trainer(RECIPE), 1))
    labels, known = seen["labels"], np.eye(4)[seen["labels"]] * (seen["labels"] >= 0)[:, None]
    (first, its), (second, shares) = spread
    assert graphs[0] is graphs[1] and (seen["shares"] == its).all() and seen["wanted"].sum() == pytest.approx(1)
    assert (first[0] == known).all()
    assert (second[0] == np.where(labels[:, None] >= 0, known, groups[:len(labels)])).all()
    assert (first[2], second[2]) == (0.99, 0.98)
    answers, certainty = answered(shares, labels, seen["classes"])
    assert found["answers"].tolist() == answers.tolist()
    torch.testing.assert_close(found["certainty"].double(), torch.from_numpy(certainty), rtol=1e-6, atol=1e-7)


def test_certainty_is_what_entropy_leaves_and_a_label_is_certain():
    shares, labels = np.array([[0.5, 0.5, 0], [0, 1, 0], [1 / 3] * 3, [0.2, 0.1, 0.7]]), np.array([-1, -1, -1, 5])
    answers, certainty = answered(shares, labels, np.array([2, 5, 7]))
    assert answers.tolist() == [2, 5, 2, 5]
    np.testing.assert_allclose(certainty, [1 - math.log(2) / math.log(3), 1, 0, 1], atol=1e-12)


@pytest.mark.parametrize("labels, classes", [([1, 3, 1, 3], {1, 3}), ([2], {2}), ([0, 1, 2] * 10, {0, 1, 2})],
                         ids=["two of five classes", "one class", "all labelled"])
def test_only_classes_with_a_label_are_answered(labels, classes):
    images, _ = three_kinds(30)
    known = torch.tensor(labels + [-1] * (30 - len(labels)))
    pool = Pool(torch.arange(30), known, lambda: None, lambda index: images[index], views_of(images), 0, ())
    answers, certainty = dataclasses.replace(RECIPE.contrastive, weight=1.0)._found(pool)
    assert set(answers.tolist()) == classes and answers[:len(labels)].tolist() == labels
    assert (certainty[:len(labels)] == 1).all() and (certainty >= 0).all() and (certainty <= 1).all()
