"""Attacks that look for the smallest change, and universal perturbations: their speed, their distances."""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks import peers, plain
from benchmarks.measure import Row, race, seconds
from benchmarks.quality import network
from benchmarks.speed import Scale, batch, faster_layout
from benchmarks.speed import network as random_network
from core import data
from core.attacks import (
    Attack,
    AveragedUniversal,
    Boundary,
    CarliniWagner,
    DeepFool,
    predict,
    starting_points,
)
from core.geometry import norms
from core.models import title_of

DATASET = "digits"
Rival = tuple[Callable[[], object], str]


def read_correctly(model: nn.Module, count: int) -> tuple[Tensor, Tensor]:
    """Test images that a network reads correctly, as many as there are up to `count`, and their classes."""
    test = data.load(DATASET).test
    x, y = test.x(slice(0, 2 * count)), test.labels[: 2 * count]
    right = predict(model, x.to(next(model.parameters()).device)).cpu() == y
    where = next(model.parameters()).device
    return x[right][:count].to(where), y[right][:count].to(where)


def distances(model: nn.Module, x: Tensor, x_adv: Tensor, y: Tensor) -> Tensor:
    """In l2, (B,); infinite where the label was not left."""
    return norms(x_adv - x, "l2").where(predict(model, x_adv) != y, torch.inf)


def foolbox_models(
    name: str, model: Any, size: str, probe: peers.Attack, x: Tensor, y: Tensor
) -> dict[str, nn.Module]:
    """What foolbox attacks: the model itself, and a CapsNet of the library's layers too.

    Args:
        probe: A short attack, which decides for the faster layout of each.
    """
    models = {"foolbox": faster_layout(model, probe, x, y)}
    if name == "capsnet":
        plainly = plain.library_layers(model, size)
        models["foolbox, plain layers"] = faster_layout(plainly, probe, x, y)
    return models


def against_foolbox(
    scale: Scale,
    name: str,
    title: str,
    attack: Attack,
    make: Callable[[int], peers.Attack],
    budget: int,
    target: str,
) -> Iterator[Row]:
    """One attack beside foolbox's with the same budget, and the distances that both find."""
    if "foolbox" not in peers.installed():
        return
    model = network(DATASET, name).requires_grad_(False)
    x, y = read_correctly(model, scale.smallest)
    models, peer = foolbox_models(name, model, "compact", make(min(budget, 10)), x, y), make(budget)
    rivals: dict[str, Rival] = {
        title: (partial(peer, theirs, x, y), target) for title, theirs in models.items()
    }
    work = f"{title}, {title_of(name)} compact, {len(x)} digits"
    yield from race(work, "images/s", len(x), partial(attack, model, x, y), rivals, scale.repeats)
    result, found = attack(model, x, y), peer(models["foolbox"], x, y)
    assert isinstance(found, Tensor)
    ours = float(result.distance.where(result.success, torch.inf).median())
    other = float(distances(model, x, found, y).median())
    if ours == other == float("inf"):
        return  # too few steps, as in the short form: there is nothing to compare
    ratio = other / ours
    yield Row(f"{work}: median distance", ours, other, "foolbox", "l2", ratio, ratio, ratio, ">= 0.95")


def deepfool(scale: Scale) -> Iterator[Row]:
    """In its plain form."""
    steps = scale.deepfool
    attack = DeepFool(steps=steps, max_step=float("inf"), overshoot=0.02)
    for name in ("capsnet", "cnn_cr"):
        title = f"DeepFool-{steps}"
        yield from against_foolbox(scale, name, title, attack, peers.foolbox_deepfool, steps, ">= 3")


def carlini_wagner(scale: Scale) -> Iterator[Row]:
    """With foolbox's first c and learning rate, which are ours too."""
    searches, steps = scale.carlini_wagner
    attack, make = CarliniWagner(steps=steps, searches=searches), partial(peers.foolbox_cw, searches=searches)
    title = f"CW-L2, {searches} x {steps}"
    yield from against_foolbox(scale, "capsnet", title, attack, make, steps, ">= 2")


def boundary(scale: Scale) -> Iterator[Row]:
    """With as many queries from the same starts; and how long each takes to get as near as foolbox gets."""
    queries = scale.boundary
    if "foolbox" not in peers.installed():
        return
    model = random_network("capsnet", scale.size)
    x, _ = batch(scale.batch)
    y = predict(model, x)
    starts, few = x.roll(1, 0), min(queries, 100)
    right = predict(model, starts) != y
    if right.any():
        x, y, starts = x[right], y[right], starts[right]
        probe, peer = (peers.foolbox_boundary(count, starts) for count in (min(few, 25), few))
        models = foolbox_models("capsnet", model, scale.size, probe, x, y)
        rivals: dict[str, Rival] = {
            title: (partial(peer, theirs, x, y), ">= 1.5") for title, theirs in models.items()
        }
        work = f"Boundary, {few} queries, CapsNet {scale.size}, batch {len(x)}"
        ours = partial(Boundary(steps=few, starts=starts), model, x, y)
        yield from race(work, "queries/s", few * len(x), ours, rivals, scale.repeats)
    yield from as_near(scale, queries)


