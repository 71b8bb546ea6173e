"""A paper's tables in its own layout, and its claims over stored results."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.attacks import ATTACKS
from core.data import SPECS
from core.figures.published import Beside, beside, beside_chart
from core.figures.style import Record
from precompute.papers.claims import Finding, evaluate
from precompute.papers.drawing import Drawing, Panel
from precompute.papers.paper import Paper
from precompute.papers.stored import Results, Rows
from precompute.papers.worst import WORST_BETA, WORST_IMAGE

METRICS = {
    "error_rate": "error",
    "success_rate": "success",
    "undetected_rate": "undetected",
    WORST_BETA: "undetected, worst β",
    WORST_IMAGE: "undetected, worst β per image",
    "accuracy": "accuracy",
    "fooling_rate": "fooling",
    "mean_norm": "mean norm",
}
NAMES = {
    **{name: spec.title for name, spec in SPECS.items()},
    **{name: kind.title for name, kind in ATTACKS.items()},
    "universal": "Universal perturbation",
}
"""Titles of data sets and attacks."""


RATES = ("error", "success", "undetected", "fooling")
"""Metrics that are called rates."""


@dataclass(frozen=True)
class Line:
    """One line of a table: an attack and a metric, with a number for every model.

    Attributes:
        row: The attack in words, or the data set where a table has no attacks.
        metric: In one word.
        numbers: By the model's title.
        rows: The report's rows that these are, likewise.
    """

    row: str
    metric: str
    numbers: Mapping[str, Beside]
    rows: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Section:
    """The lines of one data set; the title is empty where they need none."""

    title: str
    lines: tuple[Line, ...]


def layout(rows: Sequence[Mapping[str, Any]], table: str) -> list[Section]:
    """A table with models as columns, attacks and metrics as lines, data sets as sections.

    Args:
        rows: From `report_rows`.
        table: Its number.
    """
    chosen = [row for row in rows if row["table"] == table]
    if not any(row["attack"] for row in chosen):
        return [Section("", _lines(chosen))]
    datasets = list(dict.fromkeys(row["dataset"] for row in chosen))
    return [
        Section(
            SPECS[dataset].title if len(datasets) > 1 else "",
            _lines([row for row in chosen if row["dataset"] == dataset]),
        )
        for dataset in datasets
    ]


def _lines(rows: Sequence[Mapping[str, Any]]) -> tuple[Line, ...]:
    found: dict[tuple[str, str], Line] = {}
    for row, number in zip(rows, beside(rows, NAMES), strict=True):
        place = number.row, METRICS[number.metric]
        line = found.setdefault(place, Line(*place, {}, {}))
        found[place] = Line(*place, {**line.numbers, number.model: number}, {**line.rows, number.model: row})
    return tuple(found.values())


def table_drawing(rows: Sequence[Mapping[str, Any]], table: str) -> Drawing:
    """A table as charts, published beside ours: one for every data set and metric.

    Args:
        rows: From `report_rows`.
        table: Its number.
    """
    panels: list[Panel] = []
    for section in layout(rows, table):
        for metric in dict.fromkeys(line.metric for line in section.lines):
            numbers = [n for line in section.lines if line.metric == metric for n in line.numbers.values()]
            what = f"{metric} rate" if metric in RATES else metric
            title = " ".join(part for part in (section.title, what) if part)
            known = sum(number.ours is not None for number in numbers)
            inside = sum(bool(number.within) for number in numbers)
            words = (
                f"{title}, published beside ours: {known} of {len(numbers)} numbers have ours; "
                f"{inside} published ones lie in our interval."
            )
            panels.append(Panel(beside_chart(numbers, title), words))
    return Drawing(tuple(panels), tuple(table_records(rows, table)))


def table_records(rows: Sequence[Mapping[str, Any]], table: str) -> list[Record]:
    """A table as rows of a file: those of the report, and ours less the published number in points."""
    return [
        {**row, "difference": None if row["ours"] is None else round(row["ours"] - row["published"], 2)}
        for row in rows
        if row["table"] == table
    ]


def findings(paper: Paper, results: Results) -> list[Finding]:
    """What stored results say to a paper's claims, on every data set of the paper."""
    tables: dict[str, Rows] = {
        name: [row for dataset in results.datasets for row in results.rows(dataset, name)]
        for name in dict.fromkeys(claim.table for claim in paper.claims)
    }
    return evaluate(paper.claims, tables, paper.datasets)


def claim_records(found: Sequence[Finding]) -> list[Record]:
    """Findings as rows of a file, all with the same columns."""
    rows = [record for finding in found for record in finding.records()]
    columns = dict.fromkeys(column for row in rows for column in row)
    return [{column: row.get(column) for column in columns} for row in rows]
