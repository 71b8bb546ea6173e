"""Detectors: fit, score (higher = more adversarial), calibrate to a false-positive rate; can be attacked."""

from core.detectors.base import Detector
from core.detectors.reconstruction import ReconstructionDetector

__all__ = ["Detector", "ReconstructionDetector"]
