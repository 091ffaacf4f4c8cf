"""The kernel distance against torch-fidelity's and the plain sum over pairs."""

import itertools

import numpy as np
import pytest
import torch

from ssgan.evaluation.kernel_distance import kernel_distance


def features(count: int, seed: int, shift: float = 0.0) -> torch.Tensor:
    return torch.randn(count, 7, generator=torch.Generator().manual_seed(seed)).relu() + shift


def test_it_is_the_sum_over_pairs_where_all_images_are_taken():
    x, y = features(6, 0).double().numpy(), features(6, 1, 0.5).double().numpy()

    def kernel(a, b):
        return (a @ b / 7 + 1) ** 3

    within = sum(kernel(one[i], one[j]) for one in (x, y) for i, j in itertools.permutations(range(6), 2)) / 30
    across = np.mean([kernel(a, b) for a in x for b in y])
    found = kernel_distance(torch.from_numpy(x), torch.from_numpy(y), subsets=3)
    assert found.mean == pytest.approx(within - 2 * across) and found.std is None, "each subset is the whole"


@pytest.mark.parametrize(("count", "size"), [(40, 20), (30, 30)])
def test_it_is_torch_fidelitys(count, size):
    metric_kid = pytest.importorskip("torch_fidelity.metric_kid")
    first, second = features(count, 0), features(count + 5, 1, 0.3)
    theirs = metric_kid.kid_features_to_metric(first, second, kid_subsets=10, kid_subset_size=size, verbose=False)
    ours = kernel_distance(first, second, 10, size)
    assert ours.mean == pytest.approx(theirs["kernel_inception_distance_mean"], abs=1e-6)
    assert ours.std == pytest.approx(theirs["kernel_inception_distance_std"], abs=1e-6)


def test_of_one_kind_it_is_zero_in_the_mean_and_of_zeros_exactly():
    alike = [kernel_distance(features(50, seed), features(50, 100 + seed), 1).mean for seed in range(40)]
    assert abs(np.mean(alike)) < 3 * np.std(alike) / 40 ** 0.5 and min(alike) < 0
    assert kernel_distance(torch.zeros(5, 3), torch.zeros(9, 3), 2).mean == 0
    assert kernel_distance(features(50, 0), features(50, 1, 1.0), 1).mean > 5 * np.std(alike)


@pytest.mark.parametrize("other", [torch.zeros(1, 7), torch.zeros(4, 6)])
def test_too_few_images_and_other_features_are_refused(other):
    with pytest.raises(ValueError, match="two images of each"):
        kernel_distance(features(4, 0), other, 1)
