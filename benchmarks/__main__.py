"""What a user waits for, and what the compact size saves. Needs an idle machine: `python -m benchmarks`."""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
from rich.console import Console
from rich.table import Table

from core import data
from core.attacks import ReconstructivePGD
from core.models import TITLES, build
from core.runtime import configure, describe, device
from precompute.store import Store

RECONSTRUCTING = ("capsnet", "cnn_cr", "cnn_r")


@dataclass(frozen=True)
class Timing:
    """Median and range over repeats, and what it is measured against."""

    work: str
    value: float
    low: float
    high: float
    unit: str
    target: str


def seconds(call: Callable[[], object]) -> float:
    """Wall seconds of one call, the device's queue included."""
    began = time.perf_counter()
    call()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - began


def all_targets(repeats: int) -> Timing:
    """The live page's heaviest wait: nine targets of one digit in one batch, 100 two-stage iterations."""
    bundle = Store().bundle("digits")
    if bundle is None:
        raise SystemExit("expected the digits bundle, found none; run `python -m precompute build digits`")
    model = build("capsnet", data.spec("digits").shape, size=bundle.facts["size"]).eval().to(device())
    weights = bundle["capsnet/weights"].tensors
    model.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    test = data.load("digits").test
    x = test.x(0).expand(9, -1, -1, -1).contiguous().to(device())
    label = int(test.labels[0])
    target = torch.tensor([t for t in range(10) if t != label], device=device())
    attack = ReconstructivePGD(epsilon=0.3, steps=100)
    found = [seconds(lambda: attack(model, x, label, target=target)) for _ in range(repeats + 1)][1:]
    work = "digits, CapsNet compact, all 9 targets, R-PGD-100"
    return Timing(work, statistics.median(found), min(found), max(found), "s", "< 3 s on two cores")


def compact_against_paper(name: str, repeats: int) -> Timing:
    """How many times cheaper a two-stage iteration is in the compact size, in alternating runs."""
    x, y = torch.rand(32, 1, 28, 28, device=device()), torch.arange(32) % 10
    attack = ReconstructivePGD(epsilon=0.3, steps=2)
    models = {size: build(name, (1, 28, 28), size=size).eval().to(device()) for size in ("paper", "compact")}
    for model in models.values():
        model.to(memory_format=torch.channels_last)
        attack(model, x, y)
    found: list[float] = []
    for _ in range(repeats):
        paper, compact = (seconds(lambda m=model: attack(m, x, y)) for model in models.values())
        found.append(paper / compact)
    work = f"R-PGD iteration, {TITLES[name]}, paper size against compact"
    return Timing(work, statistics.median(found), min(found), max(found), "x", ">= 6x")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--repeats", type=int, default=5, help="runs of each (default: 5)")
    arguments = parser.parse_args()
    configure()
    found = [all_targets(arguments.repeats)]
    found += [compact_against_paper(name, arguments.repeats) for name in RECONSTRUCTING]
    machine = f"{describe(device())}, torch {torch.__version__}, Python {platform.python_version()}"
    console = Console()
    if arguments.json:
        console.print_json(json.dumps({"machine": machine, "timings": [asdict(timing) for timing in found]}))
        return
    table = Table("work", "median", "range", "target", caption=machine)
    for timing in found:
        span = f"{timing.low:.2f} to {timing.high:.2f} {timing.unit}"
        table.add_row(timing.work, f"{timing.value:.2f} {timing.unit}", span, timing.target)
    console.print(table)


if __name__ == "__main__":
    main()
