"""Rates for every pair of source and target class: the cells of a matrix, and what can be said of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform
from torch import Tensor

from core.figures.style import Record
from core.metrics import Rate, pair_counts


@dataclass(frozen=True)
class Cell:
    """The rate of one pair of classes."""

    source: int
    target: int
    source_name: str
    target_name: str
    rate: Rate

    def record(self) -> Record:
        """As a row of a table."""
        pair = {"source": self.source, "target": self.target}
        return {
            **pair,
            "source_name": self.source_name,
            "target_name": self.target_name,
            **self.rate.record(),
        }


@dataclass(frozen=True)
class Spread:
    """How far rates differ between cells.

    Attributes:
        observed: Standard deviation of the rates over all cells.
        chance: What it would be on average if every cell had the overall rate and differed by chance alone.
        lowest, highest: The extreme rates.
        cells: Number of cells.
    """

    observed: float
    chance: float
    lowest: float
    highest: float
    cells: int


def pair_table(source: Tensor, target: Tensor, hits: Tensor, classes: tuple[str, ...]) -> list[Cell]:
    """One cell for every pair that was tried, by source, then target.

    Args:
        source, target: Class numbers (N,).
        hits: Which attacks count, (N,) bool.
        classes: Class names by number.
    """
    counts, trials = pair_counts(source, target, hits, len(classes))
    return [
        Cell(s, t, classes[s], classes[t], Rate(int(counts[s, t]), int(trials[s, t])))
        for s, t in product(range(len(classes)), repeat=2)
        if int(trials[s, t])
    ]


def spread(cells: Sequence[Cell]) -> Spread:
    """How far the rates of the cells differ. With ten images a cell even equal cells seem to: see `chance`.

    Raises: ValueError: when there are no cells.
    """
    if not cells:
        raise ValueError("expected at least one cell, got none")
    value = np.array([cell.rate.value for cell in cells])
    trials = np.array([cell.rate.n for cell in cells])
    overall = float((value * trials).sum() / trials.sum())
    # Around their own mean, as `observed` is: hence one degree of freedom less.
    expected = overall * (1 - overall) * float(np.mean(1 / trials)) * (1 - 1 / len(cells))
    return Spread(float(value.std()), expected**0.5, float(value.min()), float(value.max()), len(cells))


def worst_pairs(cells: Sequence[Cell], count: int) -> list[Cell]:
    """The cells with the highest rates, the highest first; of equal ones that of the lower classes.

    Args:
        cells: From `pair_table`.
        count: How many, at most.
    """
    return sorted(cells, key=lambda cell: (-cell.rate.value, cell.source, cell.target))[:count]


def confusion_order(cells: Sequence[Cell], n_classes: int) -> list[int]:
    """All classes, ordered so that those with high rates between them are neighbours.

    Classes are clustered by the mean of the rates in both directions (average linkage), and the branches of
    the tree are turned so that neighbours are as close as they can be. A pair that was not tried counts as 0.

    Args:
        cells: From `pair_table`.
        n_classes: J, two at least.
    Returns: The numbers from 0 to J - 1.
    Source: barjoseph2001.
    """
    rates = np.zeros((n_classes, n_classes))
    for cell in cells:
        rates[cell.source, cell.target] = cell.rate.value
    apart = 1 - (rates + rates.T) / 2
    np.fill_diagonal(apart, 0)
    return leaves_list(linkage(squareform(apart), "average", optimal_ordering=True)).tolist()