def as_near(scale: Scale, queries: int) -> Iterator[Row]:
    """Time until the median distance is that which foolbox reaches with so many queries."""
    model = network(DATASET, "capsnet").requires_grad_(False)
    x, y = read_correctly(model, scale.smallest)
    known = data.load(DATASET).validation
    index = torch.arange(len(y))
    starts = starting_points(known.x(), known.labels, (y.cpu() + 1 + index % 9) % 10, index).to(x)
    # foolbox does not look for the border on the way to its start: both begin there.
    starts = Boundary(steps=12, starts=starts)(model, x, y).x_adv
    theirs = faster_layout(model, peers.foolbox_boundary(min(queries, 50), starts), x, y)
    peer = peers.foolbox_boundary(queries, starts)
    found = peer(theirs, x, y)
    assert isinstance(found, Tensor)
    goal = float(distances(model, x, found, y).median())
    if goal < float(distances(model, x, starts, y).median()):
        path = Boundary(steps=queries, starts=starts).iterate(model, x, y)
        needed = next((s.step for s in path if 0 < float(norms(s.x_adv - x, "l2").median()) <= goal), queries)
        rivals: dict[str, Rival] = {f"foolbox, {queries} queries": (partial(peer, theirs, x, y), ">= 1.5")}
        work = f"Boundary, to median distance {goal:.2f}, {needed} queries, CapsNet compact, {len(x)} digits"
        ours = partial(Boundary(steps=max(needed, 1), starts=starts), model, x, y)
        yield from race(work, "images/s", len(x), ours, rivals, scale.repeats)
    distance = float(Boundary(steps=queries, starts=starts)(model, x, y).distance.median())
    ratio = goal / distance
    work = f"Boundary, {queries} queries, CapsNet compact, {len(x)} digits: median distance"
    yield Row(work, distance, goal, "foolbox", "l2", ratio, ratio, ratio, ">= 0.95")


def universal(scale: Scale) -> Iterator[Row]:
    """Many averaged perturbations at once, beside a plain loop and ART, one at a time."""
    count, images = scale.universal
    model = network(DATASET, "capsnet").requires_grad_(False)
    x, y = read_correctly(model, images)
    parts, attack = [torch.arange(len(x))] * count, AveragedUniversal(steps=scale.universal_steps)
    ours = partial(attack, model, x, y, parts=parts)
    plainly = network(DATASET, "capsnet")

    def singly() -> None:
        for seed in range(count):
            plain.averaged_universal(plainly, x, y, seed, attack.steps, attack.images, attack.step_size)

    work = f"{count} universal perturbations of {len(x)} digits, CapsNet compact"
    peer: dict[str, Rival] = {"plain loop, float32": (singly, ">= 1")}
    yield from race(work, "perturbations/s", count, ours, peer, scale.repeats)
    if python := os.environ.get("ART_PYTHON"):
        # ART keeps only the steps that fool their own image, which 0.03 hardly ever does: it gets nowhere,
        # so that the gradients it takes on the way are what can be compared.
        theirs = art_seconds(python, x, y, model)
        took = [seconds(ours) for _ in range(scale.repeats)]
        gradients = int(ours().iterations.sum()) * attack.images
        mine, other = gradients / statistics.median(took), theirs["gradients"] / theirs["seconds"]
        low, high = (gradients / span / other for span in (max(took), min(took)))
        name = f"ART {theirs['version']}"
        yield Row(work, mine, other, name, "image gradients/s", mine / other, low, high, ">= 10")


def art_seconds(python: str, x: Tensor, y: Tensor, model: Any) -> dict[str, Any]:
    """What ART takes for some epochs, in an environment of its own: it needs an older numpy."""
    folder = Path(os.environ.get("TMPDIR", "/tmp"))
    file = folder / f"capsight-art-{os.getpid()}.pt"
    torch.save({"x": x.cpu(), "y": y.cpu(), "weights": model.state_dict()}, file)
    try:
        command = [python, "-m", "benchmarks.art", str(file), str(torch.get_num_threads())]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    finally:
        file.unlink()
    if done.returncode:
        sys.stderr.write(done.stderr)
        raise SystemExit("expected ART to run with ART_PYTHON, got the error above")
    return json.loads(done.stdout.splitlines()[-1])


SMALLEST = (deepfool, carlini_wagner, boundary, universal)
