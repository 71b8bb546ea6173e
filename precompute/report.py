"""Published numbers beside ours: one row for every number of a paper's tables."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from core.data.specs import OFFICIAL
from core.health import Check, failed
from precompute.bundle import Bundle
from precompute.health import checks as checks_of
from precompute.pipeline import DATASETS
from precompute.store import Store

PAPERS = Path(__file__).parent.parent / "assets" / "papers"


def papers() -> list[str]:
    """Short names of the papers whose numbers are known."""
    return sorted(path.stem for path in PAPERS.glob("*.json"))


def report(store: Store, paper: str = "qin2020") -> list[dict[str, Any]]:
    """Every published number of a paper with ours, or with the reason why there is none.

    Args:
        store: Where the bundles are; for each data set the best profile there is counts.
        paper: One of `papers()`.
    Returns: Rows with paper, table, dataset, model, attack, mode, metric, published, ours, low, high (these
        four in percent), n, profile (with the copy of the data, where that is not the official one), reason,
        and warnings, the failed checks of attack health that touch ours.
    Raises: ValueError: for a paper that is not known.
    """
    if paper not in papers():
        raise ValueError(f"expected a paper among {', '.join(papers())}, got {paper!r}")
    document = json.loads((PAPERS / f"{paper}.json").read_text(encoding="utf-8"))
    rates: dict[str, tuple[Bundle, pd.DataFrame]] = {}
    checks: dict[str, dict[str, list[Check]]] = {}
    for dataset in DATASETS:
        bundle = store.bundle(dataset)
        artifact = bundle.get("results", ("rates",)) if bundle else None
        if bundle and artifact:
            rates[dataset] = (bundle, artifact.tables["rates"])
            checks[dataset] = checks_of(bundle)
    return [
        {"paper": paper, **number, **ours(number, rates), "warnings": warnings(number, checks)}
        for number in document["numbers"]
    ]


def warnings(number: dict[str, Any], checks: dict[str, dict[str, list[Check]]]) -> list[str]:
    """The failed checks of attack health that touch our figure for one published number."""
    found = checks.get(number["dataset"], {}).get(number["model"], [])
    return [
        f"{check.number} {check.name}: {check.figure}"
        for check in failed(found, number["metric"], number["attack"])
    ]


def ours(number: dict[str, Any], rates: dict[str, tuple[Bundle, pd.DataFrame]]) -> dict[str, Any]:
    """Our figure for one published number."""
    nothing = {"ours": None, "low": None, "high": None, "n": None, "profile": None}
    dataset = number["dataset"]
    if dataset not in DATASETS:
        return {**nothing, "reason": f"{dataset} is not among the data sets of this version"}
    if dataset not in rates:
        return {**nothing, "reason": f"not built; run `python -m precompute build {dataset} --profile demo`"}
    bundle, table = rates[dataset]
    found: pd.DataFrame = table.loc[
        (table["model"] == number["model"]) & (table["metric"] == number["metric"])
    ]
    for column in ("attack", "mode", "access"):
        wanted = number.get(column)  # of white-box attacks there is no access, as in older bundles
        if column not in found and wanted is None:
            continue
        found = found.loc[found[column].isna() if wanted is None else found[column] == wanted]
    if len(found) != 1:
        return {**nothing, "reason": f"the {bundle.profile} bundle of {dataset} has no such row"}
    row = found.iloc[0]
    percent = {
        name: round(100 * float(row[column]), 2)
        for name, column in (("ours", "value"), ("low", "low"), ("high", "high"))
    }
    return {**percent, "n": int(row["n"]), "profile": profile_and_copy(bundle), "reason": None}


def profile_and_copy(bundle: Bundle) -> str:
    """The profile, and the copy of the data where that is not the official one."""
    copy = bundle.facts.get("data_copy", OFFICIAL)
    return bundle.profile if copy == OFFICIAL else f"{bundle.profile}, {copy}"
