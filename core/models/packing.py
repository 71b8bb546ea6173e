"""Weights as they are stored: float16, or integers of a few bits with a scale for each output channel."""

from collections.abc import Mapping

import torch
from torch import Tensor

SCALE = ":scale"
"""Ends the name of the scale of the tensor before it."""
LEAST = 1024
"""Elements from which a tensor is worth a scale."""
SHARES = tuple(share / 20 for share in range(20, 9, -1))
"""Of a channel's largest weight: what the largest multiple of its scale may stand for."""


def pack(state: Mapping[str, Tensor], bits: int | None = None) -> dict[str, Tensor]:
    """A model's state as it is stored.

    Biases, norms and other small tensors become float16; so does everything when no bits are given. Larger
    ones become the nearest whole multiples of a scale, as int8, up to 2^(bits - 1) - 1 times it. A scale
    belongs to an output channel: the first dimension of a matrix or convolution, a class's output dimension
    in routing's (J, I * P, D). It is the one of `SHARES` with the least squared error: a few weights far out
    would cost all others their precision.

    Args:
        state: Of a module.
        bits: From 2 to 8, sign included; fewer compress better. None for float16.
    Raises: ValueError: for other bits.
    """
    if bits is not None and not 2 <= bits <= 8:
        raise ValueError(f"expected from 2 to 8 bits, got {bits}; leave bits out for float16")
    found: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if bits is None or tensor.ndim < 2 or tensor.numel() < LEAST or not tensor.is_floating_point():
            found[name] = tensor.half()
            continue
        found[name + SCALE] = scale = best_scale(tensor.float(), 2 ** (bits - 1) - 1)
        found[name] = multiples(tensor, scale, 2 ** (bits - 1) - 1).to(torch.int8)
    return found


def multiples(tensor: Tensor, scale: Tensor, levels: int) -> Tensor:
    """Nearest multiples of a scale, at most `levels` times it."""
    return (tensor / scale).round().clamp(-levels, levels)


def best_scale(tensor: Tensor, levels: int) -> Tensor:
    """The scale of each output channel, as many dimensions as the tensor, with 1 where it is shared."""
    within = (1,) if tensor.ndim == 3 else tuple(range(1, tensor.ndim))
    # A channel of zeros stays one: nothing is divided by zero.
    largest = tensor.abs().amax(within, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny * levels)
    scales = [largest * share / levels for share in SHARES]
    errors = [
        (multiples(tensor, scale, levels) * scale - tensor).square().sum(within, keepdim=True)
        for scale in scales
    ]
    least = torch.stack(errors).argmin(0, keepdim=True)
    return torch.stack(scales).gather(0, least)[0]


def unpack(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What `pack` stored as a state in float32, the same bits wherever it is done."""
    return {
        name: tensor.float() * tensors[name + SCALE] if name + SCALE in tensors else tensor.float()
        for name, tensor in tensors.items()
        if not name.endswith(SCALE)
    }
