"""Tables and figures of a paper as files: from the store to a folder."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from precompute.papers.drawing import Drawing, NotDrawable
from precompute.papers.numbers import report_rows
from precompute.papers.paper import Paper
from precompute.papers.report import results
from precompute.papers.saving import csv_text, png, svg
from precompute.papers.tables import claim_records, findings, table_drawing
from precompute.papers.worst import with_worst
from precompute.store import Store
from precompute.store.files import Folder


@dataclass(frozen=True)
class Written:
    """A table or figure that was dealt with.

    Attributes:
        files: Names of those written; none where it could not be drawn.
        line: What to tell: the files, and what is missing and why.
        total: How many tables and figures there are.
    """

    files: tuple[str, ...]
    line: str
    total: int


def write_figures(store: Store, paper: Paper, out: Path) -> Iterator[Written]:
    """Write every table and figure as PNG, SVG and CSV, and the claims as CSV.

    Files appear whole or not at all. What an earlier run wrote of a figure that cannot be drawn now is
    removed, so that the folder never mixes two states of the store.

    Raises: CorruptArtifact.
    """
    folder = Folder.open(out)
    found = results(store, paper)
    rows = with_worst(report_rows(paper, found), found)
    drawn: dict[str, Callable[[], Drawing]] = {
        f"table-{table.number}": partial(table_drawing, rows, table.number) for table in paper.tables
    }
    drawn |= {f"figure-{figure.number}": partial(figure.draw, found) for figure in paper.figures}
    total = len(drawn) + 1
    folder.write("claims.csv", csv_text(claim_records(findings(paper, found))).encode())
    yield Written(("claims.csv",), "wrote claims.csv", total)
    for name, draw in drawn.items():
        files, line = _write(folder, name, draw)
        yield Written(files, line, total)


def _write(folder: Folder, name: str, draw: Callable[[], Drawing]) -> tuple[tuple[str, ...], str]:
    """Write one table or figure. Returns: names of its files, and what to tell."""
    files = tuple(f"{name}.{ending}" for ending in ("png", "svg", "csv"))
    try:
        drawing = draw()
    except NotDrawable as reason:
        for file in files:
            folder.remove(file)
        return (), f"not drawn: {name} ({reason})"
    contents = (png(drawing), svg(drawing).encode(), csv_text(drawing.rows).encode())
    for file, content in zip(files, contents, strict=True):
        folder.write(file, content)
    missing = f"; without {'; '.join(drawing.missing)}" if drawing.missing else ""
    return files, f"wrote {name}.png, .svg and .csv{missing}"
