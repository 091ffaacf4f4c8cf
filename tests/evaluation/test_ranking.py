"""What each image brings to the score, and the images at both ends."""

import numpy as np
import pytest
import torch

from ssgan.errors import Mistake
from ssgan.evaluation import metrics, ranking
from ssgan.evaluation.ranking import Picked


class Counting:
    """Image i has the value i; its class is i % 3."""

    name, conditional = "counting", True

    def images(self, start, count):
        return torch.arange(start, start + count).view(-1, 1, 1, 1).float()

    def labels(self, start, count):
        return torch.arange(start, start + count) % 3


def test_the_score_is_the_exponential_of_the_mean_of_what_images_bring():
    rows = np.random.default_rng(0).dirichlet(np.ones(5), size=40)
    rows[0] = [0, 0, 1, 0, 0]
    values = ranking.by_image(rows)
    assert np.exp(values.mean()) == pytest.approx(metrics.inception_score(rows, 1)[0])
    assert ranking.best(values)[0] == values.argmax() and ranking.worst(values)[0] == values.argmin()
    assert len(ranking.best(values)) == 1 and len(ranking.best(values, 0.25)) == 10
    assert (np.diff(values[ranking.best(values, 1.0)]) <= 0).all()
    sure = np.eye(4)[[0, 1, 2, 3]]
    values = ranking.by_image(np.concatenate([np.full((4, 4), 0.25), sure]))
    assert values == pytest.approx([0] * 4 + [np.log(4)] * 4) and ranking.highest(values, 3).tolist() == [4, 5, 6]


def test_picked_images_are_those_of_the_numbers_in_their_order():
    picked = Picked(Counting(), np.array([2500, 3, 1001, 3, 999]))
    assert picked.images(0, 5).flatten().tolist() == [2500, 3, 1001, 3, 999]
    assert picked.images(2, 2).flatten().tolist() == [1001, 3] and picked.labels(0, 2).tolist() == [1, 0]


def test_a_ranking_is_read_back_for_its_generator_and_weights_alone(tmp_path):
    with pytest.raises(Mistake, match="Score them first: ssgan score RUN"):
        ranking.load(tmp_path, "generator", "average")
    ranking.save({"generator": np.array([0.5, 0.25])}, "average", tmp_path)
    assert ranking.load(tmp_path, "generator", "average").tolist() == [0.5, 0.25]
    with pytest.raises(Mistake, match="score.generator=last"):
        ranking.load(tmp_path, "generator", "last")
    (tmp_path / ranking.FILE).write_bytes(b"no archive")
    with pytest.raises(Mistake, match="is damaged"):
        ranking.load(tmp_path, "generator", "average")


@pytest.mark.parametrize(("text", "percent"), [("1%", 1.0), ("0.5 %", 0.5), ("100", 100.0), ("7", 7.0)])
def test_shares_are_read(text, percent):
    assert ranking.parse_percent("--top", text) == percent


@pytest.mark.parametrize("text", ["0%", "101%", "some", "-1%", "nan", "1e1", "0.00001", "\u0661"])
def test_what_is_no_share_is_a_mistake(text):
    with pytest.raises(Mistake, match="--top .*: write a share"):
        ranking.parse_percent("--top", text)
