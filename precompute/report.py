"""Published numbers beside ours: one row for every number of a paper's tables."""

from collections.abc import Mapping
from typing import Any

from core.health import Check, failed
from core.papers import Results, report_rows, short_names
from core.papers.numbers import FOLDER as PAPERS
from core.papers.worst import Sweeps, sweeps_of, worst_cases
from precompute.health import checks as checks_of
from precompute.pipeline import DATASETS
from precompute.store import Store

__all__ = ["PAPERS", "papers", "report", "results"]


def papers() -> list[str]:
    """Short names of the papers whose numbers are known."""
    return short_names()


def results(store: Store) -> Results:
    """The bundles that papers are reproduced from: for each data set the best profile there is."""
    return Results(bundle for dataset in DATASETS if (bundle := store.bundle(dataset)))


def report(store: Store, paper: str = "qin2020") -> list[dict[str, Any]]:
    """Every published number of a paper with ours, or with the reason why there is none.

    Args:
        store: Where the bundles are.
        paper: One of `papers()`.
    Returns: Rows as of `core.papers.report_rows`, with warnings: the failed checks of attack health that
        touch our figure; and with worst: beta, ours, low, high and n of each worst case over beta, see
        `core.papers.worst`.
    Raises: ValueError: for a paper that is not known.
    """
    found = results(store)
    bundles = {dataset: store.bundle(dataset) for dataset in DATASETS}
    checks = {dataset: checks_of(bundle) for dataset, bundle in bundles.items() if bundle}
    sweeps = sweeps_of(found)
    return [
        {**row, "worst": _worst(row, sweeps), "warnings": warnings(row, checks)}
        for row in report_rows(paper, found)
    ]


def _worst(row: Mapping[str, Any], sweeps: Sweeps) -> dict[str, dict[str, Any]]:
    """What the worst cases of one number are, by metric."""
    kept = ("beta", "ours", "low", "high", "n")
    return {case["metric"]: {name: case[name] for name in kept} for case in worst_cases(row, sweeps)}


def warnings(number: Mapping[str, Any], checks: Mapping[str, Mapping[str, list[Check]]]) -> list[str]:
    """The failed checks of attack health that touch our figure for one published number."""
    found = checks.get(number["dataset"], {}).get(number["model"], [])
    return [
        f"{check.number} {check.name}: {check.figure}"
        for check in failed(found, number["metric"], number["attack"])
    ]
