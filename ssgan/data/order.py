"""The order of the images: which ones each step of an epoch sees, a pure function of (split, seed, epoch)."""

import numpy
import torch

from ssgan.data.splits import Split
from ssgan.random_streams import numpy_generator, stream


def steps_per_epoch(split: Split, batch: int) -> int:
    """Steps in one pass over the full pool: all training images but the validation part, whatever the budget or pool
    option.
    """
    return max(1, len(numpy.union1d(split.labelled, split.unlabelled)) // batch)


def epoch_tables(splits: list[Split], seeds: tuple[int, ...], epoch: int, steps: int, batch: int) -> torch.Tensor:
    """Indices into the training images: [3, steps, r, batch] for labelled, unlabelled of the D step, unlabelled of the
    G step.

    Each is random permutations of its images, one behind the other, shuffled apart from the others in every lane.
    """
    count = steps * batch
    lanes = []
    for split, seed in zip(splits, seeds):
        random = numpy_generator(seed, "order", epoch)
        lanes.append([_tile(random, pool, count) for pool in (split.labelled, split.unlabelled, split.unlabelled)])
    tables = numpy.array(lanes).reshape(len(splits), 3, steps, batch)
    return torch.from_numpy(tables.transpose(1, 2, 0, 3).copy())


class DeviceOrders:
    """The same on a device, which shuffles by itself and is never waited for; the orders are others than the CPU's."""

    def __init__(self, splits: list[Split], seeds: tuple[int, ...], steps: int, batch: int, device: torch.device):
        self.seeds, self.steps, self.batch, self.device = seeds, steps, batch, device
        self.pools = [[torch.from_numpy(pool).to(device) for pool in (split.labelled, split.unlabelled)]
                      for split in splits]

    def epoch_tables(self, epoch: int) -> torch.Tensor:
        """Indices [3, steps, r, batch], as `epoch_tables` gives them."""
        lanes = []
        for (labelled, unlabelled), seed in zip(self.pools, self.seeds):
            random = torch.Generator(self.device).manual_seed(stream(seed, "order", epoch))
            lanes.append(torch.stack([self._tile(random, pool) for pool in (labelled, unlabelled, unlabelled)]))
        return torch.stack(lanes).view(-1, 3, self.steps, self.batch).permute(1, 2, 0, 3).contiguous()

    def _tile(self, random: torch.Generator, items: torch.Tensor) -> torch.Tensor:
        count = self.steps * self.batch
        keys = torch.rand(-(-count // len(items)), len(items), generator=random, dtype=torch.float64,
                          device=self.device)
        return items[keys.argsort(1)].view(-1)[:count]


def _tile(random: numpy.random.Generator, items: numpy.ndarray, count: int) -> numpy.ndarray:
    rounds = -(-count // len(items))
    return numpy.concatenate([random.permutation(items) for _ in range(rounds)])[:count]
