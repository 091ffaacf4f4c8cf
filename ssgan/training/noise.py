"""Random draws for a step, made outside it: named by seed and step on the CPU, where each lane has its own streams.

On a GPU the lanes of a group draw together, one draw behind the other from the step's generator: never the same
numbers, but others than alone.
"""

import functools
import math
from collections.abc import Sequence

import numpy
import torch
from torch import Tensor

from ssgan.random_streams import numpy_generator, torch_generator

Names = tuple[str | int, ...]
Limits = Sequence[Tensor | None]  # of `class_limits`, one a lane
BLOCK = 2**16  # pairs of draws looked up at once: what they touch stays in a core's cache


def normal_sites(shapes: list[tuple[int, ...]], seeds: tuple[int, ...], names: Names, dtype: torch.dtype,
                 generator: torch.Generator | None = None) -> tuple[Tensor, ...]:
    """One tensor [r, *shape] of standard normal draws for every shape; from the generator, on its device, where there
    is one.
    """
    counts = [math.prod(shape) for shape in shapes]
    if generator is None:
        draw = _exact_normal if dtype == torch.float64 else _table_normal
        block = _stack([draw(sum(counts), seed, names, dtype) for seed in seeds])  # [r, total]
    else:
        block = torch.randn(len(seeds), sum(counts), generator=generator, dtype=dtype, device=generator.device)
    return tuple(part.view(len(seeds), *shape) for part, shape in zip(block.split(counts, 1), shapes))


def uniform(shape: tuple[int, ...], seeds: tuple[int, ...], names: Names, dtype: torch.dtype,
            generator: torch.Generator | None = None) -> Tensor:
    """Draws uniform on [0, 1): [r, *shape], made in float32, whatever the type; from the generator likewise."""
    if generator is None:
        return _stack([torch.rand(shape, generator=torch_generator(seed, *names)) for seed in seeds]).to(dtype)
    return torch.rand(len(seeds), *shape, generator=generator, device=generator.device).to(dtype)


def classes(shape: tuple[int, ...], count: int, limits: Limits, seeds: tuple[int, ...], names: Names,
            generator: torch.Generator | None = None) -> Tensor:
    """Whole numbers below `count`: int64 [r, *shape], all equally likely in the lanes without limits; from the
    generator likewise.
    """
    if generator is None:
        return _stack([_classes(shape, count, limit, torch_generator(seed, *names))
                       for seed, limit in zip(seeds, limits)])
    if all(limit is None for limit in limits):
        return torch.randint(count, (len(seeds), *shape), generator=generator, device=generator.device)
    return _stack([_classes(shape, count, limit, generator) for limit in limits])


def class_limits(shares: Tensor) -> Tensor | None:
    """Of class shares [k] the sums of the first one, two and so on [k - 1], None where all are equal: a uniform draw is
    of the class between whose limits it lies.
    """
    return None if (shares == shares[0]).all() else shares.cumsum(0)[:-1]


def _classes(shape: tuple[int, ...], count: int, limit: Tensor | None, generator: torch.Generator) -> Tensor:
    if limit is None:
        return torch.randint(count, shape, generator=generator, device=generator.device)
    return (torch.rand(*shape, 1, generator=generator, device=generator.device) >= limit).sum(-1)


def _stack(rows: list[Tensor]) -> Tensor:
    return rows[0][None] if len(rows) == 1 else torch.stack(rows)


def _exact_normal(count: int, seed: int, names: Names, dtype: torch.dtype) -> Tensor:
    return torch.randn(count, generator=torch_generator(seed, *names), dtype=dtype)


def _table_normal(count: int, seed: int, names: Names, dtype: torch.dtype) -> Tensor:
    table = _pairs(dtype)
    pairs = -(-count // 2)
    bits = numpy_generator(seed, *names).integers(0, 2**64, -(-pairs // 4), dtype=numpy.uint64).view(numpy.uint16)[
        :pairs]
    drawn = torch.empty(pairs, dtype=table.dtype)
    for block, part in zip(drawn.split(BLOCK), torch.from_numpy(bits).split(BLOCK)):
        torch.index_select(table, 0, part.to(torch.int32), out=block)
    return drawn.view(dtype)[:count]


@functools.cache
def _pairs(dtype: torch.dtype) -> Tensor:
    """65,536 equally likely pairs of independent standard normal numbers, each pair one element: 64 random bits give
    eight draws.

    They are the normal distribution's quantiles of a rank-1 lattice in the unit square, its multiplier nearest to the
    golden ratio's share: each number of a pair takes 65,536 equally likely values, and their projections in every
    direction are nearer to the normal distribution than those of as many draws (a test says how near).
    """
    i = torch.arange(2**16)
    lattice = torch.stack([i, (40503 * i + 2**14) % 2**16], 1)
    pairs = torch.special.ndtri((lattice.double() + 0.5) / 2**16).to(dtype)
    return pairs.view({2: torch.int32, 4: torch.int64}[dtype.itemsize]).flatten()
