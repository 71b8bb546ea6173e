"""A paper's claims about the order of its results, and what ours say to them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from precompute.papers.comparisons import Comparison, Row, Side, Tested, Where, in_words

LEVEL = 0.05

Verdict = Literal["holds", "contradicted", "undecided", "not measured"]


@dataclass(frozen=True)
class Claim:
    """What a paper says about its results, as comparisons that must all come out.

    Attributes:
        key: Short and unique.
        sentence: The claim, in our words.
        source: Where the paper makes it.
        table: The stored table that its rows are in.
        comparisons: One or more.
        datasets: Those that it is about; None for any.
    """

    key: str
    sentence: str
    source: str
    table: str
    comparisons: tuple[Comparison, ...]
    datasets: tuple[str, ...] | None = None

    def is_made_in(self, kind: Literal["Table", "Fig."], number: str) -> bool:
        """Whether its source names that table or figure: "Tables 1 and 5; section 5.1" names Table 5."""
        named = rf"\b{kind.rstrip('.')}s?\.? (?:\d+(?:, | and ))*{number}\b"
        return re.search(named, self.source) is not None


@dataclass(frozen=True)
class Compared:
    """A comparison with its result.

    Attributes:
        lower, higher: The sides, as the claim has them.
        p_value: Of the claimed order, one-sided, by Holm's method over the comparisons of the claim.
        p_opposite: Of the opposite order, likewise.
    """

    lower: Side
    higher: Side
    p_value: float
    p_opposite: float

    @property
    def verdict(self) -> Verdict:
        """Of this comparison, at 5 %."""
        if self.p_value <= LEVEL:
            return "holds"
        return "contradicted" if self.p_opposite <= LEVEL else "undecided"

    def record(self) -> dict[str, Any]:
        """As columns of a table."""
        sides = {
            f"{name}_{field}": getattr(side, field)
            for name, side in (("lower", self.lower), ("higher", self.higher))
            for field in ("what", "value", "low", "high", "n")
        }
        return {
            **sides,
            "p_value": self.p_value,
            "p_opposite": self.p_opposite,
            "comparison": self.verdict,
        }


@dataclass(frozen=True)
class Finding:
    """A claim on a data set.

    Attributes:
        compared: What could be compared.
        missing: Which rows there are not.
    """

    claim: Claim
    dataset: str
    compared: tuple[Compared, ...]
    missing: tuple[str, ...]

    @property
    def verdict(self) -> Verdict:
        """It holds when all comparisons do, and is contradicted when one of them is."""
        said = {c.verdict for c in self.compared}
        if "contradicted" in said:
            return "contradicted"
        if self.missing:
            return "not measured"
        return "undecided" if "undecided" in said else "holds"

    def records(self) -> list[dict[str, Any]]:
        """As rows of a table: one a comparison; one without numbers where nothing could be compared."""
        about = {
            "claim": self.claim.key,
            "sentence": self.claim.sentence,
            "source": self.claim.source,
            "dataset": self.dataset,
            "verdict": self.verdict,
            "missing": "; ".join(self.missing),
        }
        return [{**about, **c.record()} for c in self.compared] or [about]


def evaluate(
    claims: Iterable[Claim], tables: Mapping[str, Sequence[Row]], datasets: Iterable[str]
) -> list[Finding]:
    """Test claims over stored rows.

    Args:
        claims: Such as `QIN2020`.
        tables: Rows by table, of one profile for each data set: `rates`, `fpr` and `judges` with k and n;
            `coherence` with value, low, high, n, p_value and p_opposite; and what claims choose rows by.
        datasets: On which to test; claims about one in particular are tested where that is among them.
    Returns: One a claim and data set, claims in order.
    Raises: ValueError: where more than one row fits.
    """
    wanted = list(datasets)
    return [
        _finding(claim, tables.get(claim.table, ()), dataset)
        for claim in claims
        for dataset in wanted
        if claim.datasets is None or dataset in claim.datasets
    ]


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for there being several, so that the chance of any false alarm stays at the level.

    Source: holm1979.
    """
    adjusted = [0.0] * len(p_values)
    so_far = 0.0
    for rank, number in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        so_far = max(so_far, min(1.0, (len(p_values) - rank) * p_values[number]))
        adjusted[number] = so_far
    return adjusted


def _finding(claim: Claim, rows: Sequence[Row], dataset: str) -> Finding:
    tested: list[Tested] = []
    missing: list[str] = []
    for comparison in claim.comparisons:
        found = {in_words(where): _find(rows, {"dataset": dataset, **where}) for where in comparison.rows}
        present = [row for row in found.values() if row is not None]
        if len(present) == len(comparison.rows):
            tested.append(comparison.test(present))
        missing += [words for words, row in found.items() if row is None]
    p_values, opposite = holm([t.p_value for t in tested]), holm([t.p_opposite for t in tested])
    compared = [Compared(t.lower, t.higher, p, q) for t, p, q in zip(tested, p_values, opposite, strict=True)]
    return Finding(claim, dataset, tuple(compared), tuple(dict.fromkeys(missing)))


def _find(rows: Sequence[Row], where: Where) -> Row | None:
    """The one row that fits, or None. Raises ValueError when several do."""
    fitting = [row for row in rows if all(_value(row, column) == value for column, value in where.items())]
    if len(fitting) > 1:
        raise ValueError(
            f"expected one row with {dict(where)}, got {len(fitting)}; give the rows of one profile, or name "
            "more columns in the claim"
        )
    return fitting[0] if fitting else None


def _value(row: Row, column: str) -> Any:
    """A row's value; data frames have NaN for what is not there."""
    value = row.get(column)
    return None if value is None or value != value else value
