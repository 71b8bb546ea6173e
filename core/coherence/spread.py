"""How unequal the pairs of classes are under attack: the "higher variance" of qin2020, Fig. 4."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from core.coherence.pairs import (
    RESAMPLES,
    SPLITS,
    Difference,
    PairOutcomes,
    centred_interval,
    halves,
    off_diagonal,
    same_images,
    tails,
)
from core.coherence.similarity import Matrix


@dataclass(frozen=True)
class Dispersion:
    """Variance of the true rates between pairs of classes.

    Attributes:
        value: The variance, freed of what chance adds; below 0 only by chance.
        low, high: Its 95 % interval, not below 0.
        n: Attacked images.
    """

    value: float
    low: float
    high: float
    n: int

    @property
    def deviation(self) -> tuple[float, float, float]:
        """Standard deviation and its interval, in units of the rate: easier to read."""
        return max(self.value, 0.0) ** 0.5, self.low**0.5, self.high**0.5

    def record(self) -> dict[str, Any]:
        """As a row of a table."""
        return {"metric": "dispersion", "value": self.value, "low": self.low, "high": self.high, "n": self.n}


def dispersion(outcomes: PairOutcomes, *, seed: int = 0) -> Dispersion:
    """How much the rates of the pairs differ beyond chance: the covariance of the rates over two halves."""
    generator = np.random.default_rng(seed)
    value = float(_covariance(*halves(outcomes, SPLITS, generator, resample=False)).mean())
    spread = _covariance(*halves(outcomes, RESAMPLES, generator, resample=True))
    low, high = centred_interval(value, spread)
    return Dispersion(value, max(low, 0.0), max(high, 0.0), len(outcomes.image))


def compare_dispersions(one: PairOutcomes, other: PairOutcomes, *, seed: int = 0) -> Difference:
    """Are the pairs more unequal under one model than under the other? The difference of the variances.

    Both are resampled together, as in `compare_correlations`.

    Raises: ValueError: for attacks on different images.
    """
    same_images(one, other)
    plain, drawn = (
        [
            _covariance(*halves(model, count, np.random.default_rng([seed, number]), resample=resample))
            for model in (one, other)
        ]
        for number, (count, resample) in enumerate([(SPLITS, False), (RESAMPLES, True)])
    )
    value = float((plain[0] - plain[1]).mean())
    spread = drawn[0] - drawn[1]
    low, high = centred_interval(value, spread)
    return Difference("dispersion", value, low, high, *tails(value, spread), len(one.image))


def _covariance(one: Matrix, other: Matrix) -> Matrix:
    """Covariance over the cells off the diagonal, (R, J, J) twice to (R,)."""
    a, b = off_diagonal(one), off_diagonal(other)
    products = (a - a.mean(-1, keepdims=True)) * (b - b.mean(-1, keepdims=True))
    return products.sum(-1) / (a.shape[-1] - 1)
