"""Colour changes against those of one image at a time."""

import plain_images
import torch

from ssgan.techniques.colour import coloured


def some(n: int = 4, channels: int = 3) -> torch.Tensor:
    return torch.rand(n, channels, 5, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def amounts(n: int = 4) -> torch.Tensor:
    """Brightness, contrast and saturation of each image [3, n]."""
    return torch.rand(3, n, generator=torch.Generator().manual_seed(1), dtype=torch.float64) - 0.5


def test_each_image_is_changed_by_its_own_numbers():
    for channels in (1, 2, 3):
        x = some(channels=channels)
        expected = torch.stack([plain_images.coloured(image, *its) for image, its in zip(x, amounts().T.tolist())])
        torch.testing.assert_close(coloured(x, *amounts()), expected)


def test_zeros_change_nothing_and_whole_shares_do_what_they_say():
    x, zero = some(), torch.zeros(4, dtype=torch.float64)
    torch.testing.assert_close(coloured(x, zero, zero, zero), x)
    torch.testing.assert_close(coloured(x, zero + 0.25, zero, zero), x + 0.25)
    grey = coloured(x, zero, zero, zero - 1)
    torch.testing.assert_close(grey, x.mean(1, keepdim=True).expand_as(x))
    flat = coloured(x, zero, zero - 1, zero)
    torch.testing.assert_close(flat, x.mean((1, 2, 3), keepdim=True).expand_as(x))


def test_gradients_flow_through_them_to_the_image():
    x = some(2).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: coloured(x, *amounts(2)), (x,))
