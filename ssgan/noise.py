"""Normal draws for the noise layers: fast, named by seed and step, drawn outside the step."""

import functools
import math

import numpy
import torch
from torch import Tensor

from ssgan.seeds import numpy_generator, torch_generator


def normal_sites(shapes: list[tuple[int, ...]], seeds: tuple[int, ...], names: tuple[str | int, ...], dtype: torch.dtype) -> tuple[Tensor, ...]:
    """One tensor [r, *shape] of standard normal draws for every shape; lane i draws from the stream of seeds[i] alone, on the CPU."""
    counts = [math.prod(shape) for shape in shapes]
    draw = _table_normal if dtype == torch.bfloat16 else _exact_normal
    rows = [draw(sum(counts), seed, names, dtype) for seed in seeds]
    block = rows[0][None] if len(rows) == 1 else torch.stack(rows)  # [r, total]
    return tuple(part.view(len(seeds), *shape) for part, shape in zip(block.split(counts, 1), shapes))


def _exact_normal(count: int, seed: int, names: tuple, dtype: torch.dtype) -> Tensor:
    return torch.randn(count, generator=torch_generator(seed, *names), dtype=dtype)


def _table_normal(count: int, seed: int, names: tuple, dtype: torch.dtype) -> Tensor:
    bits = numpy_generator(seed, *names).integers(0, 2**64, -(-count // 4), dtype=numpy.uint64)
    index = torch.from_numpy(bits.view(numpy.int16)).to(torch.int32).add_(2**15)
    return _quantiles(dtype).index_select(0, index[:count])


@functools.cache
def _quantiles(dtype: torch.dtype) -> Tensor:
    """The normal distribution in 65,536 equally likely values, finer than the 8 bits of a bfloat16's significand."""
    middle = (torch.arange(2**16, dtype=torch.float64) + 0.5) / 2**16
    return torch.special.ndtri(middle).to(dtype)
