"""Precision and recall against torch-fidelity's, and where they can be told by hand."""

import pytest
import torch

from ssgan.evaluation import precision_recall as module
from ssgan.evaluation.precision_recall import precision_recall


def features(count: int, seed: int, scale: float = 1.0) -> torch.Tensor:
    return scale * torch.randn(count, 5, generator=torch.Generator().manual_seed(seed))


def test_it_is_torch_fidelitys_in_pieces_too(monkeypatch):
    metric_prc = pytest.importorskip("torch_fidelity.metric_prc")
    generated, real = features(60, 0, 0.6), features(50, 1)
    theirs = metric_prc.prc_features_to_metric(generated, real, verbose=False)
    for piece in (2000, 7):
        monkeypatch.setattr(module, "PIECE", piece)
        ours = precision_recall(generated, real)
        assert ours == pytest.approx((theirs["precision"], theirs["recall"]), abs=1e-6)
    assert ours.precision > ours.recall + 0.1, "the generated ones keep to the middle"


def test_equal_sets_are_covered_and_far_ones_are_not():
    real = features(20, 0)
    assert precision_recall(real, real) == (1.0, 1.0)
    assert precision_recall(real + 1000, real) == (0.0, 0.0)


def test_one_image_again_and_again_looks_real_and_covers_nothing():
    real = features(30, 0)
    found = precision_recall(real[:1].expand(30, -1), real)
    assert found.precision == 1.0 and found.recall == pytest.approx(1 / 30)


def test_fewer_images_than_neighbours_are_refused():
    with pytest.raises(ValueError, match="no 3 neighbours"):
        precision_recall(features(3, 0), features(9, 1))
