"""Purifiers: images to images from which an attack is gone; and classifiers behind one."""

from core.purification.base import GRADIENTS, Gradient, Purified, Purifier
from core.purification.bit_depth import BitDepthReduction

PURIFIERS: dict[str, type[Purifier]] = {
    "bit-depth": BitDepthReduction,
}

__all__ = ["GRADIENTS", "PURIFIERS", "BitDepthReduction", "Gradient", "Purified", "Purifier"]
