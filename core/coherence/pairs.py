"""Attacks on images towards every other class, and what would change had other images been attacked.

All intervals of this package resample the *attacked images*. They are what was drawn: had the work been done
again, it would have been with other images of the same classes. The cells of the matrix were not drawn,
so that a bootstrap over them would answer another question, how the figure varies over other classes; and
it would take all cells as independent, though those of a row share their images.

A rate over a few images differs from the true one by chance. That makes the cells of a matrix seem more
different than they are and hides what they follow, and resampling adds as much chance again. Therefore the
images of each class are split in two halves: chance in one is independent of chance in the other, so that
what the two matrices have in common is there beyond chance, also when each half is resampled on its own.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from core.coherence.similarity import Matrix

SPLITS = 200
"""Splits into halves over which an estimate is averaged."""
RESAMPLES = 2000
TAILS = (0.025, 0.975)


@dataclass(frozen=True, eq=False)
class PairOutcomes:
    """What came of attacking images towards every class but their own.

    Attributes:
        image: Index of each image in its data set, ascending, (I,).
        source: Its class, (I,).
        hits: Whether the attack towards each class counts, (I, J); False for the own class.
    """

    image: NDArray[np.int64]
    source: NDArray[np.int64]
    hits: NDArray[np.bool_]

    @property
    def n_classes(self) -> int:
        """J."""
        return self.hits.shape[1]

    @property
    def rates(self) -> Matrix:
        """Share of hits for every source (row) and target, (J, J); 0 on the diagonal."""
        return np.stack([self.hits[self.source == j].mean(0) for j in range(self.n_classes)])


@dataclass(frozen=True)
class Difference:
    """How far one model's figure lies above another's, over the same images.

    Attributes:
        metric: Which figure.
        value: The first less the second. NaN when one of them is.
        low, high: 95 % interval.
        p_value, p_opposite: One-sided, of a difference above 0, and below 0.
        n: Attacked images.
    """

    metric: str
    value: float
    low: float
    high: float
    p_value: float
    p_opposite: float
    n: int

    def record(self) -> dict[str, Any]:
        """As a row of a table."""
        return asdict(self)


def pair_outcomes(index: Tensor, label: Tensor, target: Tensor, hits: Tensor, n_classes: int) -> PairOutcomes:
    """Outcomes by image, from one row an attack.

    Args:
        index: Which image of the data set, (N,).
        label, target: Its class and the class aimed at, (N,).
        hits: Which attacks count: those that worked, or those that worked and were missed, (N,) bool.
        n_classes: J, the number of classes.
    Raises: ValueError: unless every image has one attack towards each other class, and every class two
        images.
    """
    image, first, place = np.unique(index.numpy(), return_index=True, return_inverse=True)
    source = label.numpy()[first]
    tried = np.zeros((len(image), n_classes), dtype=np.int64)
    np.add.at(tried, (place, target.numpy()), 1)
    wanted = np.ones_like(tried)
    wanted[np.arange(len(image)), source] = 0
    if (label.numpy() != source[place]).any() or (tried != wanted).any():
        raise ValueError(
            f"expected one attack on every image towards each of the other {n_classes - 1} classes, got "
            f"{len(index)} attacks on {len(image)} images; take the rows of a source/target matrix"
        )
    fewest = int(np.bincount(source, minlength=n_classes).min())
    if fewest < 2:
        raise ValueError(
            f"expected at least 2 images of every class, got {fewest} of one; attack more images"
        )
    found = np.zeros((len(image), n_classes), dtype=np.bool_)
    found[place, target.numpy()] = hits.numpy()
    return PairOutcomes(image, source, found)


def same_images(one: PairOutcomes, other: PairOutcomes) -> None:
    """Raises: ValueError: unless both are about the same images."""
    if not np.array_equal(one.image, other.image):
        raise ValueError(
            f"expected two attacks on the same images, got {len(one.image)} and {len(other.image)}, not all "
            "the same; take rows that were chosen by the same rule"
        )


def halves(
    outcomes: PairOutcomes, count: int, generator: np.random.Generator, *, resample: bool
) -> tuple[Matrix, Matrix]:
    """Rates over two random halves of the images of each class, many times over.

    Args:
        count: How many splits, R.
        generator: Its state decides the splits: equal states, equal images in each half, whatever the hits.
        resample: Whether images are drawn anew within each half, with replacement.
    Returns: Two arrays (R, J, J), rows are sources.
    """
    n_classes = outcomes.n_classes
    one, other = np.empty((2, count, n_classes, n_classes))
    for j in range(n_classes):
        hits = outcomes.hits[outcomes.source == j].astype(np.float64)
        order = generator.random((count, len(hits))).argsort(1)
        middle = len(hits) // 2
        for rates, part in ((one, order[:, :middle]), (other, order[:, middle:])):
            size = part.shape[1]
            drawn = np.ones((count, size))
            if resample:
                drawn = generator.multinomial(size, np.full(size, 1 / size), count).astype(np.float64)
            weights = np.zeros((count, len(hits)))
            np.put_along_axis(weights, part, drawn, 1)
            # Whole numbers until here, so that equal rates are equal to the last digit, and tie.
            rates[:, j] = weights @ hits / size
    return one, other


def off_diagonal(matrices: Matrix) -> Matrix:
    """The cells of (..., J, J) with two different classes, (..., J * (J - 1))."""
    return matrices[..., ~np.eye(matrices.shape[-1], dtype=np.bool_)]


def centred_interval(estimate: float, replicates: Matrix) -> tuple[float, float]:
    """The 95 % interval of an estimate from the spread of its replicates (R,) around their median."""
    low, high = np.quantile(replicates - np.median(replicates), TAILS)
    return estimate + float(low), estimate + float(high)


def tails(estimate: float, replicates: Matrix) -> tuple[float, float]:
    """One-sided p-values of an estimate above, and below, zero: the replicates' share beyond it.

    Thus the 90 % interval lies above zero just when the first is below 5 %. Never below 1 / (R + 1).
    """
    moved = replicates - np.median(replicates) + estimate
    below, above = int((moved <= 0).sum()), int((moved >= 0).sum())
    return (below + 1) / (len(moved) + 1), (above + 1) / (len(moved) + 1)
