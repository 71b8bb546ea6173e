"""Columns that stand below each other where there is no room for them side by side."""

from collections.abc import Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator


def columns(spec: Sequence[int], key: str, *, least: float) -> list[DeltaGenerator]:
    """Columns with a large gap.

    Args:
        spec: Their widths beside each other.
        key: Names them, once on a page.
        least: Width below which none becomes, in rem.
    """
    # Streamlit does so on telephones alone; in a small window the sidebar leaves as little room.
    with st.container(key=f"columns-{key}"):
        st.html(f"<style>.st-key-columns-{key} .stColumn {{min-width: min(100%, {least:g}rem);}}</style>")
        return st.columns(spec, gap="large")
