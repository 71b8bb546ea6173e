"""Capsule algebra: how a vector is squashed, and the logit of its length."""

import torch
from torch import Tensor

# Keeps squash, length and logit finite, with finite gradients, for a capsule of exactly zero.
EPS = 1e-8


def squash(s: Tensor) -> Tensor:
    """Shrink vectors to length |s|^2 / (1 + |s|^2), keeping their direction; the gradient at zero is zero.

    Args:
        s: Capsules (..., D), any real numbers.
    Returns: Capsules (..., D), shorter than 1.
    Source: sabour2017, Eq. 1, with epsilon inside the square root.
    """
    squared = (s * s).sum(-1, keepdim=True)
    return s * (squared / (1 + squared) * torch.rsqrt(squared + EPS))


def length_logit(s: Tensor) -> Tensor:
    """The logit of a capsule's length, from the capsule *before* squashing.

    Squashing gives the length p = |s|^2 / (1 + |s|^2), hence logit(p) = log |s|^2: computed from s it never
    saturates, whereas p itself rounds to 1 in float32 and its gradient to 0.

    Args:
        s: Capsules before squash, (..., D).
    Returns: (...), logits whose sigmoid is the length.
    Source: michels2019 uses Z = atanh(2p - 1), which is half of this.
    """
    return torch.log((s * s).sum(-1) + EPS)
