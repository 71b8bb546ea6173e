"""Checks as rows of a table, and back."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from core.health.check import Check


def rows_of(checks: Sequence[Check], common: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row for each check: its verdict, figure, and the number that decided with n and interval.

    Args:
        checks: Of one model.
        common: Columns that all rows share.
    Returns: Rows with `common`, check, name, verdict, figure, value, n, low, high, and `record`, all of the
        check as JSON; numbers are None where a check has none.
    """
    rows: list[dict[str, Any]] = []
    for check in checks:
        first = check.details[0] if check.details else None
        rows.append(
            {
                **common,
                "check": check.number,
                "name": check.name,
                "verdict": check.verdict,
                "figure": check.figure,
                "value": first.value if first else None,
                "n": first.n if first else None,
                "low": first.low if first else None,
                "high": first.high if first else None,
                "record": json.dumps(check.record()),
            }
        )
    return rows


def checks_of(table: pd.DataFrame) -> dict[str, list[Check]]:
    """The checks of each model, by its name, from the rows of one bundle."""
    found: dict[str, list[Check]] = {}
    if table.empty:
        return found
    for model, record in zip(table["model"], table["record"], strict=True):
        found.setdefault(str(model), []).append(Check.of(json.loads(record)))
    return found


def failed(checks: Sequence[Check], metric: str, attack: str | None) -> list[Check]:
    """The failed checks that touch a metric of an attack."""
    return [check for check in checks if check.concerns(metric, attack)]
