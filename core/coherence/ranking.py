"""Does the success of attacks follow how alike two classes look? Rank correlation, interval and test."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.optimize import isotonic_regression
from scipy.stats import rankdata

from core.coherence.pairs import (
    RESAMPLES,
    SPLITS,
    TAILS,
    Difference,
    PairOutcomes,
    centred_interval,
    halves,
    off_diagonal,
    same_images,
    tails,
)
from core.coherence.similarity import Matrix

PERMUTATIONS = 9999
AGREEMENT = 0.2
"""Rank correlation that two halves of the images must reach, or there is no order to follow anything."""


@dataclass(frozen=True)
class Correlation:
    """How far success follows similarity.

    Attributes:
        value: Spearman's rho between the *true* success rates and similarity, estimated: `observed`, freed
            of the chance that lies in rates over few images. NaN when success differs too little between
            the pairs to be put in order.
        low, high: Its 95 % interval; -1 and 1 when the value is NaN.
        observed: rho between the observed rates and similarity. Chance lowers it, the more the fewer images
            there are and the more equal the pairs: do not compare models by it.
        agreement: rho between the rates over two halves of the images.
        p_value, p_opposite: Mantel's test, one-sided: of rho above 0, and below 0.
        n: Attacked images.
    Source: spearman1904, for the correction as for rho; mantel1967.
    """

    value: float
    low: float
    high: float
    observed: float
    agreement: float
    p_value: float
    p_opposite: float
    n: int

    def record(self) -> dict[str, Any]:
        """As a row of a table."""
        return {"metric": "rank_correlation", **asdict(self)}


def correlation(outcomes: PairOutcomes, distances: Matrix, *, seed: int = 0) -> Correlation:
    """Rank correlation of success with the similarity of source and target.

    Args:
        distances: Between classes, (J, J), from `core.coherence.similarity`: similar means near. Taken as
            known, being measured on far more images than are attacked.
        seed: Of splits, resamples and permutations.
    Raises: ValueError: when the distances are of another shape or all the same.
    """
    ranks = _similarity_ranks(outcomes, distances)
    generator = np.random.default_rng(seed)
    observed = float((_ranks(outcomes.rates) * ranks).sum())
    p_value, p_opposite = _mantel(outcomes.rates, ranks, generator)
    value, agreement = _estimate(outcomes, ranks, generator)
    low, high = -1.0, 1.0
    if np.isfinite(value):
        spread = _replicates(outcomes, ranks, generator)
        low, high = np.clip(centred_interval(value, spread), -1.0, 1.0).tolist()
    return Correlation(value, low, high, observed, agreement, p_value, p_opposite, len(outcomes.image))


def compare_correlations(
    one: PairOutcomes, other: PairOutcomes, distances: Matrix, *, seed: int = 0
) -> Difference:
    """Does the success on one model follow similarity more than that on the other?

    Both are resampled together: what images have in common under both models cancels.

    Raises: ValueError: as `correlation`, and for attacks on different images.
    """
    same_images(one, other)
    ranks = _similarity_ranks(one, distances)
    # A generator of its own for each model, in the same state: the same images in the same halves.
    estimates = [_estimate(model, ranks, np.random.default_rng(seed))[0] for model in (one, other)]
    value, n = estimates[0] - estimates[1], len(one.image)
    if not np.isfinite(value):
        return Difference("rank_correlation", float("nan"), -2.0, 2.0, 1.0, 1.0, n)
    first, second = (_replicates(model, ranks, np.random.default_rng([seed, 1])) for model in (one, other))
    low, high = np.clip(centred_interval(value, first - second), -2.0, 2.0).tolist()
    return Difference("rank_correlation", value, low, high, *tails(value, first - second), n)


@dataclass(frozen=True)
class Fit:
    """Success as a falling function of the distance between classes: the best one of any shape.

    Attributes:
        distance: Ascending, (P,).
        value: Fitted success rate there.
        low, high: 95 % interval at each distance.
    """

    distance: tuple[float, ...]
    value: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


def monotone_fit(outcomes: PairOutcomes, distances: Matrix, *, seed: int = 0, resamples: int = 500) -> Fit:
    """What a rank correlation is about, as a line: isotonic regression of success on distance.

    Source: barlow1972; the interval resamples images within classes.
    """
    x, place = np.unique(off_diagonal(distances), return_inverse=True)
    pairs = np.bincount(place)
    generator = np.random.default_rng(seed)

    def fitted(rates: Matrix) -> Matrix:
        mean = np.bincount(place, weights=off_diagonal(rates)) / pairs
        return isotonic_regression(mean, weights=pairs, increasing=False).x

    hits = [outcomes.hits[outcomes.source == j].astype(np.float64) for j in range(outcomes.n_classes)]
    lines = np.empty((resamples, len(x)))
    for number in range(resamples):
        drawn = [generator.multinomial(len(h), np.full(len(h), 1 / len(h))) @ h / len(h) for h in hits]
        lines[number] = fitted(np.stack(drawn))
    low, high = np.quantile(lines, TAILS, axis=0)
    best = fitted(outcomes.rates)
    return Fit(*(tuple(line.tolist()) for line in (x, best, np.minimum(low, best), np.maximum(high, best))))


def _similarity_ranks(outcomes: PairOutcomes, distances: Matrix) -> Matrix:
    shape = (outcomes.n_classes, outcomes.n_classes)
    if distances.shape != shape or np.ptp(off_diagonal(distances)) == 0:
        raise ValueError(
            f"expected distances that differ between classes, of shape {shape}, got shape {distances.shape}; "
            "see core.coherence.similarity"
        )
    return _ranks(-distances)


def _ranks(matrices: Matrix) -> Matrix:
    """Ranks of the cells off the diagonal, of mean 0 and length 1; zeros where all cells are equal.

    Args:
        matrices: (..., J, J).
    Returns: (..., J * (J - 1)), so that the product of two is Spearman's rho.
    """
    ranks = rankdata(off_diagonal(matrices), axis=-1)
    ranks -= ranks.mean(-1, keepdims=True)
    length = np.sqrt((ranks**2).sum(-1, keepdims=True))
    return np.divide(ranks, length, out=np.zeros_like(ranks), where=length > 0)


def _mantel(rates: Matrix, similarity: Matrix, generator: np.random.Generator) -> tuple[float, float]:
    """Mantel's test: were the names of the classes given out at random, how often would rho be as large?

    Classes are permuted, rows and columns together, never cells: the cells of a row or column belong
        together,
    and stay so.

    Returns: One-sided p-values of rho above 0, and below 0.
    """
    n_classes = len(rates)
    ranks = np.zeros((n_classes, n_classes))
    ranks[~np.eye(n_classes, dtype=np.bool_)] = _ranks(rates)
    order = generator.random((PERMUTATIONS, n_classes)).argsort(1)
    permuted = off_diagonal(ranks[order[:, :, None], order[:, None, :]]) @ similarity
    observed = off_diagonal(ranks) @ similarity
    # Orders that change nothing give sums that differ in their last digits.
    above = int((permuted >= observed - 1e-12).sum())
    below = int((permuted <= observed + 1e-12).sum())
    return (above + 1) / (PERMUTATIONS + 1), (below + 1) / (PERMUTATIONS + 1)


def _estimate(
    outcomes: PairOutcomes, similarity: Matrix, generator: np.random.Generator
) -> tuple[float, float]:
    """rho freed of chance (NaN when the halves do not agree), and the agreement of halves."""
    one, other = (_ranks(half) for half in halves(outcomes, SPLITS, generator, resample=False))
    agreement = float((one * other).sum(-1).mean())
    if agreement < AGREEMENT:
        return float("nan"), agreement
    # Chance divides a correlation by the root of the reliability, which is the correlation of two such
    # halves.
    value = float(((one + other) / 2 @ similarity).mean()) / agreement**0.5
    return float(np.clip(value, -1.0, 1.0)), agreement


def _replicates(outcomes: PairOutcomes, similarity: Matrix, generator: np.random.Generator) -> Matrix:
    """The estimate with other images of the same classes, (R,)."""
    one, other = (_ranks(half) for half in halves(outcomes, RESAMPLES, generator, resample=True))
    agreement = np.maximum((one * other).sum(-1), AGREEMENT / 4)
    return np.clip((one + other) / 2 @ similarity / np.sqrt(agreement), -1.0, 1.0)
