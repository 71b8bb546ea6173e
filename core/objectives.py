"""Losses and distances, one value per example, that training, attacks and detectors optimise."""

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Classifier(Protocol):
    """What an attack needs: images (B, C, H, W) in [0, 1] to logits (B, J)."""

    def __call__(self, x: Tensor, /) -> Tensor:
        """Logits (B, J)."""
        ...


class Reconstructor(Classifier, Protocol):
    """A classifier that also reconstructs its input, from the group of `label` or of the winning class."""

    def reconstruct(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        """Images (B, C, H, W) from the group of `label` (B,), or of the winning class."""
        ...


class Evadable(Protocol):
    """What an attack needs of a detector: something to lower, and the networks that it computes with."""

    def evasion_loss(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        """What an attacker lowers to go unseen, (B,), differentiable in the images x (B, C, H, W).

        Args:
            label: The class aimed at, (B,); None where any will do.
        """
        ...

    def networks(self) -> tuple[nn.Module, ...]:
        """All networks that take part, to be held in evaluation mode meanwhile."""
        ...


class Examples(Protocol):
    """Images with their labels, as `core.data.Split` holds them."""

    @property
    def labels(self) -> Tensor:
        """Classes, (N,)."""
        ...

    def x(self, index: Tensor | None = None, /) -> Tensor:
        """Images (B, C, H, W), float32 in [0, 1]: those rows, or all."""
        ...

    def __len__(self) -> int: ...


def l2_distance(a: Tensor, b: Tensor) -> Tensor:
    """Euclidean distance per example, (B,), with a zero gradient where the two agree.

    Args:
        a, b: (B, ...) of the same shape.
    """
    return torch.linalg.vector_norm((a - b).flatten(1), dim=1)


def reconstruction_distance(model: Reconstructor, x: Tensor, label: Tensor | None = None) -> Tensor:
    """||r(v_label(x)) - x||_2 per example, (B,); `label=None` takes the winning class.

    Source: qin2020, section 4.1.
    """
    return l2_distance(model.reconstruct(x, label), x)


def margin_loss(
    logits: Tensor, label: Tensor, *, upper: float = 0.9, lower: float = 0.1, absent: float = 0.5
) -> Tensor:
    """Margin loss on capsule lengths, summed over classes, (B,).

    Args:
        logits: Logits of the lengths, (B, J).
        label: True classes (B,).
        upper: m+, length asked of the present class.
        lower: m-, length allowed to absent classes.
        absent: lambda, weight of absent classes.
    Source: sabour2017, Eq. 4.
    """
    length = logits.sigmoid()
    present = F.one_hot(label, logits.shape[1]).to(logits.dtype)
    hit = present * (upper - length).clamp(min=0).square()
    miss = (1 - present) * (length - lower).clamp(min=0).square()
    return (hit + absent * miss).sum(1)


def squared_error(a: Tensor, b: Tensor) -> Tensor:
    """Squared error summed over pixels, (B,)."""
    return (a - b).square().flatten(1).sum(1)
