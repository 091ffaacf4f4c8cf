"""Shifts by whole pixels, and images mirrored at their edges. (Warps: test_augmentation.py.)"""

import plain_images
import pytest
import torch

from ssgan.techniques.augmentation import Augmentation
from ssgan.techniques.warping import BORDERS, moved, warp

border = pytest.mark.parametrize("border", BORDERS)


def some(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def draw_of(right: int, down: int, most: int) -> torch.Tensor:
    """A draw [1, 2] from the middle of those that say so many pixels."""
    return torch.tensor([[right, down]], dtype=torch.float64) / (most + 0.5)


@border
@pytest.mark.parametrize(("right", "down"), [(0, 0), (2, 0), (-1, 3), (-3, -3)])
def test_every_pixel_comes_from_so_many_further_on(border, right, down):
    x = some(1, 2, 5, 7)
    found = moved(x, draw_of(right, down, 3), 3, border)
    assert torch.equal(found[0], plain_images.moved(x[0], right, down, border))


@border
def test_a_shift_of_whole_pixels_is_that_of_the_warp(border):
    x, draw = some(1, 2, 6, 8), torch.zeros(1, 6, dtype=torch.float64)
    draw[0, 4], draw[0, 5] = 1, -0.5
    expected = warp(x, draw, Augmentation(shift=2, border=border))
    torch.testing.assert_close(moved(x, draw_of(2, -1, 2), 2, border), expected, rtol=0, atol=1e-12)


def test_all_shifts_up_to_the_farthest_are_equally_likely():
    draw = torch.linspace(-1, 1, 5001, dtype=torch.float64)[:-1, None].expand(-1, 2)
    x = torch.arange(9, dtype=torch.float64).expand(5000, 1, 1, 9)
    middle = moved(x, draw * torch.tensor([1.0, 0.0]), 2, "black")[:, 0, 0, 4].long()
    assert middle.bincount().tolist() == [0, 0, 1000, 1000, 1000, 1000, 1000]


def test_images_in_lanes_are_moved_as_one_after_the_other_and_give_gradients():
    x = some(2, 3, 1, 4, 5).requires_grad_()
    draw = torch.rand(2, 3, 2, generator=torch.Generator().manual_seed(2)) * 2 - 1
    for border in BORDERS:
        found = torch.vmap(lambda x, draw: moved(x, draw, 2, border))(x, draw)
        assert torch.equal(found, torch.stack([moved(*each, 2, border) for each in zip(x, draw)]))
    weights = some(2, 3, 1, 4, 5) + 1
    gradient, = torch.autograd.grad((found * weights).sum(), x)
    assert gradient.sum().item() == pytest.approx(weights.sum().item()), "every pixel came from somewhere"


@pytest.mark.parametrize("turn", [{"rotation": 40.0}, {"scale": 0.8}])
def test_beyond_the_edge_of_a_warped_image_it_is_mirrored(turn):
    x = some(2, 1, 6, 6) + 1
    draw = torch.ones(2, 6, dtype=torch.float64) * -1
    mirrored = warp(x, draw, Augmentation(**turn, border="reflected"))
    black = warp(x, draw, Augmentation(**turn))
    assert mirrored.min() > 0.99 and black.min() == 0
    torch.testing.assert_close(mirrored[..., 2:4, 2:4], black[..., 2:4, 2:4])
