"""How things are measured: races in alternating repeats, peaks of memory, the machine's ceilings."""

import gc
import platform
import re
import statistics
import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from core.runtime import describe, device, dtype_name


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        ours, peer: Medians, in `unit`.
        ratio: How many times better ours is: the median over repeats; of rates, ours divided by the peer's.
        low, high: Smallest and largest ratio of a repeat; of rates, the peer's 95 % interval as a ratio.
        target: What the ratio should be.
    """

    work: str
    ours: float
    peer: float
    peer_name: str
    unit: str
    ratio: float
    low: float
    high: float
    target: str


def tidy() -> None:
    """Collect garbage; what is alive stays, so that collecting before each timing looks at what is new."""
    gc.collect()
    gc.freeze()


def seconds(call: Callable[[], object]) -> float:
    """Wall seconds of one call, the device's queue included."""
    gc.collect()
    began = time.perf_counter()
    call()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - began


def race(
    work: str,
    unit: str,
    amount: float,
    ours: Callable[[], object],
    peers: Mapping[str, tuple[Callable[[], object], str]],
    repeats: int,
) -> list[Row]:
    """Time ours and every peer in turns, after one call each that is not counted.

    Args:
        amount: Units of work in one call.
        peers: Name -> (call, target).
    """
    runners = {"": ours} | {name: call for name, (call, _) in peers.items()}
    for call in runners.values():
        call()
    times: dict[str, list[float]] = {name: [] for name in runners}
    tidy()
    for _ in range(repeats):
        for name, call in runners.items():
            times[name].append(seconds(call))
    mine = amount / statistics.median(times[""])
    rows: list[Row] = []
    for name, (_, target) in peers.items():
        ratios = [theirs / own for theirs, own in zip(times[name], times[""], strict=True)]
        theirs = amount / statistics.median(times[name])
        middle = statistics.median(ratios)
        rows.append(Row(work, mine, theirs, name, unit, middle, min(ratios), max(ratios), target))
    return rows


class Peak(TorchDispatchMode):
    """Largest number of bytes alive at once among the tensors made inside the block."""

    def __init__(self) -> None:
        super().__init__()
        self.alive, self.peak = 0, 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operation and take note of the storages that are new."""
        outputs = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(outputs):
            if isinstance(tensor, Tensor):
                self._note(tensor.untyped_storage())
        return outputs

    def _note(self, storage: Any) -> None:
        number, size = storage._cdata, storage.nbytes()
        if number in self._known:
            return
        self._known.add(number)
        self.alive += size
        self.peak = max(self.peak, self.alive)
        weakref.finalize(storage, self._forget, number, size)

    def _forget(self, number: int, size: int) -> None:
        self._known.discard(number)
        self.alive -= size


def peak_bytes(call: Callable[[], object]) -> int:
    """Largest number of bytes of tensors that a call holds at once."""
    with Peak() as meter:
        call()
    return meter.peak


def ceilings() -> dict[str, float]:
    """What this machine reaches at most: matrix products in GFLOP/s, copies in GB/s; best of several."""
    where = device()
    found: dict[str, float] = {}
    tidy()
    for dtype in (torch.float32, torch.bfloat16):
        best = 0.0
        for size in (128, 512, 2048):
            a = torch.ones(size, size, device=where, dtype=dtype)
            a @ a  # prepares its code
            times = [seconds(lambda a=a: a @ a) for _ in range(8)]
            best = max(best, 2 * size**3 / min(times) / 1e9)
            if best < max(found.values(), default=0) / 20:
                break  # there are no units for this: a larger product would take minutes
        found[f"{dtype_name(dtype)} GFLOP/s"] = best
    a = torch.ones(32 * 2**20, device=where)
    b = torch.empty_like(a)
    found["copy GB/s"] = 2 * a.nbytes / min(seconds(lambda: b.copy_(a)) for _ in range(8)) / 1e9
    return {name: round(value, 1) for name, value in found.items()}


def processor() -> str:
    """The processor's or the accelerator's name."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    listing = Path("/proc/cpuinfo")
    named = re.search(r"model name\s*:\s*(.+)", listing.read_text()) if listing.exists() else None
    return named[1] if named else platform.processor() or platform.machine()


def machine() -> dict[str, Any]:
    """What decides the timings: processor, threads, versions, ceilings."""
    names = ("torch", "numpy", "foolbox", "torchattacks")
    versions = {"python": platform.python_version()}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return {
        "processor": processor(),
        "device": describe(device()),
        "versions": versions,
        "ceilings": ceilings(),
    }
