"""Buttons that save a drawing as PNG, SVG and CSV."""

from collections.abc import Callable, Iterable

import streamlit as st

from core.figures.style import Record
from precompute.papers import Drawing, Panel, csv_text, png, svg
from precompute.papers.drawing import Chart


def offer_drawing(drawing: Drawing, file: str) -> None:
    """Three buttons; files are made when somebody saves them.

    Args:
        file: Name of the files, without their ending.
    """
    makers: dict[str, tuple[Callable[[], bytes | str], str]] = {
        "PNG": (lambda: png(drawing), "image/png"),
        "SVG": (lambda: svg(drawing), "image/svg+xml"),
        "CSV": (lambda: csv_text(drawing.rows), "text/csv"),
    }
    with st.container(horizontal=True, gap="small"):
        for kind, (make, mime) in makers.items():
            st.download_button(
                kind,
                make,
                f"{file}.{kind.lower()}",
                mime,
                key=f"{kind.lower()}-{file}",
                icon=":material/download:",
                type="tertiary",
                on_click="ignore",
            )


def offer_chart(chart: Chart, words: str, rows: Iterable[Record], file: str) -> None:
    """The same three buttons for a single chart.

    Args:
        words: What it shows, in a sentence.
        rows: The numbers behind it, all with the same columns.
        file: Name of the files, without their ending.
    """
    offer_drawing(Drawing((Panel(chart, words),), tuple(rows)), file)
