"""Linked planes: the same points in each, to lasso, to click and to look at, with a thumbnail of each."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import streamlit as st
from streamlit.components.v2 import component

from core.figures.style import Record

FOLDER = Path(__file__).parent
_draw = component(
    "linked_planes",
    html='<div class="planes"></div>',
    css=(FOLDER / "linked.css").read_text("utf-8"),
    js=(FOLDER / "linked.js").read_text("utf-8"),
)


def show_linked(
    planes: Sequence[Record],
    points: Sequence[Record],
    symbols: Mapping[str, Sequence[Record]],
    ramp: Record | None,
    *,
    chosen: int,
    key: str,
    on_lasso: Callable[[list[int], bool], None],
    on_click: Callable[[int], None],
) -> None:
    """Show planes side by side. Pointing at a point marks it in all of them.

    Args:
        planes: `title`, `subtitle`, `words` (what it shows, in a sentence), `places` (x and y of each point).
        points: `id`, `shape` (of `MODEL_SHAPES`), `colour`, `image` (an address), `told` (lines, first the
            name), `picked` (the others are faint).
        symbols: What they mean, a line for each heading: `shape`, `colour`, `text`.
        ramp: Colours of a quantity: `title`, `low`, `high`, `colours`; None where there is none.
        chosen: id of the point to ring.
        key: Where clicks and lassos are kept until they are taken over.
        on_lasso: Given the ids of points that a line was drawn around, and whether Shift adds them to those
            picked out.
        on_click: Given the id of a point that was clicked.
    """
    _draw(
        key=key,
        data={"planes": planes, "points": points, "symbols": symbols, "ramp": ramp, "chosen": chosen},
        on_lasso_change=lambda: on_lasso(*st.session_state[key]["lasso"]),
        on_one_change=lambda: on_click(st.session_state[key]["one"]),
    )
