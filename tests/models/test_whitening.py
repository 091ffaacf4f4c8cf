"""The whitening filters: what comes out of them."""

import pytest
import torch
from torch.nn import functional

from ssgan.models.whitening import filters_of, whitening


def smooth(n: int, channels: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """Images whose neighbouring pixels are alike, as in photographs."""
    x = torch.rand(n, channels, 9, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return functional.avg_pool2d(x, 3, 1).to(dtype)


@pytest.mark.parametrize("channels", [1, 3])
def test_outputs_are_uncorrelated_with_mean_0_and_variance_1_and_then_their_negatives(channels):
    x = smooth(50, channels)
    filters, bias = whitening(x)
    assert filters.shape == (filters_of(channels), channels, 2, 2)
    y = functional.conv2d(x, filters, bias)
    half = filters_of(channels) // 2
    rows = y.transpose(0, 1).flatten(1)
    torch.testing.assert_close(rows[half:], -rows[:half])
    rows = rows[:half]
    torch.testing.assert_close(rows.mean(1), torch.zeros(half).double(), rtol=0, atol=1e-9)
    covariance = rows @ rows.T / rows.shape[1]
    torch.testing.assert_close(covariance - covariance.diag().diag(), torch.zeros(half, half).double(), rtol=0,
                               atol=1e-9)
    assert 0.8 < covariance.diag().min() and covariance.diag().max() < 1, "but for the share that is added"


def test_it_does_not_depend_on_the_order_or_brightness_of_images():
    x = smooth(30, 3)
    filters, bias = whitening(x)
    y = functional.conv2d(x, filters, bias)
    for other in (x.flip(0), x + 0.3):
        torch.testing.assert_close(functional.conv2d(other, *whitening(other)).abs().sort(1)[0],
                                   (y.flip(0) if other[0].equal(x[-1]) else y).abs().sort(1)[0])


def test_a_direction_without_any_change_is_not_blown_up():
    x = smooth(30, 1).expand(-1, 3, -1, -1)  # three channels that are one
    filters, bias = whitening(x)
    assert filters.isfinite().all() and filters.abs().max() < 1e4
    assert whitening(x.float())[0].dtype == torch.float32
    assert whitening(torch.full((3, 1, 4, 4), 0.5))[0].isfinite().all(), "nor where nothing changes at all"
