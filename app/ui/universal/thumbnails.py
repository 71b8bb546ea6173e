"""Perturbations as small pictures, and as buttons."""

from collections.abc import Sequence

import streamlit as st

from app.results.universals import Universals
from app.ui.effects import full_gain
from app.ui.images import data_uri, perturbation_png
from app.ui.universal import picks


# Thumbnails follow from the key.
@st.cache_resource(max_entries=8, show_spinner=False)
def thumbnails(key: str, _every: Universals) -> list[tuple[str, float]]:  # noqa: ARG001
    """Every perturbation as an address that carries it, with the factor by which it is magnified."""
    pictures: list[tuple[str, float]] = []
    for levels in _every.levels:
        gain = full_gain(levels)
        pictures.append((data_uri(perturbation_png(levels, gain, small=True)), gain))
    return pictures


def show_thumbnails(every: Universals, rows: Sequence[int], place: str, notes: Sequence[str] = ()) -> None:
    """Perturbations as buttons; one that is pressed is looked at closer.

    Args:
        place: Makes the buttons' keys differ from those of other places.
        notes: Of each, what is said besides its name.
    """
    pictures = thumbnails(every.key, every)
    with st.container(horizontal=True, gap="xxsmall", key=f"thumbnails-{place}"):
        for number, row in enumerate(rows):
            name = every.name(row)
            told = f"{name}, length {float(every.norm_l2[row]):.2f}, magnified {pictures[row][1]:.3g} times"
            st.button(
                f"![{name}]({pictures[row][0]})",
                key=f"see-{place}-{row}",
                type="primary" if row == st.session_state.get(picks.ONE) else "secondary",
                help=told + (f", {notes[number]}" if notes else ""),
                on_click=picks.look_closer,
                args=(row,),
            )
