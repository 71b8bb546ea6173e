"""Papers: what each builds, and its tables, figures and claims beside ours. A paper is one folder in here."""

from collections.abc import Mapping, Sequence
from typing import Any

from core import data
from core.runtime import describe, device
from precompute.papers.claims import Claim, Compared, Finding, Side, Verdict
from precompute.papers.drawing import Drawing, NotDrawable, Panel
from precompute.papers.michels2019.paper import MICHELS2019
from precompute.papers.numbers import published, report_rows
from precompute.papers.paper import Figure, Paper, Table
from precompute.papers.qin2020.paper import QIN2020
from precompute.papers.saving import csv_text, png, svg
from precompute.papers.stored import Results, StoredArtifact, StoredBundle
from precompute.papers.tables import Line, Section, claim_records, findings, layout, table_drawing
from precompute.papers.worst import with_worst
from precompute.papers.zoo import PROFILES, scale_of
from precompute.steps.job import StepFunction
from precompute.steps.step import Step
from precompute.steps.table import STEPS

PAPERS: dict[str, Paper] = {paper.name: paper for paper in (QIN2020, MICHELS2019)}
"""By short name. Another is a folder beside these two, its line here, and its numbers in `assets/papers`."""


def step_functions() -> dict[str, StepFunction]:
    """Every step function by name: those that papers share, and each paper's own."""
    found = dict(STEPS)
    for paper in PAPERS.values():
        found |= paper.functions
    return found


def bundle_facts(dataset: str, profile: str, steps: Sequence[Step]) -> dict[str, Any]:
    """What a page says about a bundle as a whole."""
    local = data.load(dataset)
    trained = [step.params["model"] for step in steps if step.name.endswith("/weights")]
    return {
        "dataset": dataset,
        "profile": profile,
        "models": trained,
        "size": scale_of(dataset, profile).size,
        "device": describe(device()),
        "data_copy": local.copy,
        "digest": local.digest,
    }


def experiments() -> Mapping[tuple[str, str, str], Sequence[Step]]:
    """The steps of every bundle there can be, by data set, paper and profile."""
    return {
        (dataset, paper.name, profile): paper.experiment(dataset, profile)
        for paper in PAPERS.values()
        for dataset in paper.builds
        for profile in PROFILES
    }


__all__ = [
    "PAPERS",
    "PROFILES",
    "Claim",
    "Compared",
    "Drawing",
    "Figure",
    "Finding",
    "Line",
    "NotDrawable",
    "Panel",
    "Paper",
    "Results",
    "Section",
    "Side",
    "StoredArtifact",
    "StoredBundle",
    "Table",
    "Verdict",
    "bundle_facts",
    "claim_records",
    "csv_text",
    "experiments",
    "findings",
    "layout",
    "png",
    "published",
    "report_rows",
    "step_functions",
    "svg",
    "table_drawing",
    "with_worst",
]
