"""Published numbers beside ours: one row for every number of a paper's tables."""

import json
from collections.abc import Mapping
from typing import Any

from core.data.specs import OFFICIAL
from precompute.papers.drawing import NotDrawable
from precompute.papers.paper import Paper
from precompute.papers.stored import Results, Rows, StoredBundle

PLACE = ("model", "source", "attack", "mode", "access", "metric", "of")
"""What a number is found by in the stored table `rates`, each None where it does not apply: the model that is
attacked or asked; the one that images were made on, where that is another; what rates are counted over, where
there is a choice."""
COLUMNS = ("table", "dataset", *PLACE, "published")
UNITS = {"mean_norm": "l2"}
"""Of metrics that are no shares: those are in percent."""
NOTHING = {"ours": None, "low": None, "high": None, "n": None, "profile": None}


def published(paper: Paper) -> dict[str, Any]:
    """A paper's numbers as they are in its file: title, venue, notes by table, numbers."""
    return json.loads((paper.published / f"{paper.name}.json").read_text(encoding="utf-8"))


def report_rows(paper: Paper, results: Results) -> Rows:
    """Every published number of a paper with ours, or with the reason why there is none.

    Returns: Rows with paper, `COLUMNS`, unit ("%" or one of `UNITS`: that of published, ours, low and high),
        ours, low, high, n, profile (with the copy of the data, where that is not the official one), reason.
    """
    numbers: Rows = published(paper)["numbers"]
    stored: dict[str, dict[tuple[Any, ...], Rows]] = {}
    for dataset in results.datasets:
        stored[dataset] = {}
        for row in results.rows(dataset, "rates"):
            stored[dataset].setdefault(_place(row), []).append(row)
    return [
        {
            "paper": paper.name,
            **{name: number.get(name) for name in COLUMNS},
            "unit": UNITS.get(number["metric"], "%"),
            **_ours(number, results, stored),
        }
        for number in numbers
    ]


def profile_and_copy(bundle: StoredBundle) -> str:
    """The profile, and the copy of the data where that is not the official one."""
    copy = bundle.facts.get("data_copy", OFFICIAL)
    return bundle.profile if copy == OFFICIAL else f"{bundle.profile}, {copy}"


def _ours(
    number: Mapping[str, Any], results: Results, stored: Mapping[str, Mapping[tuple[Any, ...], Rows]]
) -> dict[str, Any]:
    """Our figure for one published number."""
    dataset = number["dataset"]
    try:
        bundle = results.bundle(dataset)
    except NotDrawable as reason:
        return {**NOTHING, "reason": str(reason)}
    found = stored[dataset].get(_place(number), [])
    if len(found) != 1:
        return {**NOTHING, "reason": f"the {bundle.profile} bundle of {dataset} has no such row"}
    row = found[0]
    scale = 1 if number["metric"] in UNITS else 100
    figures = {
        name: round(scale * float(row[column]), 2)
        for name, column in (("ours", "value"), ("low", "low"), ("high", "high"))
    }
    return {**figures, "n": int(row["n"]), "profile": profile_and_copy(bundle), "reason": None}


def _place(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a number is found by; of white-box attacks there is no access, as in older bundles."""
    values = (row.get(column) for column in PLACE)
    return tuple(None if value is None or value != value else value for value in values)
