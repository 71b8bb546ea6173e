"""Which perturbations are picked out, and which one is looked at: kept in the address."""

from collections.abc import Sequence

import streamlit as st

from app.results import universals

ONE, PICKED = "one", "picked"
"""Their names in the address."""


def picked_rows(count: int) -> list[int]:
    """What is picked out, from the address; none where nothing is."""
    text = st.query_params.get(PICKED, "")
    rows = universals.unpacked(text, count) if text else []
    if rows is None:
        st.query_params.pop(PICKED)
        st.warning(
            "The address was corrected. Its selection is not about these perturbations; showing all.",
            icon=":material/link_off:",
        )
    return rows or []


def pick_out(rows: Sequence[int], count: int) -> None:
    """Pick some out; none ends it."""
    text = universals.packed(list(rows), count)
    if text:
        st.query_params[PICKED] = text
    else:
        st.query_params.pop(PICKED, None)


def look_closer(row: int) -> None:
    """Look closer at one."""
    st.session_state[ONE] = row
