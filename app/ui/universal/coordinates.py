"""Coordinates for a setting: from the bundle, or computed now, with a Stop button that stops."""

from collections import OrderedDict
from typing import Any

import numpy as np
import streamlit as st
from torch import Tensor

from app.embedder import Embedded, EmbeddingFailed, embed
from app.results.universals import SPACES, Grid, Universals
from app.ui.universal.settings import Setting

HOLD = "_hold_embedding"
KEPT = 24
"""Computed embeddings that are remembered, over all sessions."""


@st.cache_resource(show_spinner=False)
def _computed() -> OrderedDict[tuple[Any, ...], Embedded]:
    return OrderedDict()


def stop() -> None:
    """Compute no more until asked to."""
    st.session_state[HOLD] = True


def go_on() -> None:
    """Compute again."""
    st.session_state.pop(HOLD, None)


Placed = dict[str, Embedded | np.ndarray | None]
"""Coordinates by space, with what came with them where they were computed; None where they are not known."""


def find(every: Universals, grid: Grid, setting: Setting) -> Placed:
    """Coordinates that are stored, or were computed before."""
    placed: Placed = {}
    for space in SPACES:
        stored = grid.places(space, setting.of(space), setting.seed)
        computed = _computed().get(_key(every, grid, space, setting))
        placed[space] = computed if stored is None else stored.numpy()
    return placed


def complete(placed: Placed, every: Universals, rows: Tensor, grid: Grid, setting: Setting) -> Placed:
    """Compute what is not known; what was stopped or failed stays None, which is said on the page.

    Args:
        placed: From `find`.
        rows: Of the collection, that are embedded, in the order of the grid's models.
    """
    missing = [space for space, made in placed.items() if made is None]
    if not missing:
        return placed
    placed = dict(placed)
    with st.container(horizontal=True, vertical_alignment="center"):
        button, bar = st.empty(), st.empty()
    for space in missing:
        if st.session_state.get(HOLD):
            break
        button.button("Stop", key=f"stop-{space}", icon=":material/stop_circle:", on_click=stop, width=120)
        placed[space] = _compute(every, rows, grid, space, setting, bar)
    if any(value is None for value in placed.values()):
        button.button(
            "Compute", key="compute", icon=":material/play_circle:", on_click=go_on, type="primary", width=120
        )
        bar.markdown("Stopped: these settings are not stored. Press Compute, or choose others.")
    else:
        button.empty()
        bar.empty()
    return placed


def _compute(
    every: Universals, rows: Tensor, grid: Grid, space: str, setting: Setting, bar: Any
) -> Embedded | None:
    def show(share: float, what: str) -> None:
        # This call also is where Streamlit ends this script, and the process, when something was clicked.
        bar.progress(share, f"{SPACES[space]}, {setting.words(space)}: {what}")

    models = every.source[rows]
    places = {every.sources.index(model): number for number, model in enumerate(grid.models)}
    try:
        made = embed(
            every.points[rows.numpy()],
            np.array([places[int(model)] for model in models]),
            every.part[rows].numpy(),
            grid.models,
            space=space,
            setting=setting.of(space),
            seed=setting.seed,
            on_tick=show,
        )
    except EmbeddingFailed as error:
        st.error(str(error), icon=":material/error:")
        return None
    remembered = _computed()
    remembered[_key(every, grid, space, setting)] = made
    while len(remembered) > KEPT:
        remembered.popitem(last=False)
    return made


def _key(every: Universals, grid: Grid, space: str, setting: Setting) -> tuple[Any, ...]:
    return every.key, grid.name, space, setting.of(space), setting.seed
