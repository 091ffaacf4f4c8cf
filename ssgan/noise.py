"""Random draws for a step, made outside it: named by seed and step on the CPU, where each lane has its own streams.

On a GPU the lanes of a group draw together, one draw behind the other from the step's generator: never the same numbers, but
others than alone.
"""

import functools
import math

import numpy
import torch
from torch import Tensor

from ssgan.seeds import numpy_generator, torch_generator

Names = tuple[str | int, ...]
BLOCK = 2**17  # draws made at once from the table: what they touch stays in a core's cache


def normal_sites(shapes: list[tuple[int, ...]], seeds: tuple[int, ...], names: Names, dtype: torch.dtype,
                 generator: torch.Generator | None = None) -> tuple[Tensor, ...]:
    """One tensor [r, *shape] of standard normal draws for every shape; from the generator, on its device, where there is one."""
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


def _stack(rows: list[Tensor]) -> Tensor:
    return rows[0][None] if len(rows) == 1 else torch.stack(rows)


def _exact_normal(count: int, seed: int, names: Names, dtype: torch.dtype) -> Tensor:
    return torch.randn(count, generator=torch_generator(seed, *names), dtype=dtype)


def _table_normal(count: int, seed: int, names: Names, dtype: torch.dtype) -> Tensor:
    bits = numpy_generator(seed, *names).integers(0, 2**64, -(-count // 4), dtype=numpy.uint64).view(numpy.uint16)[:count]
    drawn, table = torch.empty(count, dtype=dtype), _quantiles(dtype)
    for block, part in zip(drawn.split(BLOCK), torch.from_numpy(bits).split(BLOCK)):
        torch.index_select(table, 0, part.to(torch.int32), out=block)
    return drawn


@functools.cache
def _quantiles(dtype: torch.dtype) -> Tensor:
    """The normal distribution in 65,536 equally likely values: noise needs no more, and 64 random bits give four of them."""
    middle = (torch.arange(2**16, dtype=torch.float64) + 0.5) / 2**16
    return torch.special.ndtri(middle).to(dtype)
