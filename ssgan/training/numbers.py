"""`Numbers`: what changes with the step, as tensors that keep their place."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor


class Numbers:
    """A tree of plain numbers (dicts, tuples) as one of 0-dim tensors, whole numbers as int64; `fill` puts others in
    their place.

    On a GPU they are one piece of memory, which is filled by one copy: a launch for each took longer than a small step.
    """

    def __init__(self, values: Any, device: torch.device, dtype: torch.dtype):
        plain = list(_leaves(values))
        if device.type == "cpu":  # a compiler wants tensors that share no memory
            self._places = [torch.zeros((), dtype=_kind(value, dtype)) for value in plain]
            self._whole = {}
        else:
            self._whole = {kind: torch.zeros(len(plain), dtype=kind, device=device) for kind in (dtype, torch.int64)}
            self._places = [self._whole[_kind(value, dtype)][i] for i, value in enumerate(plain)]
        self.tree = _like(values, iter(self._places))
        self.fill(values)

    def fill(self, values: Any) -> None:
        """Puts a tree of plain numbers, built as the first one was, into the tensors."""
        plain = list(_leaves(values))
        if self._whole:
            for kind, whole in self._whole.items():
                whole.copy_(torch.tensor(plain, dtype=torch.float64).to(kind))
        else:
            for place, value in zip(self._places, plain, strict=True):
                place.fill_(value)


def _kind(value: float, dtype: torch.dtype) -> torch.dtype:
    return torch.int64 if isinstance(value, int) else dtype


def _leaves(values: Any) -> Iterator[float]:
    if isinstance(values, dict | tuple):
        for value in values.values() if isinstance(values, dict) else values:
            yield from _leaves(value)
    else:
        yield values


def _like(values: Any, places: Iterator[Tensor]) -> Any:
    if isinstance(values, dict):
        return {key: _like(value, places) for key, value in values.items()}
    return tuple(_like(value, places) for value in values) if isinstance(values, tuple) else next(places)
