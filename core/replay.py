"""What a CUDA device does again and again is recorded once and then replayed: one launch, not hundreds."""

import gc
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

Function = Callable[..., tuple[Tensor, ...]]

SPARE = 2
"""A recording serves as many rows as it has, or down to one in so many of them."""


class Replay:
    """A function of tensors with a row for each example; on CUDA its work is recorded and replayed.

    An attack's iteration launches hundreds of small operations, and a GPU spends most of the time waiting for
    them. The first call for a number of rows just calls the function, the second records what it launches as
    a CUDA graph, and all later ones replay that. On other devices, and where the function cannot be recorded
    as it looks at values on its way, it is simply called.

    Args:
        function: Takes tensors and returns a tuple of tensors. A row of what it returns may depend on that
            row of what it takes, and on tensors that stay as they are, as a model's weights.
    """

    def __init__(self, function: Function) -> None:
        self.function = function
        self._recordings: list[Recording] = []
        self._calls: Counter[int] = Counter()
        self._refused = False

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """What the function returns."""
        if self._refused or not recordable(inputs[0]):
            return self.function(*inputs)
        rows = len(inputs[0])
        for recording in self._recordings:
            if recording.rows // SPARE <= rows <= recording.rows:
                return recording.replay(inputs)
        self._calls[rows] += 1
        if self._calls[rows] == 1:
            return self.function(*inputs)
        try:
            recording = record(self.function, inputs)
        except RuntimeError:
            self._refused = True
            return self.function(*inputs)
        self._recordings.append(recording)
        return recording.replay(inputs)


@dataclass(frozen=True)
class Recording:
    """Work that can be repeated on other values.

    Attributes:
        again: Does it.
        inputs, outputs: What it reads and writes, always the same memory.
    """

    again: Callable[[], None]
    inputs: list[Tensor]
    outputs: tuple[Tensor, ...]

    @property
    def rows(self) -> int:
        """Of the inputs."""
        return len(self.inputs[0])

    def replay(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The outputs for these inputs, which may have fewer rows: the rest keeps values of earlier calls."""
        rows = len(inputs[0])
        with torch.no_grad():
            for here, given in zip(self.inputs, inputs, strict=True):
                here[:rows].copy_(given)
            self.again()
            return tuple(output[:rows].clone() for output in self.outputs)


def recordable(x: Tensor) -> bool:
    """Whether the work on this tensor's device can be recorded."""
    return x.device.type == "cuda"


def record(function: Function, inputs: tuple[Tensor, ...]) -> Recording:
    """Record what a function launches, as a CUDA graph.

    Raises: RuntimeError: where it waits for the device, as graphs cannot.
    """
    own = [given.detach().clone() for given in inputs]
    graph, stream = torch.cuda.CUDAGraph(), _stream(own[0].device)
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream), _no_collection():
        # Workspaces, and tensors that are made once and kept, must not lie in the graph's own memory.
        function(*own)
        # Other threads, another visitor's attack among them, may go on meanwhile.
        graph.capture_begin(capture_error_mode="thread_local")
        try:
            outputs = function(*own)
        finally:
            graph.capture_end()
    torch.cuda.current_stream().wait_stream(stream)
    return Recording(graph.replay, own, tuple(output.detach() for output in outputs))


@cache
def _stream(where: torch.device) -> torch.cuda.Stream:
    """Graphs are recorded on a stream of their own; one serves all, as each would keep memory."""
    return torch.cuda.Stream(where)


@contextmanager
def _no_collection() -> Generator[None]:
    """No garbage is collected inside: freeing a graph would break the recording of another."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
