"""The canvas: its sides, where the image is on it, and what is too small."""

import pytest
import torch

from ssgan.errors import Mistake
from ssgan.models.canvas import canvas_of


@pytest.mark.parametrize(("side", "halvings", "start", "canvas"), [
    (28, 2, 7, 28), (28, 3, 4, 32), (32, 3, 4, 32), (64, 4, 4, 64), (128, 5, 4, 128), (96, 4, 6, 96), (100, 4, 7, 112)])
def test_it_is_the_smallest_that_can_be_halved_so_often(side, halvings, start, canvas):
    found = canvas_of((1, side, side + 1), halvings, "model.widths")
    assert (found.start[0], found.sides[0]) == (start, canvas) and found.map(halvings) == found.start


def test_the_image_stands_in_its_middle_with_black_around():
    canvas = canvas_of((2, 9, 11), 1, "model.widths")
    x = torch.rand(3, 2, 9, 11) + 1
    framed = canvas.framed(x)
    assert framed.shape == (3, 2, 10, 12) and torch.equal(canvas.cropped(framed), x)
    assert framed.sum() == pytest.approx(x.sum().item()) and (canvas.above, canvas.left) == (0, 0)
    wide = canvas_of((1, 26, 28), 3, "model.widths")
    assert (wide.sides, wide.above, wide.left) == ((32, 32), 3, 2)
    assert torch.equal(wide.cropped(wide.framed(x[..., :9].mean(1, keepdim=True).repeat(1, 1, 3, 4)[:, :, :26, :28])),
                       x[..., :9].mean(1, keepdim=True).repeat(1, 1, 3, 4)[:, :, :26, :28])


def test_images_that_fit_are_left_as_they_are():
    canvas, x = canvas_of((1, 8, 12), 1, "model.widths"), torch.rand(2, 1, 8, 12)
    assert canvas.framed(x) is x and torch.equal(canvas.cropped(x), x)


@pytest.mark.parametrize(("shape", "halvings", "said"), [
    ((1, 28, 28), 4, "model.widths: 4 halvings make images of 28x28 pixels a map of 2x2.*\n.*at most 3"),
    ((3, 4, 64), 1, "map of 2x32.*\n.*too small for this family; set model.family = conv")])
def test_too_many_halvings_are_a_mistake(shape, halvings, said):
    with pytest.raises(Mistake, match=said):
        canvas_of(shape, halvings, "model.widths")
