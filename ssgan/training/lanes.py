"""Lanes: R models in one batched program. One model is written; stacking and vmap are here and nowhere else."""

import contextlib
import copy
from collections.abc import Iterator
from typing import Any, Callable

import torch
from torch import Tensor, nn

from ssgan.models.prepared import Prepared


class Stack:
    """R modules of one architecture as a flat tensor [r, p] of trained parameters, and their fixed buffers [r, ...].

    The first module becomes the template of `of`; its own tensors are taken out.
    """

    def __init__(self, modules: list[nn.Module]):
        parameters, self.fixed = torch.func.stack_module_state(modules)
        self.shapes = {name: value.shape[1:] for name, value in parameters.items()}
        self.sizes = [shape.numel() for shape in self.shapes.values()]
        self.flat = torch.cat([value.detach().flatten(1) for value in parameters.values()], 1)  # [r, p]
        self.template = modules[0]
        self._places = {name: _emptied(self.template, name) for name in (*parameters, *self.fixed)}
        self._preparing = [module for module in self.template.modules() if isinstance(module, Prepared)]

    def to(self, device: torch.device, dtype: torch.dtype) -> "Stack":
        """Moves parameters and buffers, in place."""
        self.flat = self.flat.to(device, dtype)
        self.fixed = {name: value.to(device, dtype) for name, value in self.fixed.items()}
        return self

    def on(self, flat: Tensor, fixed: dict[str, Tensor]) -> "Stack":
        """The same modules with other tensors in the place of `flat` and `fixed`."""
        twin = copy.copy(self)
        twin.flat, twin.fixed = flat, fixed
        return twin

    def views(self, flat: Tensor) -> dict[str, Tensor]:
        """The named tensors [r, ...] that lie in a flat one; the gradient of all of them flows back as one flat tensor."""
        return {name: part.unflatten(1, shape)
                for (name, shape), part in zip(self.shapes.items(), flat.split(self.sizes, 1))}

    def tensors(self, flat: Tensor) -> dict[str, Tensor]:
        """Every tensor that a call needs: the named views of `flat`, and the buffers in its type."""
        return self.views(flat) | {name: value.to(flat.dtype) for name, value in self.fixed.items()}

    @contextlib.contextmanager
    def of(self, tensors: dict[str, Tensor], *, trained: bool = False) -> Iterator[nn.Module]:
        """The module of one lane with these tensors, for all passes of a loss: plain, to be written inside `over_lanes`.

        `trained`: whether gradients of the tensors are wanted.
        """
        # As torch.func.functional_call does, at a tenth of its time, and once: a step makes up to six passes with some twenty tensors.
        for name, (attributes, attribute) in self._places.items():
            attributes[attribute] = tensors[name]
        try:
            for module in self._preparing:
                module.prepare(trained)
            yield self.template
        finally:
            for module in self._preparing:
                module.forget()

    def call(self, tensors: dict[str, Tensor], *arguments: Any) -> Any:
        """One pass of that module."""
        with self.of(tensors) as module:
            return module(*arguments)

    def state(self, lane: int, flat: Tensor) -> dict[str, Tensor]:
        """One lane's state dict, taken out of a flat tensor: float32 on the CPU."""
        return {name: value[lane].detach().float().cpu().clone() for name, value in self.tensors(flat).items()}


def _emptied(template: nn.Module, name: str) -> tuple[dict[str, Any], str]:
    """The place of a named tensor in a module, made a plain attribute: (the attributes it is among, its own name)."""
    path, _, attribute = name.rpartition(".")
    module = template.get_submodule(path)
    delattr(module, attribute)
    return module.__dict__, attribute


def over_lanes(function: Callable, *arguments: Any) -> Any:
    """`function` of every lane's slice of the arguments: all tensors, nested as they are, have the lanes in front.

    One lane needs no vmap: the same function, on its slice.
    """
    first = next(tree_leaves(arguments))
    if len(first) == 1:
        return tree_map(lambda x: x.unsqueeze(0), function(*tree_map(lambda x: x.squeeze(0), arguments)))
    return torch.vmap(function, in_dims=tree_map(lambda x: 0, arguments))(*arguments)


def tree_map(function: Callable, tree: Any) -> Any:
    """A tree of tuples and dicts with `function` of each tensor; None stays None."""
    if isinstance(tree, Tensor):
        return function(tree)
    if isinstance(tree, dict):
        return {key: tree_map(function, value) for key, value in tree.items()}
    if isinstance(tree, tuple):
        parts = [tree_map(function, value) for value in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else tuple(parts)
    assert tree is None
    return None


def tree_leaves(tree: Any):
    """The tensors of such a tree, in order."""
    if isinstance(tree, Tensor):
        yield tree
    elif tree is not None:
        for value in tree.values() if isinstance(tree, dict) else tree:
            yield from tree_leaves(value)
