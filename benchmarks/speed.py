"""Throughput: one function per line or pair of lines of the table."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks import peers, plain
from benchmarks.measure import Row, peak_bytes, race, seconds, tidy
from core.attacks import PGD, ReconstructivePGD
from core.data import Split
from core.detectors import ReconstructionDetector
from core.models import build, title_of
from core.models.routing import Routing
from core.runtime import device
from core.training import Recipe, train

EPSILON, SIZE = 0.3, 0.01
"""Bound and step of all attacks here."""


@dataclass(frozen=True)
class Scale:
    """How much work a run of the benchmark does."""

    repeats: int = 5
    size: str = "paper"
    batch: int = 64
    steps: int = 5
    live_steps: int = 100
    sweep: tuple[int, int] = (16, 5)
    sweep_steps: int = 5
    training: int = 1280
    quality: int = 500
    quality_steps: int = 20
    smallest: int = 64
    deepfool: int = 50
    carlini_wagner: tuple[int, int] = (5, 100)
    boundary: int = 2000  # foolbox's steps adapt after the first thousand
    universal: tuple[int, int] = (10, 100)
    universal_steps: int = 250


QUICK = Scale(
    repeats=2,
    size="compact",
    batch=8,
    steps=2,
    live_steps=2,
    sweep=(2, 2),
    sweep_steps=2,
    training=128,
    quality=30,
    quality_steps=10,
    smallest=2,
    deepfool=2,
    carlini_wagner=(2, 5),
    boundary=20,
    universal=(2, 8),
    universal_steps=2,
)


def network(name: str, size: str, *, frozen: bool = True) -> Any:
    """A network of random weights on the device, channels last, ready to be attacked."""
    model = build(name, (1, 28, 28), 10, size=size).eval().requires_grad_(not frozen).to(device())
    return model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] - torch's own


def batch(count: int) -> tuple[Tensor, Tensor]:
    """Random images and labels."""
    generator = torch.Generator().manual_seed(0)
    return torch.rand(count, 1, 28, 28, generator=generator).to(device()), torch.arange(count).to(
        device()
    ) % 10


def faster_layout(model: nn.Module, attack: peers.Attack, x: Tensor, y: Tensor) -> nn.Module:
    """The model in the memory layout in which the peer's attack is faster; its weights as after loading."""
    layouts = (torch.contiguous_format, torch.channels_last)
    copies = [copy.deepcopy(model).requires_grad_(True) for _ in layouts]
    models = [one.to(memory_format=each) for one, each in zip(copies, layouts, strict=True)]  # pyright: ignore[reportCallIssue]
    for one in models:
        attack(one, x, y)  # prepares its code
    tidy()
    return min(models, key=lambda one: seconds(lambda: attack(one, x, y)))


def against_peers(scale: Scale) -> Iterator[Row]:
    """PGD beside the libraries, on the same model, images and steps."""
    for name in ("capsnet", "cnn_cr"):
        model = network(name, scale.size)
        x, y = batch(scale.batch)
        targets = {"foolbox": ">= 4.5", "torchattacks": ">= 3"}
        rivals: dict[str, Any] = {}
        for peer in peers.installed():
            probe = peers.PGD[peer](EPSILON, SIZE, 2)
            theirs = faster_layout(model, probe, x, y)
            attack = peers.PGD[peer](EPSILON, SIZE, scale.steps)
            rivals[peer] = (partial(attack, theirs, x, y), targets[peer])
        ours = partial(PGD(epsilon=EPSILON, step_size=SIZE, steps=scale.steps), model, x, y)
        work = f"PGD, {title_of(name)} {scale.size}, batch {scale.batch}"
        yield from race(work, "image steps/s", scale.batch * scale.steps, ours, rivals, scale.repeats)


def reconstructive(scale: Scale) -> Iterator[Row]:
    """Two-stage R-PGD beside the plain loop."""
    model = network("capsnet", scale.size)
    plainly = network("capsnet", scale.size, frozen=False)
    x, y = batch(scale.batch)
    target = (y + 1) % 10
    attack = ReconstructivePGD(epsilon=EPSILON, step_size=SIZE, steps=scale.steps)
    theirs = partial(plain.reconstructive_pgd, plainly, x, target, EPSILON, 0.5, SIZE, scale.steps)
    work = f"R-PGD, two stages, CapsNet {scale.size}, batch {scale.batch}"
    peer = {"plain loop, float32": (theirs, ">= 3")}
    ours = partial(attack, model, x, y, detector=ReconstructionDetector(model), target=target)
    yield from race(work, "image steps/s", scale.batch * scale.steps, ours, peer, scale.repeats)


def plain_networks() -> dict[str, Any]:
    """The compact CapsNet for the plain loops, by name: on our layers, and on the library's."""
    ours = network("capsnet", "compact", frozen=False)
    return {"float32": ours, "plain layers, float32": plain.library_layers(ours, "compact")}


