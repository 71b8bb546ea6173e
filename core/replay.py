"""What a CUDA device does again and again is recorded once and then replayed: one launch, not hundreds."""

import gc
import random
import threading
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Self, cast

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

Function = Callable[..., tuple[Tensor, ...]]

SPARE = 2
"""A recording serves as many rows as it has, or down to one in so many of them."""
CALLS = 2
"""Calls for a number of rows before it is recorded: recording takes as long as three."""
FREE = 0.25
"""Share of a device's memory below which what earlier recordings had is given back first."""

_aten = torch.ops.aten
WAITING = frozenset(
    (
        _aten._local_scalar_dense.default,
        _aten.equal.default,
        _aten.is_nonzero.default,
        _aten.masked_select.default,
        _aten.nonzero.default,
        _aten._unique2.default,
    )
)
"""Operations that hand values, or a shape that depends on them, to the host."""
BY_PLACE = frozenset((_aten.index.Tensor, _aten.index_put.default, _aten.index_put_.default))
"""Operations that do so when a place is given as true or false."""


class Replay:
    """A function of tensors with a row for each example; on CUDA its work is recorded and replayed.

    An attack's iteration launches hundreds of small operations, and a GPU spends most of the time waiting for
    them. The first calls for a number of rows just call the function, the next records what it launches as a
    CUDA graph, and all later ones replay that. On other devices the function is simply called, and so it is
    where it cannot be recorded: where it looks at values on its way, copies from the host, or draws from a
    random generator of the host's. What else a function does on the host, counting its calls for example, is
    not done again by a replay.

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
        if self._calls[rows] <= CALLS:
            return self.function(*inputs)
        try:
            self._recordings.append(record(self.function, inputs))
        except RuntimeError:
            self._refused = True
        return self(*inputs)


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


_one_at_a_time = threading.Lock()


def record(function: Function, inputs: tuple[Tensor, ...]) -> Recording:
    """Record what a function launches, as a CUDA graph.

    Raises: RuntimeError: what the function raises, and where it cannot be recorded, see `Replay`.
    """
    where = inputs[0].device
    with _one_at_a_time, torch.cuda.device(where), _no_collection():
        free, total = torch.cuda.mem_get_info(where)
        if free < FREE * total:
            gc.collect()  # graphs that nothing uses any more
            torch.cuda.empty_cache()
        own = [given.detach().clone() for given in inputs]
        main, side, graph = torch.cuda.current_stream(where), _stream(where), torch.cuda.CUDAGraph()
        side.wait_stream(main)
        try:
            with torch.cuda.stream(side):
                # Workspaces, and tensors that are made once and kept, must not lie in the graph's own memory.
                # And what cannot be recorded must say so now: one that breaks off leaves memory behind.
                with OnTheDevice():
                    function(*own)
                graph.capture_begin(capture_error_mode="thread_local")
                try:
                    outputs = function(*own)
                finally:
                    graph.capture_end()
        finally:
            main.wait_stream(side)
    return Recording(graph.replay, own, tuple(output.detach() for output in outputs))


@cache
def _stream(where: torch.device) -> torch.cuda.Stream:
    """Graphs are recorded on a stream of their own; one serves all, as each would keep memory."""
    return torch.cuda.Stream(where)


class OnTheDevice(TorchDispatchMode):
    """Refuses what no recording can hold: to wait for values, or to copy from one device to another.

    Raises: RuntimeError: from the operation that would; and at the end, when random numbers were drawn from
        a generator of the host's, which a replay would not draw again.
    """

    def __enter__(self) -> Self:
        self.before = host_randomness()
        return super().__enter__()

    def __exit__(self, *failure: Any) -> None:
        super().__exit__(*failure)
        if failure[0] is None and host_randomness() != self.before:
            raise RuntimeError("expected an iteration without random numbers of the host's")

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Do the operation, unless it looks at values or joins devices."""
        found = func(*args, **(kwargs or {}))
        tensors = [leaf for leaf in tree_leaves((args, kwargs, found)) if isinstance(leaf, Tensor)]
        places = tree_leaves(args[1]) if func in BY_PLACE else []
        looks = func in WAITING or any(place.dtype == torch.bool for place in places if place is not None)
        # A number may come from the host, as an argument of what is launched.
        if looks or len({tensor.device for tensor in tensors if tensor.ndim}) > 1:
            raise RuntimeError(f"expected an iteration that stays on the device, got {func}")
        return found


def host_randomness() -> tuple[Any, ...]:
    """The states of the host's global generators, to be compared."""
    _, keys, *places = cast(Any, np.random.get_state())
    return random.getstate(), keys.tobytes(), *places, torch.get_rng_state().numpy().tobytes()


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
