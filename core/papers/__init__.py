"""A paper's tables and figures from stored results: what pages show and the figures command writes."""

from core.papers.drawing import Drawing, NotDrawable, Panel
from core.papers.michels2019 import MICHELS2019
from core.papers.numbers import published, report_rows, results_name, short_names
from core.papers.paper import Figure, Paper, Table
from core.papers.qin2020 import QIN2020
from core.papers.saving import csv_text, png, svg
from core.papers.stored import Results, StoredArtifact, StoredBundle
from core.papers.tables import Line, Section, claim_records, findings, layout, table_drawing
from core.papers.worst import with_worst

PAPERS: dict[str, Paper] = {paper.name: paper for paper in (QIN2020, MICHELS2019)}
"""By short name. Another paper is an entry here and its numbers in `assets/papers`."""

__all__ = [
    "PAPERS",
    "Drawing",
    "Figure",
    "Line",
    "NotDrawable",
    "Panel",
    "Paper",
    "Results",
    "Section",
    "StoredArtifact",
    "StoredBundle",
    "Table",
    "claim_records",
    "csv_text",
    "findings",
    "layout",
    "png",
    "published",
    "report_rows",
    "results_name",
    "short_names",
    "svg",
    "table_drawing",
    "with_worst",
]
