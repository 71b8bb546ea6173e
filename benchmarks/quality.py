"""The fast path is worth nothing if it attacks worse: its rates beside those of the float32 plain loop."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks import plain
from benchmarks.measure import Row
from benchmarks.speed import SIZE, Scale
from core import data
from core.attacks import PGD, GradientAttack, ReconstructivePGD, predict
from core.detectors import ReconstructionDetector
from core.metrics import Rate, succeeded, threshold_at, undetected_rate
from core.metrics import rate as share
from core.models.fast import frequency_conv
from core.runtime import device
from precompute.steps.loading import load_network
from precompute.store import Store

BATCH = 64
FPR = 0.05


def network(dataset: str, name: str = "capsnet") -> Any:
    """The shipped network of a data set."""
    bundle = Store().bundle(dataset, "qin2020")
    if bundle is None:
        raise SystemExit(
            f"expected the bundle of {dataset}, found none; python -m precompute build {dataset}"
        )
    params = {"dataset": dataset, "model": name, "size": bundle.facts["size"]}
    return load_network(params, bundle[f"{name}/weights"])


@contextmanager
def small_convolutions_through_frequencies() -> Generator[None]:
    """The shipped networks are too narrow for it to pay; here it is about what it does to rates."""
    least, frequency_conv.MIN_CHANNELS = frequency_conv.MIN_CHANNELS, 1
    try:
        yield
    finally:
        frequency_conv.MIN_CHANNELS = least


def rates(scale: Scale, dataset: str) -> Iterator[Row]:
    """Success and undetected rates of targeted PGD and R-PGD on test images and random targets."""
    model = network(dataset).requires_grad_(False)
    held = data.load(dataset)
    detector = ReconstructionDetector(model)
    threshold = threshold_at(detector.score(held.validation.x().to(device())).cpu(), FPR)
    index = torch.arange(scale.quality) % len(held.test)
    x, y = held.test.x(index).to(device()), held.test.labels[index].to(device())
    generator = torch.Generator().manual_seed(0)
    target = (y + torch.randint(1, 10, y.shape, generator=generator).to(y)) % 10
    epsilon, steps = data.spec(dataset).epsilon, scale.quality_steps
    fields: dict[str, Any] = {"epsilon": epsilon, "step_size": SIZE, "steps": steps}

    def fast(attack: GradientAttack) -> Tensor:
        key = torch.arange(len(x))  # an image that comes twice starts from two points
        return attack(model, x, y, detector=detector, target=target, index=key, batch_size=BATCH).x_adv

    def slow(loop: Any, *more: float) -> Tensor:
        parts = zip(x.split(BATCH), target.split(BATCH), strict=True)
        return torch.cat([loop(model, part, goal, epsilon, *more, SIZE, steps) for part, goal in parts])

    def found(x_adv: Tensor) -> tuple[Rate, Rate]:
        prediction = predict(model, x_adv).cpu()
        distance = detector.score(x_adv).cpu()
        success = share(succeeded(prediction, y.cpu(), target.cpu()))
        return success, undetected_rate(prediction, distance, threshold, y.cpu(), target.cpu())

    attacks = {
        "PGD": (PGD(**fields), partial(slow, plain.pgd)),
        "R-PGD": (ReconstructivePGD(**fields), partial(slow, plain.reconstructive_pgd, 0.5)),
    }
    for title, (attack, loop) in attacks.items():
        theirs = found(loop())
        variants = {"": found(fast(attack))}
        with small_convolutions_through_frequencies():
            variants[", through frequencies"] = found(fast(attack))
        for how, ours in variants.items():
            for measure, mine, peer in zip(("success", "undetected"), ours, theirs, strict=True):
                work = f"{dataset}, CapsNet, {title}-{steps} targeted, {measure}{how}"
                yield compared(work, mine, peer)


def compared(work: str, ours: Rate, peer: Rate) -> Row:
    """Two rates as a row: the ratio should lie in the peer's 95 % interval, or above it."""
    ratio, low, high = (r / peer.value if peer.value else 1.0 for r in (ours.value, peer.low, peer.high))
    if not peer.value:
        ratio, low, high = 1.0 + ours.value, 1.0, 1.0 + peer.high
    name = f"plain loop, float32 (n {peer.n})"
    return Row(work, ours.value, peer.value, name, "share", ratio, low, high, ">= low")
