"""`compiled`: what a function does to tensors, written down once as torch's operations and made one program by torch's
compiler, for a CPU.
"""

import contextlib
import logging
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from ssgan.errors import Mistake
from ssgan.training.lanes import tree_leaves, tree_map

# The program is C++ down to the calls, compiled in this process; its parts have names for torch's profiler.
OPTIONS = {"cpp_wrapper": True, "compile_threads": 1, "cpp.enable_kernel_profile": True}


def compiled(function: Callable[[Any], None]) -> Callable[[Any], None]:
    """`function` of a tree of tensors, some of which it changes in place: traced and compiled at its first call.

    It must be a program of tensors alone: Python runs in it once, on tensors that hold no numbers. The tensors of later
    calls have the shapes and types of the first one's. Raises Mistake where there is no C++ compiler, or it fails,
    or its cache cannot be written.
    """
    program: Callable[..., None] | None = None

    def call(tree: Any) -> None:
        nonlocal program
        tensors = list(tree_leaves(tree))
        if program is None:
            try:
                program = _compile(_traced(function, tree, tensors), tensors)
            except OSError as error:  # a cache that cannot be written, as soon as torch's compiler is imported
                raise _mistake(error) from error
        else:
            program(*tensors)

    return call


def _traced(function: Callable[[Any], None], tree: Any, tensors: list[Tensor]) -> torch.nn.Module:
    from torch.fx.experimental.proxy_tensor import make_fx

    def of_leaves(*leaves: Tensor) -> tuple[()]:
        given = iter(leaves)
        function(tree_map(lambda _: next(given), tree))
        return ()

    return make_fx(of_leaves, tracing_mode="fake")(*tensors)


def _compile(graph: torch.nn.Module, tensors: list[Tensor]) -> Callable[..., None]:
    """The graph's program, which has run once on the tensors."""
    from torch._dynamo.exc import TorchDynamoException

    program = torch.no_grad()(torch.compile(graph, fullgraph=True, options=OPTIONS))
    try:
        with _quiet():
            program(*tensors)
    except TorchDynamoException as error:
        raise _mistake(error) from error
    return program


def _mistake(error: Exception) -> Mistake:
    reason = next((line for line in str(error).splitlines() if ": " in line), type(error).__name__)
    return Mistake(f"torch's compiler fails here: {reason.strip()}\n"
                   "It needs a C++ compiler (g++), Python's headers (python3-dev), a place for its cache "
                   "(TORCHINDUCTOR_CACHE_DIR) and a torch that\n"
                   "compiles these layers; --set train.compile=no does without.")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the compiler's warnings, which are of torch's own code, and of CUDA's toolkit where there is no GPU."""
    found = logging.getLogger("torch.utils.cpp_extension")
    before = found.level
    found.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        found.setLevel(before)
