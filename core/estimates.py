"""Means and differences of means with 95 % intervals and one-sided tests."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.stats import t as student


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval and how far it is from zero.

    Attributes:
        value, low, high: The figure and its 95 % interval.
        n: Of how many.
        p_value: Of its being above zero, one-sided: small where it is.
        p_opposite: Of its being below zero.
    """

    value: float
    low: float
    high: float
    n: int
    p_value: float
    p_opposite: float

    def record(self) -> dict[str, Any]:
        """As columns of a table."""
        return asdict(self)

    @classmethod
    def of(cls, value: float, error: float, freedom: float, n: int) -> "Estimate":
        """From the figure's standard error and degrees of freedom, by Student's t."""
        if not error > 0:  # all values are the same: no doubt is left, or there is one value alone
            sure = n > 1 and value != 0
            p_value = (0.0 if value > 0 else 1.0) if sure else 1.0
            wide = 0.0 if n > 1 else float("inf")
            return cls(value, value - wide, value + wide, n, p_value, 1 - p_value if sure else 1.0)
        half = float(student.ppf(0.975, freedom)) * error
        above = float(student.sf(value / error, freedom))
        return cls(value, value - half, value + half, n, above, 1 - above)


def mean(values: Sequence[float] | np.ndarray) -> Estimate:
    """The mean of independent values (N,). Raises ValueError: for none. Source: student1908."""
    v = np.asarray(values, dtype=float)
    if not len(v):
        raise ValueError("expected one value or more, got none; there is no mean of nothing")
    error = float(v.std(ddof=1)) / len(v) ** 0.5 if len(v) > 1 else 0.0
    return Estimate.of(float(v.mean()), error, max(len(v) - 1, 1), len(v))


def paired(larger: Sequence[float] | np.ndarray, smaller: Sequence[float] | np.ndarray) -> Estimate:
    """By how much the first exceed the second on average, where they come in pairs, (N,) each."""
    return mean(np.asarray(larger, dtype=float) - np.asarray(smaller, dtype=float))


def unpaired(larger: Sequence[float] | np.ndarray, smaller: Sequence[float] | np.ndarray) -> Estimate:
    """By how much the mean of the first exceeds that of the second. Source: welch1947."""
    a, b = np.asarray(larger, dtype=float), np.asarray(smaller, dtype=float)
    if min(len(a), len(b)) < 2:
        raise ValueError(f"expected two values or more on each side, got {len(a)} and {len(b)}")
    u, v = a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)
    freedom = (u + v) ** 2 / (u**2 / (len(a) - 1) + v**2 / (len(b) - 1)) if u + v > 0 else 1.0
    return Estimate.of(float(a.mean() - b.mean()), float((u + v) ** 0.5), float(freedom), len(a) + len(b))


def within(found: Estimate, margin: float) -> Estimate:
    """How far a difference is inside a margin on both sides: two one-sided tests of equivalence.

    Args:
        found: The difference.
        margin: What is small enough, above zero.
    Returns: margin - |difference|; the p-value is the larger of the two.
    Source: schuirmann1987.
    """
    half = (found.high - found.low) / 2
    value = margin - abs(found.value)
    if half == 0:
        inside = 0.0 if value > 0 else 1.0
        return Estimate(value, value, value, found.n, inside, 1 - inside)
    freedom = max(found.n - 1, 1)
    above = float(student.sf(value / (half / float(student.ppf(0.975, freedom))), freedom))
    return Estimate(value, value - half, value + half, found.n, above, 1 - above)


def largest(found: Sequence[Estimate]) -> Estimate:
    """The largest of several figures, tested as such.

    Its p-value is that of at least one being above zero (Bonferroni's); its opposite, that all are below
    (the largest of theirs). Source: berger1982.
    """
    if not found:
        raise ValueError("expected one figure or more, got none")
    first = max(found, key=lambda estimate: estimate.value)
    p_value = min(1.0, len(found) * min(estimate.p_value for estimate in found))
    p_opposite = max(estimate.p_opposite for estimate in found)
    return Estimate(first.value, first.low, first.high, first.n, p_value, p_opposite)
