"""Checks 11, 12 and 15: what attacks follow is there, smooth, and the same twice.

Source: pintor2022, *Indicators of Attack Failure*; carlini2019, section 4; athalye2018 for randomness.
"""

import math

import torch
from torch import Tensor, nn

from core.attacks import predict
from core.attacks.gradient import Loss, classification, evasion
from core.attacks.problem import Problem
from core.geometry import norms, per_example, random_in_ball
from core.health.bench import Bench
from core.health.check import (
    ERROR,
    NOT_APPLICABLE,
    SUCCESS,
    UNDETECTED,
    Check,
    Number,
    at_most,
    percent,
    touching,
    verdict,
)
from core.health.strength import CHANGE, SLACK
from core.metrics import rate
from core.objectives import Classifier
from core.runtime import computing_in, network_precision, untouched

RADIUS = 1e-3
"""A quarter of one 8-bit level: nobody sees it. The radius of pintor2022."""
DIRECTIONS = 20
UNSTABLE = 0.1
"""Relative change of the loss that counts as unstable, as in pintor2022."""
SAME = 1e-5
"""Difference of logits, relative to the largest, that rounding explains."""
PASSES = 16
"""Answers of a random model that are averaged."""


def gradients_are_whole(bench: Bench) -> Check:
    """11: at the image and at a random start, no gradient that an attack follows is zero or broken.

    Capsule lengths saturate, and so do softmax outputs: gradients are taken in the precision attacks use.
    """
    noise = random_in_ball(
        bench.x, per_example(bench.epsilon, bench.x), "linf", seed=bench.seed, index=bench.index
    )
    points = {"the image": bench.x, "a random start": (bench.x + noise).clamp(0, 1)}
    losses: dict[str, Loss] = {"classification": classification}
    if bench.adaptive and bench.detector is not None:
        losses[bench.detector.title.lower()] = evasion
    found: list[Number] = []
    touched: tuple[str, ...] = ()
    for title, loss in losses.items():
        for place, x in points.items():
            gradient = _gradient(bench, x, loss)
            broken = ~gradient.flatten(1).isfinite().all(1) | (norms(gradient, "linf") == 0)
            found.append(Number.share(f"without a {title} gradient at {place}", broken))
            if bool(broken.any()):
                attacks = bench.white_box if loss is classification else bench.adaptive
                touched += touching((SUCCESS, UNDETECTED), attacks)
    found.sort(key=lambda number: -number.value)
    return Check(
        11,
        verdict(not touched),
        at_most(found[0]),
        tuple(found),
        tuple(dict.fromkeys(touched)),
    )


def _gradient(bench: Bench, x: Tensor, loss: Loss) -> Tensor:
    problem = Problem(bench.x, bench.label, None, bench.index, bench.detector)
    precision = network_precision(x.device)
    with untouched(*problem.watched(bench.model)), torch.enable_grad():
        x = x.detach().requires_grad_()
        with computing_in(precision, x.device):
            value = loss(bench.model, bench.detector, x, problem).sum()
        if not value.requires_grad:
            return torch.zeros_like(x)
        return torch.autograd.grad(value, x, allow_unused=True, materialize_grads=True)[0]


@torch.no_grad()
def loss_is_smooth(bench: Bench) -> Check:
    """12: in random directions the loss hardly changes, at the image and where PGD ended.

    The change is relative to the loss, but to no less than log 2, the loss on the border of two classes:
    far below it a loss changes by large factors without any class being near.
    """
    unstable: list[Tensor] = []
    changes: list[Tensor] = []
    with untouched(bench.model):
        for x in (bench.x, bench.run("pgd").x_adv):
            here = bench.loss(bench.model(x))
            total = torch.zeros_like(here)
            for draw in range(DIRECTIONS):
                delta = random_in_ball(
                    x, per_example(RADIUS, x), "linf", seed=bench.seed + draw, index=bench.index
                )
                total += (bench.loss(bench.model((x + delta).clamp(0, 1))) - here).abs()
            change = total / DIRECTIONS / here.clamp(min=math.log(2))
            changes.append(change)
            # Written so that a change which is not a number is unstable.
            unstable.append(~(change <= UNSTABLE))
    worst = rate(torch.stack(unstable).any(0))
    typical = Number.median("mean relative change of the loss", torch.stack(changes).amax(0).cpu())
    return Check(
        12,
        verdict(worst.value <= SLACK),
        f"{percent(worst.value)} of images with an unstable loss, median change {100 * typical.value:.2g} % "
        f"(n = {worst.n})",
        (Number.share("images with an unstable loss", worst), typical),
        touching((SUCCESS, UNDETECTED), bench.white_box),
    )


class Averaged(nn.Module):
    """The mean of several answers of a random model."""

    def __init__(self, model: Classifier) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) to mean logits (B, J)."""
        return torch.stack([self.model(x) for _ in range(PASSES)]).mean(0)


def randomness_is_averaged(bench: Bench) -> Check:
    """15: a model that answers at random is attacked through its mean answer.

    This is expectation over transformation. Two passes over the same images tell whether there is any
    randomness. Where there is, the attack on the mean of answers may not do better than the published ones.
    """
    with torch.no_grad(), untouched(bench.model):
        first, second = bench.model(bench.x), bench.model(bench.x)
    difference, largest = float((first - second).abs().max()), float(first.abs().max())
    number = Number("largest difference of two passes", difference, len(bench.x))
    if difference <= SAME * largest:
        return Check(15, NOT_APPLICABLE, f"deterministic: two passes differ by {difference:.2g}", (number,))
    averaged = Averaged(bench.model)
    expected = bench.attack("pgd")(averaged, bench.x, bench.label, index=bench.index.cpu(), seed=bench.seed)
    # Both are judged by one and the same model: the mean of answers.
    published = bench.succeeded(predict(averaged, bench.run("pgd").x_adv))
    gain = rate(expected.success).value - rate(published).value
    return Check(
        15,
        verdict(gain <= CHANGE),
        f"two passes differ by {difference:.2g}; averaging adds {100 * gain:+.0f} % (n = {len(bench.x)})",
        (Number("success added by averaging", gain, len(bench.x)), number),
        (ERROR, *touching((SUCCESS, UNDETECTED), bench.white_box)),
    )
