"""How close steps of an attack and of training come to what the machine can do, and where the time goes."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import plain
from benchmarks.measure import seconds
from core.attacks.gradient import classification, evasion
from core.attacks.problem import Problem
from core.detectors import ReconstructionDetector
from core.models import build
from core.runtime import computing_in, device, dtype_name, network_precision
from core.training import Recipe, losses

LISTED = 8
"""Operations that are named; the rest is summed up."""


@dataclass(frozen=True)
class Floor:
    """One piece of work beside its lower bounds.

    Attributes:
        milliseconds: Measured, median.
        gflop: Operations of the plain formulas' products, multiplications and additions.
        compute_ms: Those at the machine's fastest matrix product.
        megabytes: Weights, and what the gradient needs of the forward pass, written and read once.
        memory_ms: Those at the machine's fastest copy.
        profile: Share of the time in each operation, largest first.
    """

    work: str
    milliseconds: float
    gflop: float
    compute_ms: float
    megabytes: float
    memory_ms: float
    profile: dict[str, float]

    @property
    def share(self) -> float:
        """The larger bound as a share of what was measured; 1 is the floor."""
        return max(self.compute_ms, self.memory_ms) / self.milliseconds


def images(count: int) -> tuple[Tensor, Tensor]:
    """Random images and labels."""
    x = torch.rand(count, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    return x.to(device()), torch.arange(count, device=device()) % 10


def step(model: Any, count: int, precision: torch.dtype) -> Callable[[], object]:
    """Both gradients of one R-PGD iteration on some images."""
    x, y = images(count)
    detector = ReconstructionDetector(model)
    problem = Problem.check(x, y, (y + 1) % 10, None, detector)

    def call() -> None:
        for loss in (classification, evasion):
            point = x.detach().requires_grad_() * 1  # no leaf: those cannot be counted through
            with computing_in(precision, x.device):
                value = loss(model, detector, point, problem).sum()
            torch.autograd.grad(value, point)

    return call


def training(model: nn.Module, count: int, precision: torch.dtype) -> Callable[[], object]:
    """Loss and gradients of one training step."""
    x, y = images(count)
    recipe = Recipe()

    def call() -> None:
        classified, error = losses(model, x, y, recipe, precision)
        model.zero_grad()
        (classified + error).backward()  # pyright: ignore[reportUnknownMemberType]

    return call


def saved_bytes(call: Callable[[], object]) -> int:
    """Bytes that the forward passes of a call keep for its gradients, each tensor once."""
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        kept[tensor.data_ptr()] = tensor.nbytes
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        call()
    return sum(kept.values())


def shares(call: Callable[[], object], repeats: int) -> dict[str, float]:
    """Share of a call's time in each operation, the largest ones by name."""
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        for _ in range(repeats):
            call()
    times = sorted(((row.self_cpu_time_total, row.key) for row in seen.key_averages()), reverse=True)
    total = sum(time for time, _ in times)
    found = {name.removeprefix("aten::"): round(time / total, 3) for time, name in times[:LISTED]}
    return found | {"the rest": round(1 - sum(found.values()), 3)}


def floors(ceilings: dict[str, float], repeats: int = 15, many: int = 128) -> list[Floor]:
    """The compact CapsNet's steps, beside what the machine's ceilings allow.

    Args:
        ceilings: As `measure.ceilings` gives them.
        many: Images of a large batch.
    """
    precision = network_precision(device())
    peak = ceilings[f"{dtype_name(precision)} GFLOP/s"]
    found: list[Floor] = []
    for name, make, count, frozen in (
        ("R-PGD step, 9 images", step, 9, True),
        (f"R-PGD step, {many} images", step, many, True),
        (f"training step, {many} images", training, many, False),
    ):
        model = build("capsnet", (1, 28, 28), 10).to(device()).train(not frozen).requires_grad_(not frozen)
        model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] - torch's own
        formula = plain.library_layers(model, "compact")
        formula.train(not frozen).requires_grad_(not frozen)
        plainly = make(formula, count, torch.float32)
        with FlopCounterMode(display=False) as counter:
            plainly()
        gflop = counter.get_total_flops() / 1e9
        weights = sum(p.numel() for p in model.parameters())
        megabytes = precision.itemsize * (weights + 2 * saved_bytes(plainly) / 4) / 1e6
        ours = make(model, count, precision)
        ours()
        milliseconds = 1e3 * statistics.median(seconds(ours) for _ in range(repeats))
        compute, memory = 1e3 * gflop / peak, megabytes / ceilings["copy GB/s"]
        profiled = shares(ours, repeats)
        found.append(Floor(name, milliseconds, gflop, compute, megabytes, memory, profiled))
    return found
