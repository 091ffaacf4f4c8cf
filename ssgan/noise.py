"""Random draws for a step, made outside it: named by seed and step on the CPU, where each lane has its own streams.

On a GPU the lanes of a group draw together, from one stream a site: never the same numbers, but others than alone.
"""

import functools
import math

import numpy
import torch
from torch import Tensor

from ssgan.seeds import numpy_generator, stream, torch_generator

Names = tuple[str | int, ...]


def normal_sites(shapes: list[tuple[int, ...]], seeds: tuple[int, ...], names: Names, dtype: torch.dtype,
                 device: torch.device = torch.device("cpu")) -> tuple[Tensor, ...]:
    """One tensor [r, *shape] of standard normal draws for every shape."""
    counts = [math.prod(shape) for shape in shapes]
    if device.type == "cpu":
        draw = _table_normal if dtype == torch.bfloat16 else _exact_normal
        block = _stack([draw(sum(counts), seed, names, dtype) for seed in seeds])  # [r, total]
    else:
        block = torch.randn(len(seeds), sum(counts), generator=_group(seeds, names, device), dtype=dtype, device=device)
    return tuple(part.view(len(seeds), *shape) for part, shape in zip(block.split(counts, 1), shapes))


def uniform(shape: tuple[int, ...], seeds: tuple[int, ...], names: Names, dtype: torch.dtype,
            device: torch.device = torch.device("cpu")) -> Tensor:
    """Draws uniform on [0, 1): [r, *shape]; on the CPU they are made in float32, whatever the type."""
    if device.type == "cpu":
        return _stack([torch.rand(shape, generator=torch_generator(seed, *names)) for seed in seeds]).to(dtype)
    return torch.rand(len(seeds), *shape, generator=_group(seeds, names, device), device=device).to(dtype)


def _stack(rows: list[Tensor]) -> Tensor:
    return rows[0][None] if len(rows) == 1 else torch.stack(rows)


def _group(seeds: tuple[int, ...], names: Names, device: torch.device) -> torch.Generator:
    return torch.Generator(device).manual_seed(stream(seeds[0], *seeds, *names))


def _exact_normal(count: int, seed: int, names: Names, dtype: torch.dtype) -> Tensor:
    return torch.randn(count, generator=torch_generator(seed, *names), dtype=dtype)


def _table_normal(count: int, seed: int, names: Names, dtype: torch.dtype) -> Tensor:
    bits = numpy_generator(seed, *names).integers(0, 2**64, -(-count // 4), dtype=numpy.uint64)
    index = torch.from_numpy(bits.view(numpy.uint16)).to(torch.int32)
    return _quantiles(dtype).index_select(0, index[:count])


@functools.cache
def _quantiles(dtype: torch.dtype) -> Tensor:
    """The normal distribution in 65,536 equally likely values, finer than the 8 bits of a bfloat16's significand."""
    middle = (torch.arange(2**16, dtype=torch.float64) + 0.5) / 2**16
    return torch.special.ndtri(middle).to(dtype)
