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
from ssgan.techniques import active, contrastive, label_spreading
from ssgan.techniques.contrastive import answered, pooled, spread
from ssgan.techniques.contrastive_network import (contrastive_network, features_of, grouped_answers,
                                                   mutual_information, nt_xent)
from ssgan.techniques.technique import View
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
def forgotten():
    """What a test before has found is found anew."""
    contrastive._FOUND.clear()


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


def clouds(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows [60, 2] in three clouds that touch, and labels with -1 for all but two of each."""
    random, kinds = np.random.default_rng(seed), np.arange(60) % 3
    rows = np.array([[0, 0], [3, 0], [0, 3]])[kinds] + random.normal(size=(60, 2))
    return rows, np.where(np.arange(60) < 6, kinds, -1)


@pytest.mark.parametrize("known, wanted", [(6, [1 / 3, 1 / 3, 1 / 3]), (4, [7 / 15, 4 / 15, 4 / 15])])
def test_answers_and_their_certainty_are_those_of_the_closed_form(known, wanted):
    rows, labels = clouds()
    labels[known:] = -1
    found, classes = spread(rows, labels, 5, 0)
    answers, certainty = answered(found, labels, classes)
    distance = np.linalg.norm(rows[:, None] - rows[None], axis=2) + np.diag(np.full(60, np.inf))
    near = np.zeros((60, 60))
    np.put_along_axis(near, distance.argsort(1)[:, :5], 1, 1)
    near += near.T
    scale = 1 / np.sqrt(near.sum(1))
    given = np.where(labels >= 0, 1, 0)[:, None] * np.eye(3)[labels]
    shares = np.linalg.solve(np.eye(60) - 0.99 * scale[:, None] * near * scale, given)  # Zhou et al. 2004, eq. 4
    shares /= shares.sum(1, keepdims=True)
    shares *= wanted / shares.mean(0)  # Zhu et al. 2003, eq. 9
    shares /= shares.sum(1, keepdims=True)
    hidden = labels < 0
    assert (answers[hidden] == shares.argmax(1)[hidden]).mean() > 0.97 and (answers == labels)[~hidden].all()
    np.testing.assert_allclose(found, shares, atol=0.015)
    expected = 1 + (shares * np.log(np.clip(shares, 1e-300, 1))).sum(1) / np.log(3)
    np.testing.assert_allclose(certainty[hidden], expected[hidden], atol=0.01)
    assert (certainty[~hidden] == 1).all() and (certainty >= 0).all() and (certainty <= 1).all()


def told(rows: np.ndarray, labels: np.ndarray, neighbours: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    shares, classes = spread(rows, labels, neighbours, 0)
    return shares, labels, classes


def test_what_is_not_in_the_graph_is_answered_by_its_neighbours_in_it(monkeypatch):
    rows, labels = clouds()
    whole, _ = answered(*told(rows, labels, 5))
    monkeypatch.setattr(label_spreading, "LARGEST_POOL", 30)
    monkeypatch.setattr(contrastive, "PIECE", 7)
    part, certainty = answered(*told(rows, labels, 5))
    assert (part == whole).mean() > 0.85 and (part[labels >= 0] == labels[labels >= 0]).all()
    assert (certainty > 0).all()


def test_no_label_no_answer_and_all_labels_their_own():
    rows = np.concatenate([np.random.default_rng(0).normal(size=(20, 2)), np.full((20, 2), 900.0)
                           + np.random.default_rng(1).normal(size=(20, 2))])
    labels = np.array([1, 3, 1, 3] + [-1] * 36)  # classes 0 and 2 have no label
    answers, certainty = answered(*told(rows, labels, 3))
    assert set(answers[:20]) <= {1, 3} and (certainty[20:] < 1e-12).all() and (certainty[4:20] > 0).any()
    answers, certainty = answered(*told(rows, np.arange(40), 3))
    assert answers.tolist() == list(range(40)) and (certainty == 1).all()
    answers, certainty = answered(*told(rows[:2], np.array([0, -1]), 15))
    assert answers.tolist() == [0, 0]


def test_hidden_labels_are_not_seen_and_each_lane_has_its_own():
    images = small.dataset().train
    split = small.split(RECIPE, small.dataset())
    hidden = torch.from_numpy(np.setdiff1d(np.arange(len(images)), split.labelled))
    found = []
    for turn in (0, 1):
        labels = images.labels.clone()
        labels[hidden] = (labels[hidden] + turn) % 4
        found.append(kept(run(Trainer(RECIPE, Images.of(images.pixels, labels, images.classes), [split], [0],
                                      small.FP64), 1)))
    assert all(torch.equal(found[0][key], found[1][key]) for key in found[0])
    assert (found[0]["answers"][split.labelled] == images.labels[split.labelled]).all()
    together = run(small.trainer(RECIPE, seeds=(3, 4)), 2)
    contrastive._FOUND.clear()
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


def test_replayed_and_resumed_it_is_the_same(monkeypatch, tmp_path):
    whole, stopped, resumed = (small.trainer(RECIPE, small.FP32, (3, 4)) for _ in range(3))
    checkpoints.save(tmp_path / "c.pt", run(stopped, 2).checkpoint())
    resumed.restore(checkpoints.load(tmp_path / "c.pt"))
    assert all(map(torch.equal, tree_leaves(run(whole, 6).state), tree_leaves(run(resumed, 4).state)))
    monkeypatch.setattr(trainer_module, "replayed", lambda device: True)
    monkeypatch.setattr(trainer_module, "CudaGraphs", RecordedGraphs)
    replayed, plain = (small.trainer(RECIPE) for _ in range(2))
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


def test_the_product_of_two_opinions_is_that_of_their_logarithms():
    one, other = np.random.default_rng(0).dirichlet(np.ones(4), (2, 30))
    log = np.log(one) + 0.3 * np.log(other)
    np.testing.assert_allclose(pooled(one, other, 0.3), np.exp(log) / np.exp(log).sum(1, keepdims=True), rtol=1e-12)
    np.testing.assert_allclose(pooled(one, other, 0), one, rtol=1e-12)
    unclear, sure = np.full((1, 4), 0.25), np.array([[0.0, 1, 0, 0]])
    assert pooled(unclear, sure, 0.1)[0].argmax() == 1 and pooled(sure, unclear, 0.1)[0, 1] > 0.999
    assert np.isfinite(pooled(sure, sure[:, ::-1], 1)).all() and pooled(sure, sure[:, ::-1], 1).sum() == pytest.approx(1)


def test_what_is_taught_is_the_product_of_what_was_spread_and_the_groups(monkeypatch):
    def grouped(network, pool, shares, classes, steps, random):
        given.update(shares=shares, labels=pool.labels.numpy(), classes=classes)
        return groups[:len(shares)]

    given: dict[str, np.ndarray] = {}
    groups = np.random.default_rng(0).dirichlet(np.full(4, 0.05), 1000)
    monkeypatch.setattr(contrastive, "grouped", grouped)
    taught = {weight: kept(run(small.trainer(override(RECIPE, [f"contrastive.grouping_weight={weight}"])), 1))
              for weight in ("0", "0.1", "10")}
    for weight, found in taught.items():
        shares = np.maximum(given["shares"], 1e-9) * np.maximum(groups[:len(given["shares"])], 1e-9) ** float(weight)
        answers, certainty = answered(shares / shares.sum(1, keepdims=True), given["labels"], given["classes"])
        assert found["answers"].tolist() == answers.tolist()
        torch.testing.assert_close(found["certainty"].double(), torch.from_numpy(certainty), rtol=1e-6, atol=1e-7)
    plain = kept(run(small.trainer(override(RECIPE, ["contrastive.grouping_steps=0"])), 1))
    torch.testing.assert_close(taught["0"]["certainty"], plain["certainty"], rtol=1e-5, atol=1e-6)
    assert (taught["10"]["answers"] != plain["answers"]).any()


def test_what_follows_from_the_same_images_and_labels_is_found_once(monkeypatch):
    made = []

    def counted(*given):
        made.append(given)
        return contrastive_network(*given)

    monkeypatch.setattr(contrastive, "contrastive_network", counted)
    monkeypatch.setattr(contrastive, "KEPT", 3)

    def answers(*changed: str, seeds: tuple[int, ...] = (3,)) -> dict[str, torch.Tensor]:
        return kept(run(small.trainer(override(RECIPE, list(changed)), seeds=seeds), 1))

    first = answers()
    for again in ((), ("gan.weight=0", "train.learning_rate=0.1"), ("contrastive.weight=0.5",)):
        assert all(torch.equal(first[key], value) for key, value in answers(*again).items()) and len(made) == 1
    for count, other in enumerate(("augment.rotation=11", "labels=12", "contrastive.temperature=0.4",
                                   "contrastive.grouping_steps=1", "contrastive.grouping_weight=0.2"), 2):
        answers(other)
        assert len(made) == count
    answers(seeds=(4,))
    assert len(made) == 7 and len(contrastive._FOUND) == 3
    answers()  # long forgotten
    assert len(made) == 8
