"""Cutout against a loop over pixels."""

import plain_images
import pytest
import torch

from ssgan.techniques.cutout import cut


def some(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("shape", [(8, 8), (6, 9)])
def test_of_each_image_a_square_of_its_own_is_grey(shape):
    x, centre, side = some(5, 2, *shape), some(5, 2, seed=1), some(5, seed=2)
    expected = torch.stack([plain_images.cut(image, *place, length)
                            for image, place, length in zip(x, centre.tolist(), side.tolist())])
    found = cut(x, centre, side)
    assert torch.equal(found, expected) and not torch.equal(found, x)


@pytest.mark.parametrize(("centre", "side", "count"), [((0.5, 0.5), 0.5, 16), ((0.0, 0.0), 0.5, 4), ((0.5, 0.5), 0, 0),
                                                      ((0.0, 0.5), 0.5, 8), ((0.9, 0.1), 1, 25)])
def test_it_may_stick_out(centre, side, count):
    x = torch.zeros(1, 1, 8, 8)
    assert cut(x, torch.tensor([centre]), torch.tensor([float(side)])).count_nonzero() == count


def test_gradients_flow_through_what_is_left():
    x = some(1, 1, 4, 4).requires_grad_()
    gradient, = torch.autograd.grad(cut(x, torch.tensor([[0.25, 0.25]]), torch.tensor([0.5])).sum(), x)
    assert gradient[0, 0].tolist() == [[0, 0, 1, 1], [0, 0, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1]]
