"""The contrastive start's second part: the classifier's own answers are spread again, and taught in turn."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import small
import torch
from test_contrastive import RECIPE, forgotten, kept, run  # noqa: F401
from torch.nn import functional

from ssgan.config import override
from ssgan.data.class_shares import smoothed
from ssgan.techniques.contrastive import answered, directions, looks
from ssgan.techniques.neighbour_graph import NeighbourGraph
from ssgan.techniques.technique import Moment
from ssgan.training.trainer import Trainer


def again(trainer: Trainer, answers: torch.Tensor) -> dict[str, torch.Tensor]:
    """What is taught from the middle on, where the classifier answers so."""
    pool_of = trainer._pool
    trainer._pool = lambda lane: pool_of(lane)._replace(answers=lambda: answers)
    return kept(run(trainer, trainer.gan.steps // 2 + 1))


def test_answers_that_fewer_than_half_of_a_cluster_have_are_outvoted():
    recipe = override(RECIPE, ["contrastive.again=1", "contrastive.neighbours=5"])
    trainer = small.trainer(recipe)
    labels = trainer.images.labels
    known = torch.from_numpy(trainer.splits[0].labelled)
    hidden = torch.ones(len(labels), dtype=torch.bool).index_fill(0, known, False)
    truth = functional.one_hot(labels, 4).double()
    wrong = hidden & (torch.arange(len(labels)) % 3 == 0)
    other = functional.one_hot((labels + 1) % 4, 4)
    leaning = torch.where(wrong[:, None], 0.44 * truth + 0.56 * other, 0.9 * truth + 0.1 * other)
    found = again(trainer, leaning)
    assert wrong.sum() >= 10 and (leaning.argmax(1)[wrong] != labels[wrong]).all()
    assert torch.equal(found["answers"], labels)
    assert (found["certainty"] == 1).all()


def test_the_classifiers_own_answers_are_spread_over_those_it_answers_alike_and_that_look_alike(monkeypatch):
    graphs, of_rows = [], NeighbourGraph.__init__
    monkeypatch.setattr(NeighbourGraph, "__init__", lambda graph, *given: (graphs.append((graph, given)),
                                                                           of_rows(graph, *given))[1])
    trainer = small.trainer(override(RECIPE, ["contrastive.again=1"]))
    said = torch.rand(len(trainer.images), 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    said /= said.sum(1, keepdim=True)
    found = again(trainer, said)
    (_, _), (graph, (rows, labels, _, _)) = graphs
    leaning = functional.normalize(said.log() - said.log().mean(1, keepdim=True))
    look = functional.normalize(trainer.images.gather(torch.arange(len(said)), dtype=torch.float64).flatten(1))
    np.testing.assert_allclose(rows, torch.cat([leaning, look], 1), atol=1e-6)
    classes, sizes = np.unique(labels[labels >= 0], return_counts=True)
    given = np.where(labels[:, None] >= 0, labels[:, None] == classes, said.numpy()[:, classes])
    answers, _ = answered(graph.spread(given, smoothed(sizes), 0.98), labels, classes)
    assert found["answers"].tolist() == answers.tolist() and (found["certainty"] == 1).all()


def test_even_answers_have_no_direction_and_sure_ones_are_finite():
    found = directions(np.array([[0.25] * 4, [1.0, 0, 0, 0], [0.7, 0.1, 0.1, 0.1], [1 - 3e-9, 1e-9, 1e-9, 1e-9]]))
    np.testing.assert_allclose(found, [[0] * 4, *[[3 / 12 ** 0.5, *[-1 / 12 ** 0.5] * 3]] * 3], atol=1e-6)


def test_below_a_millionth_a_probability_says_no_more():
    near, far = (directions(np.array([[1 - 2 * least, least, least, 1e-3]]))[0] for least in (1e-6, 1e-12))
    np.testing.assert_allclose(far, near, atol=1e-6)


def test_images_are_compared_by_their_pixels_and_large_ones_by_means_of_them():
    def looks_of(images: torch.Tensor) -> np.ndarray:
        return looks(SimpleNamespace(index=torch.arange(len(images)), images=lambda index: images[index]))

    images = torch.rand(3, 2, 8, 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    images[1] = 0
    found = looks_of(images)
    assert found.dtype == np.float32 and found.shape == (3, 2 * 8 * 14) and not found[1].any()
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), [1, 0, 1], atol=1e-6)
    np.testing.assert_allclose(looks_of(images[:1] * 0.1), found[:1], atol=1e-6)
    blocks = torch.rand(1, 1, 16, 14, generator=torch.Generator().manual_seed(1))
    for times in (2, 3):
        large = blocks.repeat_interleave(times, 2).repeat_interleave(times, 3)
        np.testing.assert_allclose(looks_of(large), looks_of(blocks), atol=1e-6)


@pytest.mark.parametrize("until, times, begins, ends", [(0.25, 0, [0], 2), (0.25, 1, [0, 2], 4), (0.3, 2, [0, 3, 5], 8),
                                                        (0.5, 3, [0, 4], 8)])
def test_answers_are_spread_again_where_the_ones_before_end(until, times, begins, ends):
    technique = dataclasses.replace(RECIPE.contrastive, until=until, again=times)
    assert sorted(technique.phases(8)) == begins
    teaches = [technique.numbers(Moment(step, 8, 0.5))["teaches"] for step in range(8)]
    assert teaches == [float(step < ends) for step in range(8)]


def test_a_lane_that_is_lost_takes_no_other_with_it():
    recipe = override(RECIPE, ["contrastive.until=0.25", "contrastive.again=1"])
    sound, spoilt = (run(small.trainer(recipe, seeds=(3, 4)), 1) for _ in range(2))
    small.spoil(spoilt, 0)
    run(sound, 3), run(spoilt, 3)
    assert [failure.lane for failure in spoilt.failures()] == [0]
    assert all(torch.equal(kept(spoilt, 1)[key], kept(sound, 1)[key]) for key in kept(sound, 1))
    known = spoilt.splits[0].labelled
    assert (kept(spoilt)["answers"][known] == spoilt.images.labels[known]).all()
    assert kept(spoilt)["certainty"].sum() == len(known)
