"""All figures of visual coherence for some models, as rows of one table."""

from collections.abc import Mapping
from itertools import combinations
from typing import Any

from core.coherence.pairs import PairOutcomes
from core.coherence.ranking import compare_correlations, correlation
from core.coherence.similarity import Matrix
from core.coherence.spread import compare_dispersions, dispersion


def coherence_table(
    outcomes: Mapping[str, PairOutcomes], distances: Mapping[str, Matrix], *, seed: int = 0
) -> list[dict[str, Any]]:
    """Rank correlation and dispersion of every model, and how any two models differ.

    Args:
        outcomes: Of attacks on the same images, by model.
        distances: Between classes, by measure, from `class_distances`.
        seed: Of all resampling.
    Returns: Rows with model; other (that the model is compared with, or None); metric (rank_correlation or
        dispersion); measure (None for dispersion); value, low, high, n; and p_value and p_opposite,
        one-sided, of a value above and below 0. A difference is the model's figure less the other's.
    Raises: ValueError: for models that were attacked on different images.
    """
    rows: list[dict[str, Any]] = []

    def add(found: Mapping[str, Any], model: str, other: str | None, measure: str | None) -> None:
        rows.append({"model": model, "other": other, "measure": measure, **found})

    for model, attacked in outcomes.items():
        for measure, matrix in distances.items():
            add(correlation(attacked, matrix, seed=seed).record(), model, None, measure)
        add(dispersion(attacked, seed=seed).record(), model, None, None)
    for (model, one), (other, two) in combinations(outcomes.items(), 2):
        for measure, matrix in distances.items():
            add(compare_correlations(one, two, matrix, seed=seed).record(), model, other, measure)
        add(compare_dispersions(one, two, seed=seed).record(), model, other, None)
    return rows
