"""Buttons that save a drawing as PNG, SVG and CSV."""

from collections.abc import Callable

import streamlit as st

from core.papers import Drawing, csv_text, png, svg


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
