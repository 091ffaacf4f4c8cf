"""The order of the images: which ones each step of an epoch sees, a pure function of (split, seed, epoch)."""

import numpy
import torch

from ssgan.data.splits import Split
from ssgan.seeds import numpy_generator


def steps_per_epoch(split: Split, batch: int) -> int:
    """Steps in one pass over the full pool: all training images but the validation part, whatever the budget or pool option."""
    return max(1, len(numpy.union1d(split.labelled, split.unlabelled)) // batch)


def epoch_tables(splits: list[Split], seeds: tuple[int, ...], epoch: int, steps: int, batch: int,
                 device: torch.device = torch.device("cpu")) -> torch.Tensor:
    """Indices into the training images: [3, steps, r, batch] for labelled, unlabelled of the D step, unlabelled of the G step.

    Each is random permutations of its images, one behind the other, shuffled apart from the others in every lane.
    """
    count = steps * batch
    lanes = []
    for split, seed in zip(splits, seeds):
        random = numpy_generator(seed, "order", epoch)
        lanes.append([_tile(random, pool, count) for pool in (split.labelled, split.unlabelled, split.unlabelled)])
    tables = numpy.array(lanes).reshape(len(splits), 3, steps, batch)
    return torch.from_numpy(tables.transpose(1, 2, 0, 3).copy()).to(device)


def _tile(random: numpy.random.Generator, items: numpy.ndarray, count: int) -> numpy.ndarray:
    rounds = -(-count // len(items))
    return numpy.concatenate([random.permutation(items) for _ in range(rounds)])[:count]
