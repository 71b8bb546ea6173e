"""Rates with Wilson intervals, detection thresholds, and curves over false-positive rates."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import ndtri
from torch import Tensor

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Rate:
    """k successes among n trials, with the Wilson interval.

    The Wilson interval never leaves [0, 1] and is not empty at 0 or n successes, where the normal one fails.
    """

    k: int
    n: int

    def __post_init__(self) -> None:
        if self.n < 1 or not 0 <= self.k <= self.n:
            raise ValueError(f"expected 0 <= k <= n and n of 1 or more, got k = {self.k}, n = {self.n}")

    @property
    def value(self) -> float:
        """k / n."""
        return self.k / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson interval at 95 % confidence."""
        return wilson(self.k, self.n)

    @property
    def low(self) -> float:
        """Lower end of the interval."""
        return self.interval[0]

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        return self.interval[1]

    def record(self) -> dict[str, float]:
        """As columns of a table: k, n, value, low, high."""
        return {"k": self.k, "n": self.n, "value": self.value, "low": self.low, "high": self.high}


def wilson(k: int, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Wilson's score interval for k successes among n trials.

    Source: wilson1927; agrees with scipy.stats.binomtest(k, n).proportion_ci(method="wilson").
    """
    z = float(ndtri(0.5 + confidence / 2))
    p = k / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    return (0.0 if k == 0 else centre - half, 1.0 if k == n else centre + half)


def rate(hits: Tensor) -> Rate:
    """Share of true values in a bool tensor (N,)."""
    return Rate(int(hits.sum()), hits.numel())


def succeeded(prediction: Tensor, label: Tensor, target: Tensor | None = None) -> Tensor:
    """Which attacks worked, (N,) bool: f(x') = t when targeted, f(x') != y otherwise.

    Source: qin2020, section 4.3.
    """
    return prediction != label if target is None else prediction == target


def success_rate(prediction: Tensor, label: Tensor, target: Tensor | None = None) -> Rate:
    """S_t or S_u: the proportion of *all* inputs on which the attack worked. Source: qin2020, section 4.3."""
    return rate(succeeded(prediction, label, target))


def undetected_rate(
    prediction: Tensor, distance: Tensor, threshold: float, label: Tensor, target: Tensor | None = None
) -> Rate:
    """R_t or R_u: the proportion of all inputs on which the attack worked *and* d(x') <= threshold.

    Args:
        prediction, distance, label, target: (N,).
        threshold: theta, from `threshold_at`.
    Source: qin2020, section 4.3.
    """
    return rate(succeeded(prediction, label, target) & (distance <= threshold))


def threshold_at(clean: Tensor, fpr: float = 0.05) -> float:
    """The smallest observed score that flags at most a share `fpr` of clean examples: those above it.

    Args:
        clean: Scores of clean held-out examples, (N,).
        fpr: False-positive rate in [0, 1]; 0.05 is the 95th percentile.
    Raises: ValueError: for no scores or a rate outside [0, 1].
    Source: qin2020, section 4.2.
    """
    if clean.numel() == 0 or not 0 <= fpr <= 1:
        raise ValueError(f"expected scores and a rate between 0 and 1, got {clean.numel()} scores and {fpr}")
    ordered = clean.detach().sort().values
    allowed = int(np.floor(fpr * len(ordered) + 1e-9))
    if allowed < len(ordered):
        return float(ordered[-1 - allowed])
    # Every clean example may be flagged, so theta lies just below all of them.
    return float(torch.nextafter(ordered[0], torch.full_like(ordered[0], -torch.inf)))


def undetected_curve(
    clean: Tensor, distance: Tensor, success: Tensor, fprs: list[float] | np.ndarray
) -> list[tuple[float, float, Rate]]:
    """Undetected rate against false-positive rate: (fpr, threshold, rate) for each of `fprs`.

    Args:
        clean: Clean validation distances (Nv,).
        distance: Distances of the attacked images, (N,).
        success: Which attacks worked, (N,) bool.
    Source: qin2020, Fig. 2.
    """
    points: list[tuple[float, float, Rate]] = []
    for fpr in fprs:
        threshold = threshold_at(clean, float(fpr))
        points.append((float(fpr), threshold, rate(success & (distance <= threshold))))
    return points


def pair_counts(source: Tensor, target: Tensor, hits: Tensor, n_classes: int) -> tuple[Tensor, Tensor]:
    """Hits and trials for every source/target pair, each (J, J) int64, rows are sources.

    Args:
        source, target: Classes (N,).
        hits: Which attacks count, (N,) bool.
        n_classes: J, the number of classes.
    """
    cell = source * n_classes + target
    size = n_classes * n_classes
    return (
        torch.bincount(cell[hits], minlength=size).view(n_classes, n_classes),
        torch.bincount(cell, minlength=size).view(n_classes, n_classes),
    )
