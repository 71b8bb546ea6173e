"""Detectors: fitted, asked for scores (higher = more adversarial), calibrated by whoever asks, attacked."""

from core.detectors.base import Detector, Draw
from core.detectors.minimum_p_value import MinimumPValue
from core.detectors.pca import PCADetector
from core.detectors.reconstruction import ReconstructionDetector
from core.detectors.set_test import SetTest

DETECTORS: dict[str, type[Detector]] = {
    "reconstruction": ReconstructionDetector,
    "pca": PCADetector,
}
"""Those that watch one classifier, called with it; `MinimumPValue` joins several of them."""

__all__ = [
    "DETECTORS",
    "Detector",
    "Draw",
    "MinimumPValue",
    "PCADetector",
    "ReconstructionDetector",
    "SetTest",
]
