"""Lanes: R models in one batched program. One model is written; stacking and vmap are here and nowhere else."""

import contextlib
from collections.abc import Iterator
from typing import Any, Callable

import torch
from torch import Tensor, nn
from torch.utils.weak import WeakTensorKeyDictionary

from ssgan.models.prepared import Advancing, Prepared

SETTLED = 15  # steps after which a layer's buffers have followed other weights


class Layout:
    """Where the parameters of one architecture lie in a flat tensor [r, p]; it holds no numbers.

    Its template is one module, whose own tensors are taken out: a pass puts those of a lane in their places.
    """

    def __init__(self, template: nn.Module, shapes: dict[str, torch.Size], buffers: tuple[str, ...]):
        self.template, self.shapes, self.buffers = template, shapes, buffers
        self.sizes = [shape.numel() for shape in shapes.values()]
        self._gathered: tuple[Tensor, list[Tensor]] | None = None
        # Views of tensors that stay, as a state's do: making them anew took a twentieth of a small network's step.
        self._views, self._leaves = WeakTensorKeyDictionary(), WeakTensorKeyDictionary()
        self._places = {name: _emptied(template, name) for name in (*shapes, *buffers)}
        self._preparing = [module for module in template.modules() if isinstance(module, Prepared)]
        self.advancing = [(name, module) for name, module in template.named_modules() if isinstance(module, Advancing)]

    def views(self, flat: Tensor) -> dict[str, Tensor]:
        """The named tensors [r, ...] that lie in a flat one; the gradient of all of them flows back as one flat
        tensor.
        """
        return {name: part.view(len(part), *shape)
                for (name, shape), part in zip(self.shapes.items(), flat.split(self.sizes, 1))}

    def tensors(self, flat: Tensor, buffers: dict[str, Tensor]) -> dict[str, Tensor]:
        """Every tensor that a call needs: the named views of `flat`, and the buffers in its type."""
        views = self.views(flat) if flat.requires_grad else self._kept(self._views, flat)
        return views | {name: value.to(flat.dtype) for name, value in buffers.items()}

    def leaves(self, flat: Tensor) -> dict[str, Tensor]:
        """The same memory as `views`, as leaves of a graph, whose gradients are wanted."""
        return {name: value.requires_grad_() for name, value in self._kept(self._leaves, flat).items()}

    def _kept(self, kept: WeakTensorKeyDictionary, flat: Tensor) -> dict[str, Tensor]:
        """The views of a tensor without its gradient, made once while it lives; anew where it is one of a tracer's."""
        if type(flat) is not Tensor:
            return self.views(flat.detach())
        if flat not in kept:
            kept[flat] = self.views(flat.detach())
        return kept[flat]

    def gather(self, parts: tuple[Tensor, ...], like: Tensor, *, joined: bool) -> Tensor:
        """Parts [r, ...] by the order of the names as one flat tensor [r, p] of that type, good until the next call.

        Where a compiler sees it, they are `joined`: it writes each part where it belongs.
        """
        if joined:
            return torch.cat([part.flatten(1) for part in parts], 1).to(like.dtype)
        # Eager cat takes three times as long as these copies, and they half as long into memory that is in the cache.
        if self._gathered is None or self._gathered[0].shape != like.shape or self._gathered[0].dtype != like.dtype:
            flat = torch.empty_like(like)
            self._gathered = flat, list(self.views(flat).values())
        torch._foreach_copy_(self._gathered[1], parts)
        return self._gathered[0]

    @contextlib.contextmanager
    def of(self, tensors: dict[str, Tensor], *, by_hand: bool = False) -> Iterator[nn.Module]:
        """The module of one lane with these tensors, for all passes of a loss: plain, to be written inside
        `over_lanes`.

        `by_hand`: whether the tensors' gradients are wanted by backward passes written by hand, where layers have some.
        """
        # As torch.func.functional_call does, at a tenth of its time, and once: a step makes up to six passes with some
        # twenty tensors.
        for name, (attributes, attribute) in self._places.items():
            attributes[attribute] = tensors[name]
        try:
            for module in self._preparing:
                module.prepare(by_hand)
            yield self.template
        finally:
            for module in self._preparing:
                module.forget()

    def call(self, tensors: dict[str, Tensor], *arguments: Any) -> Any:
        """One pass of that module."""
        with self.of(tensors) as module:
            return module(*arguments)

    def advanced(self, flat: Tensor, buffers: dict[str, Tensor], steps: int) -> dict[str, Tensor]:
        """The buffers [r, ...] after so many steps of the layers that have some which follow the weights; without
        gradient.
        """
        if not self.advancing:
            return buffers

        def of_lane(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
            with self.of(tensors):
                return {f"{name}.{key}": value for name, module in self.advancing
                        for key, value in module.advance(steps).items()}

        with torch.no_grad():
            return buffers | over_lanes(of_lane, self.tensors(flat, buffers))

    def lane(self, number: int, flat: Tensor, buffers: dict[str, Tensor]) -> dict[str, Tensor]:
        """One lane's state dict, taken out of a flat tensor: float32 on the CPU; buffers are settled for these weights.
        """
        buffers = self.advanced(flat, buffers, SETTLED)
        return {name: value[number].detach().float().cpu().clone()
                for name, value in self.tensors(flat, buffers).items()}


def stacked(modules: list[nn.Module]) -> tuple[Layout, Tensor, dict[str, Tensor]]:
    """R modules of one architecture as (layout, trained parameters [r, p], buffers [r, ...]); the first becomes the
    template.
    """
    parameters, buffers = torch.func.stack_module_state(modules)
    layout = Layout(modules[0], {name: value.shape[1:] for name, value in parameters.items()}, tuple(buffers))
    return layout, torch.cat([value.detach().flatten(1) for value in parameters.values()], 1), buffers


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
    kind = type(tree)
    if kind is dict:
        return {key: tree_map(function, value) for key, value in tree.items()}
    if tree is None:
        return None
    if isinstance(tree, tuple):
        parts = [tree_map(function, value) for value in tree]
        return tuple(parts) if kind is tuple else kind(*parts)
    return function(tree)


def tree_zip(function: Callable, *trees: Any) -> Any:
    """The same with `function` of the tensors at one place in several trees of one shape."""
    first = trees[0]
    if isinstance(first, dict):
        return {key: tree_zip(function, *(tree[key] for tree in trees)) for key in first}
    if isinstance(first, tuple):
        return tuple(tree_zip(function, *values) for values in zip(*trees, strict=True))
    return function(*trees)


def tree_leaves(tree: Any):
    """The tensors of such a tree, in order."""
    if isinstance(tree, Tensor):
        yield tree
    elif tree is not None:
        for value in tree.values() if isinstance(tree, dict) else tree:
            yield from tree_leaves(value)
