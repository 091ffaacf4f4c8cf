"""`Replay`: a program of tensors captured once as a CUDA graph and replayed on static buffers."""

from collections.abc import Callable
from typing import Any

import torch

from ssgan.lanes import tree_leaves, tree_map

WARM_UP = 3  # calls before the capture, which let libraries allocate and choose


class Replay:
    """Calls `program(draws)`; from the fourth call on by replaying the graph that was captured then.

    The program reads nothing back and draws nothing; whatever else it reads and writes must keep its place in memory.
    """

    def __init__(self, program: Callable[[Any], None]):
        self.program, self.calls = program, 0
        self._static: Any = None
        self._graph: torch.cuda.CUDAGraph | None = None
        self._stream = torch.cuda.Stream()

    def __call__(self, draws: Any) -> None:
        self.calls += 1
        if self.calls <= WARM_UP:
            self._stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self._stream):
                self.program(draws)
            torch.cuda.current_stream().wait_stream(self._stream)
            return
        if self._graph is None:
            self._static = tree_map(torch.clone, draws)
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph, stream=self._stream):
                self.program(self._static)
        for target, source in zip(tree_leaves(self._static), tree_leaves(draws), strict=True):
            target.copy_(source)
        self._graph.replay()
