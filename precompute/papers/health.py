"""The checks of attack health as they were stored."""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from core.health import Check, checks_of
from precompute.store import Bundle

COLUMNS = ("dataset", "profile", "model", "check", "name", "verdict", "figure", "value", "n", "low", "high")


def table(bundle: Bundle, results: str) -> pd.DataFrame:
    """The table of checks in a bundle's results; empty where nothing was checked.

    Args:
        results: The name of the artifact with the paper's tables.
    """
    artifact = bundle.get(results, ("health",))
    return artifact.tables.get("health", pd.DataFrame()) if artifact else pd.DataFrame()


def checks(bundle: Bundle, results: str) -> dict[str, list[Check]]:
    """The checks of each model of a bundle; arguments as for `table`."""
    rows = table(bundle, results)
    return {} if rows.empty else checks_of(rows)


def health(bundles: Iterable[tuple[Bundle, str]]) -> list[dict[str, Any]]:
    """One row for every check on every model.

    Args:
        bundles: Bundles, each with the name of the artifact with its paper's tables.
    Returns: Rows with `COLUMNS`; value, n, low and high are those of the number that decided, None where
        there is none.
    """
    rows: list[dict[str, Any]] = []
    for bundle, results in bundles:
        for record in table(bundle, results).to_dict("records"):
            row = {name: None if pd.isna(record[name]) else record[name] for name in COLUMNS}
            rows.append({**row, "n": None if row["n"] is None else int(row["n"])})
    return rows
