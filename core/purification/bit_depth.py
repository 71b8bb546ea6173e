"""Purify by rounding: what is smaller than half a level is gone."""

from typing import ClassVar

from torch import Tensor

from core.purification.base import Purifier


class BitDepthReduction(Purifier):
    """Rounds pixels to the nearest of 2^bits levels. Its gradient is zero wherever there is one.

    Args:
        bits: Of a pixel, 1 to 8.
    Raises: ValueError: for other bits.
    Source: xu2018, *Feature Squeezing*, section II-A; for its gradient, athalye2018.
    """

    title: ClassVar[str] = "Bit-depth reduction"

    def __init__(self, bits: int = 1) -> None:
        super().__init__()
        if not 1 <= bits <= 8:
            raise ValueError(f"expected from 1 to 8 bits, got {bits}")
        self.levels = 2**bits - 1

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) in [0, 1] to images of few levels."""
        return (x * self.levels).round() / self.levels
