"""Normal draws: their distribution in both ways of drawing, and what they depend on."""

import numpy as np
import pytest
import torch

from ssgan.random_streams import torch_generator
from ssgan.training.noise import _pairs, class_limits, classes, normal_sites, uniform

N = 1_000_000
PATHS = [torch.float32, torch.float64, torch.bfloat16]  # in fp32 and bf16 drawn from a table of pairs


ANGLES = np.linspace(0, np.pi, 13)[1:]


def draw(shapes, seeds, names=("noise", 0), dtype=torch.float32):
    return normal_sites(shapes, tuple(seeds), tuple(names), dtype)


def distance_to_normal(x):
    """Kolmogorov and Smirnov's, of draws [n]."""
    n = len(x)
    through, rank = torch.special.ndtr(x.double().sort().values), torch.arange(n, dtype=torch.float64)
    return max((through - rank / n).max().item(), ((rank + 1) / n - through).max().item())


@pytest.mark.parametrize("dtype", PATHS)
def test_draws_have_the_moments_of_the_normal_distribution(dtype):
    site, = draw([(N,)], [0], dtype=dtype)
    assert site.dtype == dtype
    x = site[0].double()
    # of x^power, by E x^2m = (2m - 1)!!
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96), (6, 15, 10170)):
        assert (x**power).mean().item() == pytest.approx(moment, abs=4 * (variance / N) ** 0.5 + 0.002 * moment), power


@pytest.mark.parametrize("dtype", PATHS)
def test_draws_pass_kolmogorov_smirnov(dtype):
    rounding = 0.0012 if dtype == torch.bfloat16 else 0  # half a step of 2^-7 near 1, times the density there
    assert distance_to_normal(draw([(N,)], [1], dtype=dtype)[0][0]) < 1.95 / N**0.5 + rounding


@pytest.mark.parametrize("dtype", PATHS)
def test_neighbours_have_the_joint_distribution_of_independent_draws(dtype):
    first, second = draw([(N,)], [3], dtype=dtype)[0][0].double().view(-1, 2).T  # by pairs they are looked up
    rounding = 0.0012 if dtype == torch.bfloat16 else 0
    for angle in ANGLES:
        assert distance_to_normal(np.cos(angle) * first + np.sin(angle) * second) < 2.3 / (
            N / 2) ** 0.5 + rounding, angle
    # E x^2m = (2m - 1)!!
    for p, q, moment, variance in ((1, 1, 0, 1), (2, 1, 0, 3), (2, 2, 1, 8), (3, 1, 0, 15), (3, 3, 0, 225)):
        found = (first**p * second**q).mean().item()
        assert found == pytest.approx(moment, abs=4 * (variance / (N / 2)) ** 0.5 + 0.004 * moment), (p, q)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_table_of_pairs_is_nearer_to_the_normal_distribution_than_as_many_draws(dtype):
    n = 2**16
    pairs = _pairs(dtype).view(dtype).view(-1, 2).double()
    quantiles = torch.special.ndtri((torch.arange(n).double() + 0.5) / n).to(dtype).double()
    for column in pairs.T:
        assert torch.equal(column.sort().values, quantiles)
    typical = 0.87 / n**0.5  # the mean distance of n draws (Kolmogorov)
    rounding = 0.0012 if dtype == torch.bfloat16 else 0
    for angle in ANGLES:
        assert distance_to_normal(pairs @ torch.tensor([np.cos(angle), np.sin(angle)])) < typical / 3 + rounding, angle
    products = [(pairs[:, 0]**p * pairs[:, 1]**q).mean().item() for p, q in ((1, 1), (2, 1), (1, 2))]
    assert max(map(abs, products)) < 0.001  # of n draws: 0.004 and 0.007
    assert (pairs.square().prod(1)).mean().item() == pytest.approx(1, abs=0.005)


@pytest.mark.parametrize("dtype", PATHS)
def test_tails_are_there(dtype):
    x = draw([(N,)], [2], dtype=dtype)[0].abs()
    assert 3.8 < x.max().item() < 6
    for beyond, share in ((2, 0.0455), (3, 0.0027)):
        assert (x > beyond).double().mean().item() == pytest.approx(share, rel=0.1)


