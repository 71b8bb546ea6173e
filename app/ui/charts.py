"""Charts with what belongs to them: a text for those who do not see them, and their numbers as a file."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

import altair as alt
import streamlit as st
from altair.utils.schemapi import debug_mode

from precompute.papers import csv_text


@contextmanager
def trusted() -> Generator[None]:
    """Draw charts without checking them against Vega-Lite's schema.

    The check takes most of the time of a page with several charts, which a dragged threshold draws again
    and again. Tests of the figures do check them.
    """
    with debug_mode(False):
        yield


def show_chart(
    chart: alt.LayerChart | alt.Chart,
    alt_text: str,
    key: str | None = None,
    on_select: Callable[[], None] | None = None,
) -> None:
    """Show a chart as wide as its place.

    Args:
        alt_text: What it shows, in a sentence.
        key: Where its selection is kept.
        on_select: Called when something in it is clicked; that a chart is enlarged or moved calls nothing.
    """
    chart = chart.properties(padding={"bottom": 2})  # Streamlit would leave 20 pixels blank
    if on_select is None:
        st.altair_chart(chart, key=key, alt=alt_text, width="stretch")
    else:
        clicks = [param.name for param in cast("list[Any]", chart.params) if param.select["type"] == "point"]
        st.altair_chart(
            chart, key=key, alt=alt_text, width="stretch", on_select=on_select, selection_mode=clicks
        )


def offer_csv(
    label: str,
    records: Callable[[], Sequence[Mapping[str, Any]]],
    file: str,
    about: Mapping[str, Any],
) -> None:
    """A button that saves a chart's numbers.

    Args:
        label: What they are.
        records: Gives the rows, all with the same columns; called when somebody saves them.
        file: Name of the file, without its ending.
        about: Columns that are the same in all rows: where the numbers come from.
    """
    st.download_button(
        label,
        lambda: csv_text([{**about, **record} for record in records()]),
        f"{file}.csv",
        "text/csv",
        key=f"csv-{file}",
        icon=":material/download:",
        type="tertiary",
        on_click="ignore",
    )
