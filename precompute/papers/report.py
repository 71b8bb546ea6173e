"""Published numbers beside ours: one row for every number of a paper's tables."""

from collections.abc import Mapping
from typing import Any

from core.health import Check, failed
from precompute.papers.health import checks as checks_of
from precompute.papers.numbers import report_rows
from precompute.papers.paper import Paper
from precompute.papers.stored import Results
from precompute.papers.worst import Sweeps, sweeps_of, worst_cases
from precompute.store import Bundle, Store


def bundles_of(store: Store, paper: Paper) -> list[Bundle]:
    """The bundles that a paper is reproduced from: for each data set the best profile there is."""
    return [bundle for dataset in paper.builds if (bundle := store.bundle(dataset, paper.name))]


def results(store: Store, paper: Paper) -> Results:
    """The results of these bundles."""
    return paper.over(bundles_of(store, paper))


def report(store: Store, paper: Paper) -> list[dict[str, Any]]:
    """Every published number of a paper with ours, or with the reason why there is none.

    Args:
        store: Where the bundles are.
        paper: The paper.
    Returns: Rows as of `report_rows`, with warnings: the failed checks of attack health that touch our
        figure; and with worst: beta, ours, low, high and n of each worst case over beta, see
        `precompute.papers.worst`.
    """
    bundles = bundles_of(store, paper)
    stored = paper.over(bundles)
    checks = {bundle.dataset: checks_of(bundle, paper.results) for bundle in bundles}
    sweeps = sweeps_of(stored)
    return [
        {**row, "worst": _worst(row, sweeps), "warnings": warnings(row, checks)}
        for row in report_rows(paper, stored)
    ]


def _worst(row: Mapping[str, Any], sweeps: Sweeps) -> dict[str, dict[str, Any]]:
    """What the worst cases of one number are, by metric."""
    kept = ("beta", "ours", "low", "high", "n")
    return {case["metric"]: {name: case[name] for name in kept} for case in worst_cases(row, sweeps)}


def warnings(number: Mapping[str, Any], checks: Mapping[str, Mapping[str, list[Check]]]) -> list[str]:
    """The failed checks of attack health that touch our figure for one published number."""
    of_model = checks.get(number["dataset"], {}).get(number["model"], [])
    return [
        f"{check.number} {check.name}: {check.figure}"
        for check in failed(of_model, number["metric"], number["attack"])
    ]
