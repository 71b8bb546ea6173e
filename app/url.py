"""The address: values in it that a control cannot take are corrected, and said so in a sentence.

Controls are bound to the address by Streamlit, which drops what it cannot use without a word. These checks
run before the control is made and leave the word.
"""

from collections.abc import Sequence
from typing import Any

import streamlit as st

_KEY = "_corrections"


def check_choice(key: str, titles: Sequence[str], what: str) -> None:
    """Note a value of the address that is not among a control's titles."""
    given = _given(key)
    if given is None or given in titles:
        return
    listed = ", ".join(titles) if len(titles) <= 12 else f"{titles[0]} to {titles[-1]}"
    _note(f"{what} “{given}” is not among {listed}; showing the usual one.")


def keep_possible(key: str, options: Sequence[Any]) -> None:
    """Put a control back to its first option where it holds one that only another data set has."""
    if key in st.session_state and st.session_state[key] not in options:
        st.session_state[key] = options[0]


def check_number(key: str, low: float, high: float, what: str) -> None:
    """Note a value of the address that is no number, or outside a control's range."""
    given = _given(key)
    if given is None:
        return
    try:
        value = float(given)
    except ValueError:
        value = float("nan")
    if value != value:
        _note(f"{what} “{given}” is not a number; showing the usual one.")
    elif not low <= value <= high:
        _note(f"{what} {given} is outside {low:g} to {high:g}; showing the usual one.")


def show_corrections() -> None:
    """Tell what was corrected in this run, once."""
    sentences: list[str] = st.session_state.pop(_KEY, [])
    if sentences:
        st.warning("The address was corrected. " + " ".join(sentences), icon=":material/link_off:")


def _given(key: str) -> str | None:
    """What the address says, as long as it is what decides: later the control itself does."""
    return None if key in st.session_state else st.query_params.get(key)


def _note(sentence: str) -> None:
    st.session_state.setdefault(_KEY, []).append(sentence)
