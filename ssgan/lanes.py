"""Lanes: R models in one batched program. One model is written; stacking and vmap are here and nowhere else."""

from typing import Any, Callable

import torch
from torch import Tensor, nn


class Stack:
    """R modules of one architecture as a flat tensor [r, p] of trained parameters, and their fixed buffers [r, ...]."""

    def __init__(self, modules: list[nn.Module]):
        self.template = modules[0]
        parameters, self.fixed = torch.func.stack_module_state(modules)
        self.shapes = {name: value.shape[1:] for name, value in parameters.items()}
        self.sizes = [shape.numel() for shape in self.shapes.values()]
        self.flat = torch.cat([value.detach().flatten(1) for value in parameters.values()], 1)  # [r, p]

    def to(self, device: torch.device, dtype: torch.dtype) -> "Stack":
        """Moves parameters and buffers, in place."""
        self.flat = self.flat.to(device, dtype)
        self.fixed = {name: value.to(device, dtype) for name, value in self.fixed.items()}
        return self

    def views(self, flat: Tensor) -> dict[str, Tensor]:
        """The named tensors [r, ...] that lie in a flat one; the gradient of all of them flows back as one flat tensor."""
        return {name: part.unflatten(1, shape)
                for (name, shape), part in zip(self.shapes.items(), flat.split(self.sizes, 1))}

    def tensors(self, flat: Tensor) -> dict[str, Tensor]:
        """Every tensor that a call needs: the named views of `flat`, and the buffers in its type."""
        return self.views(flat) | {name: value.to(flat.dtype) for name, value in self.fixed.items()}

    def call(self, tensors: dict[str, Tensor], *arguments: Any) -> Any:
        """The module of one lane with these tensors: plain, to be written inside `over_lanes`."""
        return torch.func.functional_call(self.template, tensors, arguments)

    def state(self, lane: int, flat: Tensor) -> dict[str, Tensor]:
        """One lane's state dict, taken out of a flat tensor: float32 on the CPU."""
        return {name: value[lane].detach().float().cpu().clone() for name, value in self.tensors(flat).items()}


def over_lanes(function: Callable, *arguments: Any) -> Any:
    """`function` of every lane's slice of the arguments: all tensors, nested as they are, have the lanes in front.

    One lane needs no vmap: the same function, on its slice.
    """
    first = next(_leaves(arguments))
    if len(first) == 1:
        return _map(lambda x: x.unsqueeze(0), function(*_map(lambda x: x.squeeze(0), arguments)))
    return torch.vmap(function, in_dims=_map(lambda x: 0, arguments))(*arguments)


def _map(function: Callable, tree: Any) -> Any:
    if isinstance(tree, Tensor):
        return function(tree)
    if isinstance(tree, dict):
        return {key: _map(function, value) for key, value in tree.items()}
    if isinstance(tree, tuple):
        parts = [_map(function, value) for value in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else tuple(parts)
    assert tree is None
    return None


def _leaves(tree: Any):
    if isinstance(tree, Tensor):
        yield tree
    elif tree is not None:
        for value in tree.values() if isinstance(tree, dict) else tree:
            yield from _leaves(value)
