"""The comparisons that claims are made of, each over one or two stored rows, with its test."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scipy.stats import binomtest, fisher_exact

from core.metrics import Rate

Where = Mapping[str, str | float | None]
"""Columns and their values that single out one row of a table; None where a row has no value."""
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Side:
    """One side of a comparison.

    Attributes:
        where: The row that it is; empty for a constant.
        value, low, high: The figure and its 95 % interval.
        n: Of how many; None for a constant.
    """

    where: Where
    value: float
    low: float
    high: float
    n: int | None

    @property
    def what(self) -> str:
        """What it is, in words."""
        return in_words(self.where) or f"{self.value:g}"


@dataclass(frozen=True)
class Tested:
    """Both sides of a comparison, and one-sided p-values of the claimed and of the opposite order."""

    lower: Side
    higher: Side
    p_value: float
    p_opposite: float


@dataclass(frozen=True)
class Below:
    """The rate of one row lies below that of another.

    Fisher's exact test: right for any counts, and fast. It takes the two rates as independent. Models are
    attacked on the same images, which makes it a little too careful.

    Source: fisher1934.
    """

    lower: Where
    higher: Where

    @property
    def rows(self) -> tuple[Where, ...]:
        """What `test` needs, in order."""
        return self.lower, self.higher

    def test(self, rows: Sequence[Row]) -> Tested:
        """Compare the k and n of the two rows."""
        lower, higher = (Rate(int(row["k"]), int(row["n"])) for row in rows)
        left, right = _side(self.lower, lower), _side(self.higher, higher)
        return Tested(left, right, rate_below(lower, higher), rate_below(higher, lower))


@dataclass(frozen=True)
class Under:
    """The rate of a row lies under a constant. Binomial test, exact."""

    row: Where
    bound: float

    @property
    def rows(self) -> tuple[Where, ...]:
        """What `test` needs."""
        return (self.row,)

    def test(self, rows: Sequence[Row]) -> Tested:
        """Compare the k and n of the row with the constant."""
        rate = Rate(int(rows[0]["k"]), int(rows[0]["n"]))
        below, above = (
            float(binomtest(rate.k, rate.n, self.bound, alternative=order).pvalue)
            for order in ("less", "greater")
        )
        return Tested(_side(self.row, rate), _constant(self.bound), below, above)


@dataclass(frozen=True)
class Positive:
    """The figure of a row lies above zero. The row holds its test, made where the images were at hand."""

    row: Where

    @property
    def rows(self) -> tuple[Where, ...]:
        """What `test` needs."""
        return (self.row,)

    def test(self, rows: Sequence[Row]) -> Tested:
        """Take value, low, high, n, p_value and p_opposite from the row."""
        value, low, high, p_value, p_opposite = (
            float(rows[0][column]) for column in ("value", "low", "high", "p_value", "p_opposite")
        )
        side = Side(self.row, value, low, high, int(rows[0]["n"]))
        return Tested(_constant(0.0), side, p_value, p_opposite)


Comparison = Below | Under | Positive


def rate_below(lower: Rate, higher: Rate) -> float:
    """One-sided p-value of the first rate lying below the second, by Fisher's exact test."""
    table = [[lower.k, lower.n - lower.k], [higher.k, higher.n - higher.k]]
    return float(fisher_exact(table, alternative="less").pvalue)  # pyright: ignore[reportAttributeAccessIssue]


def in_words(where: Where) -> str:
    """A row in words: what it is chosen by."""
    return ", ".join(str(value) for value in where.values() if value is not None)


def _side(where: Where, rate: Rate) -> Side:
    return Side(where, rate.value, rate.low, rate.high, rate.n)


def _constant(value: float) -> Side:
    return Side({}, value, value, value, None)
