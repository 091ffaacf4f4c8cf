"""`Replay`: a program of tensors captured once as a CUDA graph, and replayed from then on."""

import warnings
from collections.abc import Callable
from typing import Protocol

import torch

WARM_UP = 3  # calls before the capture, which let libraries allocate and choose

Program = Callable[[], None]


class Capture(Protocol):
    """What can run a program, and capture it without running it."""

    def run(self, program: Program) -> None:
        """Runs the program where it will be captured."""

    def capture(self, program: Program) -> Program:
        """What does again all that the program does with tensors, and nothing of its Python."""


class Replay:
    """Calls `program`; from the fourth call on by replaying what was captured then.

    The program reads nothing back. What it reads and writes keeps its place in memory, and what changes from call to
    call lies in tensors that are filled between the calls.
    """

    def __init__(self, program: Program, machine: Capture):
        self.program, self.machine, self.calls = program, machine, 0
        self._again: Program | None = None

    def __call__(self) -> None:
        self.calls += 1
        if self.calls <= WARM_UP:
            self.machine.run(self.program)
            return
        if self._again is None:
            self._again = self.machine.capture(self.program)
        self._again()


class CudaGraphs:
    """Captures on a stream of its own. Random numbers come from `generator`, whose seed at the time of a replay
    counts.
    """

    def __init__(self, device: torch.device, generator: torch.Generator):
        self.device, self.generator = device, generator
        self.stream = torch.cuda.Stream(device)

    def run(self, program: Program) -> None:
        """Runs the program on the stream, in order with the work before and after it."""
        with torch.cuda.device(self.device):
            self.stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.stream):
                program()
            torch.cuda.current_stream().wait_stream(self.stream)

    def capture(self, program: Program) -> Program:
        """The captured graph's replay, which works on the stream that is current then."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(self.device):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # newer torch finds the generator itself, and says so
                graph.register_generator_state(self.generator)
            with torch.cuda.graph(graph, stream=self.stream):
                program()
        return graph.replay
