"""A graph for the CPU: torch's operations are written down once and done again on the same memory, with none of the
Python between them.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only


class RecordedGraphs:
    """In the place of `CudaGraphs`; what reads a value back while it is captured, or makes a tensor of Python's
    numbers, fails as it does there.
    """

    def __init__(self, device: torch.device, generator: torch.Generator):
        self.generator, self.captured = generator, 0

    def run(self, program: Callable[[], None]) -> None:
        """Runs the program."""
        program()

    def capture(self, program: Callable[[], None]) -> Callable[[], None]:
        """What does the program's operations again. Torch cannot but do them now too, so what they change is put
        back.
        """
        self.captured += 1
        recorder, drawn = _Recorder(), self.generator.get_state()
        with recorder:
            program()
        self.generator.set_state(drawn)
        for tensor, before in recorder.before.values():
            tensor.copy_(before)
        return lambda: _replay(recorder.calls)


class _Recorder(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.calls: list[tuple[Any, tuple, dict, Any]] = []
        self.own: set[int] = set()  # storages that the program makes itself
        self.before: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}  # of the others that it changes

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        options = options or {}
        assert function not in (torch.ops.aten._local_scalar_dense.default,
                                torch.ops.aten.nonzero.default), f"{function} reads a value back"
        assert function is not torch.ops.aten.lift_fresh.default, "a tensor is made of Python's numbers"
        for place, argument in enumerate(function._schema.arguments):
            if argument.alias_info and argument.alias_info.is_write:
                given = arguments[place] if place < len(arguments) else options.get(argument.name)
                for tensor in tree_leaves(given):
                    self._keep(tensor)
        found = function(*arguments, **options)
        held = {_storage(x) for x in tree_leaves((arguments, options)) if isinstance(x, torch.Tensor)}
        self.own |= {_storage(x) for x in tree_leaves(found) if isinstance(x, torch.Tensor)} - held
        # The same memory, without what autograd knows of it.
        self.calls.append((function, *tree_map_only(torch.Tensor, torch.Tensor.detach, (arguments, options, found))))
        return found

    def _keep(self, tensor: torch.Tensor) -> None:
        if _storage(tensor) not in self.own and _storage(tensor) not in self.before:
            whole = tensor.detach().as_strided((tensor.untyped_storage().nbytes() // tensor.element_size(),), (1,), 0)
            self.before[_storage(tensor)] = whole, whole.clone()


@torch.no_grad()
def _replay(calls: list) -> None:
    for function, arguments, options, found in calls:
        again = function(*arguments, **options)
        for target, value in zip(tree_leaves(found), tree_leaves(again), strict=True):
            # neither a view nor changed in place
            if isinstance(target, torch.Tensor) and _storage(target) != _storage(value):
                target.copy_(value)


def _storage(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().data_ptr()
