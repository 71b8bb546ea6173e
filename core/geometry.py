"""Balls, projections and steepest steps in the linf and l2 norms, one radius per example."""

from typing import Literal

import numpy as np
import torch
from torch import Tensor

Norm = Literal["linf", "l2"]
NORMS: tuple[Norm, ...] = ("linf", "l2")

# Smallest gradient norm that is still divided by: below it the direction is noise, and the step is zero.
TINY = 1e-12


def per_example(value: float | Tensor, x: Tensor) -> Tensor:
    """A scalar, or one value per example, shaped to multiply images.

    Args:
        value: Scalar, or (B,).
        x: Images (B, C, H, W), for batch size, dtype and device.
    Returns: () or (B, 1, 1, 1).
    Raises: ValueError: when there is more than one value and not one per example.
    """
    if not isinstance(value, Tensor):
        return x.new_full((), value)  # to copy a number from the host would wait for the device
    v = value.to(x)
    if v.ndim == 0:
        return v
    if v.shape != (x.shape[0],):
        raise ValueError(
            f"expected a scalar or one value for each of {x.shape[0]} images, got shape {tuple(v.shape)}"
        )
    return v.view(-1, *[1] * (x.ndim - 1))


def norms(delta: Tensor, norm: Norm) -> Tensor:
    """Norm of each example, (B,)."""
    flat = delta.flatten(1)
    return flat.abs().amax(1) if norm == "linf" else torch.linalg.vector_norm(flat, dim=1)


def project(x_adv: Tensor, x: Tensor, epsilon: Tensor, norm: Norm) -> Tensor:
    """The nearest point (linf: exactly; l2: along the radius) inside the ball around x and inside [0, 1].

    Args:
        x_adv: Points (B, C, H, W).
        x: Centres (B, C, H, W) in [0, 1].
        epsilon: Radii from `per_example`.
    """
    if norm == "linf":
        return torch.minimum(torch.maximum(x_adv, x - epsilon), x + epsilon).clamp(0, 1)
    delta = x_adv - x
    size = norms(delta, norm).view(-1, 1, 1, 1)
    # Clamping moves every pixel towards its centre's, so it cannot leave the ball again.
    return (x + delta * (epsilon / size.clamp(min=TINY)).clamp(max=1)).clamp(0, 1)


def steepest(gradient: Tensor, norm: Norm) -> Tensor:
    """The unit step that raises the loss fastest: the sign (linf) or the unit vector (l2).

    It is zero where there is no gradient. A gradient that is not finite counts as none, so that one broken
    example cannot spoil a batch.
    """
    gradient = torch.nan_to_num(gradient, nan=0.0, posinf=0.0, neginf=0.0)
    if norm == "linf":
        return gradient.sign()
    size = norms(gradient, norm).view(-1, 1, 1, 1)
    return torch.where(size > TINY, gradient / size.clamp(min=TINY), torch.zeros_like(gradient))


def random_in_ball(x: Tensor, epsilon: Tensor, norm: Norm, *, seed: int, index: Tensor) -> Tensor:
    """Uniform samples in the ball, from a counter-based generator keyed by (seed, index) per example.

    An image therefore draws the same noise alone, in any batch and at any place in it.

    Args:
        x: Images (B, C, H, W), for shape and device.
        epsilon: Radii from `per_example`.
        index: Key of each example, (B,) integers: its index in the data set.
    Returns: Offsets (B, C, H, W).
    """
    size = x[0].numel()
    samples = np.empty((x.shape[0], size), dtype=np.float32)
    for row, key in enumerate(index.tolist()):
        rng = np.random.Generator(np.random.Philox(key=[seed, key]))
        if norm == "linf":
            samples[row] = 2 * rng.random(size, dtype=np.float32) - 1
        else:
            direction = rng.standard_normal(size, dtype=np.float32)
            samples[row] = direction / np.linalg.norm(direction) * rng.random() ** (1 / size)
    return torch.from_numpy(samples).to(x).view_as(x) * epsilon