def live(scale: Scale) -> Iterator[Row]:
    """What a user of the live page waits for: one image, all nine targets."""
    model = network("capsnet", "compact")
    x, y = batch(1)
    target = torch.arange(1, 10, device=x.device)
    attack = ReconstructivePGD(epsilon=EPSILON, step_size=SIZE, steps=scale.live_steps)
    nine = x.expand(9, -1, -1, -1).contiguous()

    def singly(plainly: Any) -> None:
        for one in target.split(1):
            plain.reconstructive_pgd(plainly, x, one, EPSILON, 0.5, SIZE, scale.live_steps)

    ours = partial(attack, model, nine, y.expand(9), detector=ReconstructionDetector(model), target=target)
    work = f"one image, all 9 targets, R-PGD-{scale.live_steps}, CapsNet compact"
    peers = {
        f"nine plain runs, {name}": (partial(singly, net), ">= 8") for name, net in plain_networks().items()
    }
    yield from race(work, "runs/s", 1, ours, peers, scale.repeats)


def sweep(scale: Scale) -> Iterator[Row]:
    """Many epsilons and betas in one call, beside one call each."""
    model = network("capsnet", "compact")
    x, y = batch(8)
    target = (y + 1) % 10
    epsilons = torch.linspace(0.02, 0.4, scale.sweep[0]).tolist()
    betas = torch.linspace(0.1, 0.9, scale.sweep[1]).tolist()
    cells = [(epsilon, beta) for epsilon in epsilons for beta in betas]
    every = torch.tensor(cells).repeat_interleave(len(x), 0).to(x.device)
    attack = ReconstructivePGD(epsilon=every[:, 0], beta=every[:, 1], step_size=SIZE, steps=scale.sweep_steps)
    many = (x.repeat(len(cells), 1, 1, 1), y.repeat(len(cells)))

    def serially(plainly: Any) -> None:
        for epsilon, beta in cells:
            plain.reconstructive_pgd(plainly, x, target, epsilon, beta, SIZE, scale.sweep_steps)

    detector = ReconstructionDetector(model)
    ours = partial(attack, model, *many, detector=detector, target=target.repeat(len(cells)))
    work = f"{scale.sweep[0]} epsilons x {scale.sweep[1]} betas, 8 images, R-PGD, CapsNet compact"
    peers = {
        f"plain loop per cell, {name}": (partial(serially, net), ">= 4")
        for name, net in plain_networks().items()
    }
    yield from race(work, "image steps/s", len(every) * scale.sweep_steps, ours, peers, scale.repeats)


def routing(scale: Scale) -> Iterator[Row]:
    """Routing and its input gradient: time and peak memory."""
    inputs = 1152 if scale.size == "paper" else 216
    layer = Routing(inputs, 8, 10, 16).to(device()).requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    # In memory as each form's own network hands them over: ours by dimension, the plain one by capsule.
    by_dimension = (
        (torch.rand(scale.batch, 8, inputs, generator=generator) * 0.3).to(device()).transpose(1, 2)
    )
    by_capsule = by_dimension.contiguous()
    pull = torch.randn(scale.batch, 10, 16, generator=generator).to(device())

    def ours() -> object:
        u = by_dimension.detach().requires_grad_()
        return torch.autograd.grad(layer(u), u, pull)

    def stored() -> object:
        u = by_capsule.detach().requires_grad_()
        return torch.autograd.grad(layer.plainly(u), u, pull)

    work = f"routing, forward and input gradient, {scale.size}, batch {scale.batch}"
    peer = {"einsum with stored votes, float32": (stored, ">= 3")}
    yield from race(work, "images/s", scale.batch, ours, peer, 3 * scale.repeats)
    mine, theirs = (peak_bytes(call) / 2**20 for call in (ours, stored))
    name = "einsum with stored votes, float32"
    ratio = theirs / mine
    yield Row(f"{work}: peak memory", mine, theirs, name, "MiB", ratio, ratio, ratio, ">= 3")


def training(scale: Scale) -> Iterator[Row]:
    """Part of an epoch of training the compact CapsNet, on as many random images as fit the time."""
    recipe = Recipe(epochs=1)
    images, labels = batch(scale.training)
    split = Split((images * 255).byte().cpu(), labels.cpu())
    few = Split(split.images[: recipe.batch_size], split.labels[: recipe.batch_size])

    def ours() -> None:
        train(network("capsnet", "compact", frozen=False), split, few, recipe, device=device())

    def plainly(model: nn.Module) -> None:
        plain.epoch(
            model, images, labels, recipe.batch_size, recipe.learning_rate, recipe.reconstruction_weight
        )

    work = "training, CapsNet compact, 28x28"
    peers = {f"plain loop, {name}": (partial(plainly, net), ">= 2") for name, net in plain_networks().items()}
    yield from race(work, "images/s", scale.training, ours, peers, scale.repeats)


SPEED = (against_peers, reconstructive, live, sweep, routing, training)
