"""The images of a visual Turing test: which are shown, in which order, and which are the best."""

from dataclasses import replace

import pytest
import torch

from ssgan.errors import Mistake
from ssgan.evaluation.scoring_network import Answers, Network
from ssgan.evaluation.turing_images import best_images, shown_images
from ssgan.evaluation.turing_test import TuringTest

TEST = TuringTest("a run's moment", seed=0, images=100, top=None, feedback=False)


class Numbered:
    """A generator whose image i is filled with i / 1000."""

    def images(self, start, count):
        return (torch.arange(start, start + count) / 1000).view(-1, 1, 1, 1).expand(-1, 1, 2, 2)


class Real:
    """Real images, all of one."""

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def gather(self, index):
        return 0.8 + 0.2 * (index / self.count).float().view(-1, 1, 1, 1).expand(-1, 1, 2, 2)


def test_images_are_shown_in_the_order_of_the_truth_and_none_twice():
    test = replace(TEST, images=20)
    shown = shown_images(test, Real(30), Numbered(), None)
    assert shown.dtype == torch.uint8 and shown.shape == (20, 1, 2, 2)
    assert "".join("r" if image.max() > 200 else "g" for image in shown) == test.truth()
    real = [int(image.max()) for image, kind in zip(shown, test.truth()) if kind == "r"]
    assert len(set(real)) == 10
    with pytest.raises(Mistake, match="try -n 18"):
        shown_images(test, Real(9), Numbered(), None)


def test_a_generator_that_has_diverged_is_told_of():
    class Diverged:
        def images(self, start, count):
            return torch.full((count, 1, 2, 2), float("nan"))

    with pytest.raises(Mistake, match="shown: .*diverged"):
        shown_images(replace(TEST, images=4), Real(9), Diverged(), None)
    network = Network("any", None, lambda x: Answers(torch.ones(len(x), 1), torch.ones(len(x), 1)))
    with pytest.raises(Mistake, match="scored: .*diverged"):
        shown_images(replace(TEST, images=4, top=50.0), Real(9), Diverged(), network)


def test_the_best_images_are_those_of_the_highest_scores_and_stay_in_the_order_of_their_numbers():
    def answers(x):  # surer, the nearer an image is to 0.3
        sure = 1 / (1 + 100 * (x[:, 0, 0, 0] - 0.3).abs())
        which = (x[:, 0, 0, 0] * 1000).round().long() % 2
        p = torch.stack([0.5 + sure / 2, 0.5 - sure / 2], 1)
        return Answers(torch.where(which[:, None] == 1, p, p.flip(1)), x.flatten(1))

    found = best_images(Numbered(), Network("near 0.3", None, answers), 1000, 10)
    numbers = (found[:, 0, 0, 0] * 1000).round().int().tolist()
    assert numbers == sorted(numbers) and set(range(296, 305)) <= set(numbers) and len(numbers) == 10
    test = replace(TEST, images=20, top=1.0)
    assert [replace(test, top=top).looked_at for top in (1.0, 0.3, None)] == [1000, 3334, 10]
