"""The order of the images: every one equally often, pure, and independent between lanes."""

import numpy as np
import pytest
import torch

from ssgan.data.order import DeviceOrders, epoch_tables, steps_per_epoch
from ssgan.data.splits import Split

LABELLED, FOR_DISCRIMINATOR, FOR_GENERATOR = range(3)


def a_split(labelled: int, unlabelled: int, first: int = 0, validation: int = 0) -> Split:
    """The first images are labelled, all of them or the others unlabelled, counted from `first`."""
    empty = np.arange(1000, 1000 + validation)
    return Split(np.arange(labelled), np.arange(first, first + unlabelled), empty, empty[:0], labelled, 0, "inclusive",
                 "made", "")


@pytest.mark.parametrize(("split", "batch", "steps"), [
    (a_split(8, 60), 10, 6), (a_split(8, 69), 10, 6), (a_split(8, 5), 10, 1), (a_split(20, 40, first=20), 10, 6),
    (a_split(8, 60, validation=30), 10, 6)])
def test_an_epoch_is_the_full_pools_length_whatever_the_budget_or_pool(split, batch, steps):
    assert steps_per_epoch(split, batch) == steps


@pytest.mark.parametrize(("count", "visits"), [(60, 1), (30, 2), (20, 3)])
def test_an_epoch_sees_every_image_equally_often(count, visits):
    tables = epoch_tables([a_split(8, count, first=3)], (0,), epoch=0, steps=6, batch=10)
    assert tables.shape == (3, 6, 1, 10) and tables.dtype == torch.int64
    for kind in (FOR_DISCRIMINATOR, FOR_GENERATOR):
        images, times = tables[kind].unique(return_counts=True)
        assert images.tolist() == list(range(3, 3 + count)) and set(times.tolist()) == {visits}


def test_labelled_images_are_tiled_one_permutation_behind_the_other():
    order = epoch_tables([a_split(8, 60)], (0,), epoch=0, steps=6, batch=10)[LABELLED].flatten().tolist()
    rounds = [order[i: i + 8] for i in range(0, 60, 8)]
    assert all(sorted(part) == list(range(8)) for part in rounds[:-1]) and len(set(rounds[-1])) == len(rounds[-1]) == 4
    assert len({tuple(part) for part in rounds}) == len(rounds), "each is shuffled anew"


def test_images_left_over_are_others_every_epoch():
    seen = [epoch_tables([a_split(8, 69)], (0,), epoch, 6, 10)[FOR_DISCRIMINATOR].unique() for epoch in range(40)]
    assert all(len(images) == 60 for images in seen)
    times = torch.cat(seen).bincount(minlength=69)
    assert times.min() > 25 and times.max() <= 40, "each image is seen in about 35 of 40 epochs"


def test_tables_are_pure_and_differ_by_epoch_seed_and_kind():
    def table(seed, epoch):
        return epoch_tables([a_split(60, 60)], (seed,), epoch, 6, 10)

    assert torch.equal(table(1, 2), table(1, 2))
    orders = [row.tolist() for tables in (table(1, 2), table(1, 3), table(2, 2)) for row in tables.flatten(1)]
    assert len({tuple(order) for order in orders}) == 9


def test_lanes_are_those_of_each_alone():
    splits, seeds = [a_split(8, 60), a_split(20, 60), a_split(4, 40, first=20)], (5, 5, 7)
    together = epoch_tables(splits, seeds, 3, 6, 10)
    assert together.shape == (3, 6, 3, 10)
    for lane, (split, seed) in enumerate(zip(splits, seeds)):
        assert torch.equal(together[:, :, lane], epoch_tables([split], (seed,), 3, 6, 10)[:, :, 0])


def test_orders_show_no_pattern():
    """The mean rank of each image over many epochs is that of a fair shuffle."""
    orders = torch.stack([epoch_tables([a_split(8, 60)], (0,), epoch, 6, 10)[FOR_GENERATOR].flatten().argsort()
                          for epoch in range(300)]).double()
    assert (orders.mean(0) - 29.5).abs().max() < 4.5 * (60**2 / 12 / 300) ** 0.5


def test_a_devices_orders_are_fair_pure_and_those_of_each_lane_alone():
    splits, seeds, device = [a_split(8, 60), a_split(20, 30, first=3), a_split(4, 69)], (5, 5, 7), torch.device("cpu")
    orders = DeviceOrders(splits, seeds, 6, 10, device)
    together = orders.epoch_tables(3)
    assert together.shape == (3, 6, 3, 10) and together.dtype == torch.int64
    for lane, (split, seed) in enumerate(zip(splits, seeds)):
        assert torch.equal(together[:, :, lane], DeviceOrders([split], (seed,), 6, 10, device).epoch_tables(3)[:, :, 0])
        for kind, pool in ((LABELLED, split.labelled), (FOR_DISCRIMINATOR, split.unlabelled),
                           (FOR_GENERATOR, split.unlabelled)):
            rounds = together[kind, :, lane].flatten().split(len(pool))
            assert all(len(set(part.tolist())) == len(part) and set(part.tolist()) <= set(pool.tolist())
                       for part in rounds)
            assert len({tuple(part.tolist()) for part in rounds}) > len(rounds) / 2, "each is shuffled anew"
    assert torch.equal(together, orders.epoch_tables(3)) and not torch.equal(together, orders.epoch_tables(4))
    assert not torch.equal(together[FOR_DISCRIMINATOR], together[FOR_GENERATOR])
