"""The checks of attack health as they were stored."""

from typing import Any

import pandas as pd

from core.health import Check, checks_of
from precompute.bundle import Bundle
from precompute.pipeline import DATASETS
from precompute.store import Store

COLUMNS = ("dataset", "profile", "model", "check", "name", "verdict", "figure", "value", "n", "low", "high")


def checks(bundle: Bundle) -> dict[str, list[Check]]:
    """The checks of each model of a bundle; of one built before there were checks, none."""
    artifact = bundle.get("results", ("health",))
    return checks_of(artifact.tables["health"]) if artifact and "health" in artifact.tables else {}


def health(store: Store) -> list[dict[str, Any]]:
    """One row for every check on every model.

    Args:
        store: Where the bundles are; for each data set the best profile there is counts.
    Returns: Rows with `COLUMNS`; value, n, low and high are those of the number that decided, None where
        there is none.
    """
    rows: list[dict[str, Any]] = []
    for dataset in DATASETS:
        bundle = store.bundle(dataset)
        artifact = bundle.get("results", ("health",)) if bundle else None
        table = artifact.tables.get("health", pd.DataFrame()) if artifact else pd.DataFrame()
        for record in table.to_dict("records"):
            found = {name: None if pd.isna(record[name]) else record[name] for name in COLUMNS}
            rows.append({**found, "n": None if found["n"] is None else int(found["n"])})
    return rows


def unchecked(rows: list[dict[str, Any]]) -> list[str]:
    """Data sets of which there is no row."""
    present = {row["dataset"] for row in rows}
    return [dataset for dataset in DATASETS if dataset not in present]