@pytest.mark.parametrize("dtype", PATHS)
def test_draws_lanes_sites_and_steps_are_independent(dtype):
    n = 50_000
    first, second = draw([(n,), (n,)], [0, 1], ("noise", 0), dtype)
    later, other = draw([(n,)], [0], ("noise", 1), dtype)[0], draw([(n,)], [0], ("latent", 0), dtype)[0]
    rows = torch.cat([first, second, later, other]).double()
    # eight draws come from one random word
    shifted = torch.stack([first[0].double().roll(by) for by in (1, 2, 3, 4, 5, 7, 8, 9)])
    correlations = np.corrcoef(torch.cat([rows, shifted]).numpy()) - np.eye(len(rows) + len(shifted))
    assert np.abs(correlations).max() < 4.5 / n**0.5


@pytest.mark.parametrize("dtype", PATHS)
@pytest.mark.parametrize("shapes", [[(5, 3)], [(7,), (2, 3, 4), (1,)], [(3, 1), (3, 5)]])
def test_a_lanes_draws_do_not_depend_on_the_other_lanes(shapes, dtype):
    together = draw(shapes, [4, 8, 6], dtype=dtype)
    assert [tuple(site.shape) for site in together] == [(3, *shape) for shape in shapes]
    for lane, seed in enumerate([4, 8, 6]):
        alone = draw(shapes, [seed], dtype=dtype)
        assert all(torch.equal(site[lane], single[0]) for site, single in zip(together, alone))
    assert all(torch.equal(a, b) for a, b in zip(together, draw(shapes, [4, 8, 6], dtype=dtype)))


@pytest.mark.parametrize("dtype", PATHS)
def test_uniform_draws_are_uniform_and_independent(dtype):
    x = uniform((20_000, 6), (0, 1), ("latent", 0), dtype)
    assert x.shape == (2, 20_000, 6) and x.dtype == dtype and x.min() >= 0 and x.max() <= 1
    columns = x.double().transpose(1, 2).flatten(0, 1)  # [12, n]
    torch.testing.assert_close(columns.mean(1), torch.full((12,), 0.5).double(), rtol=0,
                               atol=4.5 * (1 / 12 / 20_000) ** 0.5)
    torch.testing.assert_close(columns.var(1), torch.full((12,), 1 / 12).double(), rtol=0.03, atol=0)
    assert (torch.corrcoef(columns) - torch.eye(12)).abs().max() < 4.5 / 20_000**0.5


@pytest.mark.parametrize("dtype", PATHS)
def test_a_lanes_uniform_draws_do_not_depend_on_the_other_lanes_or_on_the_type(dtype):
    together = uniform((3, 4), (4, 8, 6), ("latent", 1), dtype)
    for lane, seed in enumerate((4, 8, 6)):
        assert torch.equal(together[lane], uniform((3, 4), (seed,), ("latent", 1), dtype)[0])
        assert torch.equal(together[lane], uniform((3, 4), (seed,), ("latent", 1), torch.float32)[0].to(dtype))
    assert not torch.equal(together, uniform((3, 4), (4, 8, 6), ("latent", 2), dtype))


def test_classes_are_drawn_by_their_shares():
    """By chi squared, 3 degrees of freedom."""
    shares = torch.tensor([0.6, 0.05, 0.3, 0.05], dtype=torch.float64)
    for generator in (None, torch.Generator().manual_seed(3)):
        x = classes((100, 100), 4, [class_limits(shares), class_limits(shares.flip(0))], (0, 1), ("classes", 0),
                    generator)
        assert x.shape == (2, 100, 100) and x.dtype == torch.int64
        for lane, expected in zip(x, (shares, shares.flip(0))):
            seen = lane.flatten().bincount(minlength=4)
            assert ((seen - 10_000 * expected)**2 / (10_000 * expected)).sum() < 16.3  # p = 0.001


def test_even_classes_are_drawn_as_whole_numbers_and_lanes_do_not_depend_on_others():
    even, uneven = torch.full((5,), 0.2), torch.tensor([0.4, 0.2, 0.2, 0.1, 0.1])
    limits = [class_limits(even), class_limits(uneven), class_limits(even)]
    together = classes((3, 7), 5, limits, (4, 8, 6), ("classes", 2))
    for lane, seed in enumerate((4, 8, 6)):
        assert torch.equal(together[lane], classes((3, 7), 5, [limits[lane]], (seed,), ("classes", 2))[0])
    assert torch.equal(together[0], torch.randint(5, (3, 7), generator=torch_generator(4, "classes", 2)))
    drawn, same = (torch.Generator().manual_seed(1) for _ in range(2))
    assert torch.equal(classes((3, 7), 5, [None, None], (0, 1), (), drawn), torch.randint(5, (2, 3, 7), generator=same))
