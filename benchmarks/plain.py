"""The plain float32 loops and formulas that anyone would write: what the fast path is measured against."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.models.capsnet import CapsNet
from core.models.capsules import length_logit, squash
from core.models.groups import GROUP_SIZES
from core.models.routing import Routing
from core.objectives import margin_loss, reconstruction_distance


def start(x: Tensor, epsilon: Tensor | float, seed: int = 0) -> Tensor:
    """A random point of the ball."""
    noise = torch.rand(x.shape, generator=torch.Generator().manual_seed(seed)).to(x)
    return (x + (2 * noise - 1) * epsilon).clamp(0, 1)


def step(x_adv: Tensor, x: Tensor, loss: Tensor, size: Tensor | float, epsilon: Tensor | float) -> Tensor:
    """One projected sign step down a loss that was computed from x_adv."""
    (gradient,) = torch.autograd.grad(loss, x_adv)
    x_adv = x_adv.detach() - size * gradient.sign()
    return torch.minimum(torch.maximum(x_adv, x - epsilon), x + epsilon).clamp(0, 1).requires_grad_()


def pgd(model: nn.Module, x: Tensor, target: Tensor, epsilon: float, size: float, steps: int) -> Tensor:
    """Targeted PGD in linf."""
    x_adv = start(x, epsilon).requires_grad_()
    for _ in range(steps):
        x_adv = step(x_adv, x, F.cross_entropy(model(x_adv), target, reduction="sum"), size, epsilon)
    return x_adv.detach()


def reconstructive_pgd(
    model: Any, x: Tensor, target: Tensor, epsilon: float, beta: float, size: float, steps: int
) -> Tensor:
    """Targeted R-PGD in linf, two stages (qin2020, Eqs. 1-2)."""
    x_adv = start(x, epsilon).requires_grad_()
    for _ in range(steps):
        x_adv = step(x_adv, x, F.cross_entropy(model(x_adv), target, reduction="sum"), beta * size, epsilon)
        distance = reconstruction_distance(model, x_adv, target).sum()
        x_adv = step(x_adv, x, distance, (1 - beta) * size, epsilon)
    return x_adv.detach()


def averaged_universal(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    seed: int,
    steps: int,
    images: int,
    size: float,
    least: float = 0.5,
) -> Tensor:
    """One universal perturbation: FGSM on images that are still right, averaged and added (michels2019)."""
    delta = torch.zeros_like(x[0])
    for step in range(steps + 1):
        with torch.no_grad():
            right = model((x + delta).clamp(0, 1)).argmax(1) == y
        if step == steps or float(right.double().mean()) < least:
            break
        generator = np.random.Generator(np.random.Philox(key=[seed, step]))
        order = torch.from_numpy(generator.integers(len(x), size=20 * images))
        chosen = order[right.cpu()[order]][:images]
        point = (x[chosen] + delta).clamp(0, 1).requires_grad_()
        (gradient,) = torch.autograd.grad(F.cross_entropy(model(point), y[chosen], reduction="sum"), point)
        delta = delta + ((point + size * gradient.sign()).clamp(0, 1) - point).detach().mean(0)
    return delta


class PlainCapsNet(CapsNet):
    """CapsNet of the library's convolutions and routing with stored votes, with the same weights."""

    def logits_and_poses(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, J) and class capsules (B, J, 16)."""
        first, second = self.encoder.conv1, self.encoder.conv2
        maps = F.conv2d(F.relu(F.conv2d(x, first.weight, first.bias)), second.weight, second.bias, stride=2)
        by_type = maps.reshape(len(x), self.types, 8, -1).transpose(2, 3)
        u = squash(by_type.reshape(len(x), self.capsules, 8) / self.types)
        assert isinstance(self.head, Routing)
        s = self.head.plainly(u)
        return length_logit(s), squash(s)


def library_layers(model: CapsNet, size: str) -> PlainCapsNet:
    """The same network, with the same weights, of the library's layers.

    Args:
        size: The model's, of `GROUP_SIZES`.
    """
    plainly = PlainCapsNet((1, 28, 28), 10, GROUP_SIZES[size])
    plainly.load_state_dict(model.state_dict())
    return plainly.eval().to(next(model.parameters()).device)


def epoch(model: Any, x: Tensor, y: Tensor, batch_size: int, rate: float, weight: float) -> None:
    """One epoch of training a reconstructing network with the margin loss."""
    optimizer = torch.optim.Adam(model.parameters(), rate)
    model.train()
    for rows in torch.randperm(len(x)).split(batch_size):
        logits, poses = model.logits_and_poses(x[rows])
        error = (model.decode(poses, y[rows]) - x[rows]).square().flatten(1).sum(1).mean()
        loss = margin_loss(logits, y[rows]).mean() + weight * error
        optimizer.zero_grad()
        loss.backward()  # pyright: ignore[reportUnknownMemberType]
        optimizer.step()
