"""`Player`: one network of the pair while it is trained, in R lanes, and the update of all that it holds."""

import copy

import torch
from torch import Tensor

from ssgan.config import TrainConfig
from ssgan.training.lanes import Stack
from ssgan.training.optimisers import Adam


class Player:
    """R lanes of one network: the weights that Adam keeps in full precision, their average, and their copy in the type of the products.

    The copy is made anew after each update and used until the next; `tensors` are what a pass takes of it, `leaves` the same memory
    as leaves of the graph.
    """

    def __init__(self, stack: Stack, config: TrainConfig, compute: torch.dtype, *, replayed: bool = False, compiled: bool = False):
        self.stack, self.compiled = stack, compiled
        self.adam = Adam(stack.flat, config, replayed, plain=compiled)
        self.average = stack.flat.clone() if config.averaging == "corrected" else torch.zeros_like(stack.flat)
        self._bind(stack.flat.to(compute, copy=True))

    def gradients(self, losses: Tensor) -> Tensor:
        """Those of the lanes' losses [r], as one flat tensor [r, p]."""
        found = torch.autograd.grad(losses.sum(), tuple(self.leaves.values()))
        if self.compiled:  # the compiler writes each part where it belongs; eager cat takes three times as long as the copies below
            return torch.cat([gradient.flatten(1) for gradient in found], 1)
        torch._foreach_copy_(self._gradient_views, found)
        return self._gradient

    def refresh(self) -> None:
        """Makes the copy that of the weights."""
        self.copy.copy_(self.stack.flat)

    def take_fixed(self, fixed: dict[str, Tensor]) -> None:
        """Puts saved buffers in the place of the stack's own."""
        for name, target in self.stack.fixed.items():
            target.copy_(fixed[name])
        self.tensors = self.stack.tensors(self.copy)

    def held(self) -> dict[str, Tensor]:
        """All that an update reads or changes, by name; none of them shares memory with another."""
        return {"flat": self.stack.flat, "average": self.average, "copy": self.copy, **self.adam.held(), **self.stack.fixed}

    def on(self, held: dict[str, Tensor]) -> "Player":
        """The same player on other tensors of these names."""
        twin = copy.copy(self)
        twin.stack = self.stack.on(held["flat"], {name: held[name] for name in self.stack.fixed})
        twin.adam, twin.average = self.adam.on(held["flat"], held), held["average"]
        twin._bind(held["copy"])
        return twin

    def _bind(self, weights: Tensor) -> None:
        self.copy = weights
        self.tensors = self.stack.tensors(weights)
        self.leaves = self.stack.views(weights.detach())
        for leaf in self.leaves.values():
            leaf.requires_grad_()
        if not self.compiled:  # where their gradients are put together
            self._gradient = torch.empty_like(self.stack.flat)
            self._gradient_views = list(self.stack.views(self._gradient).values())
