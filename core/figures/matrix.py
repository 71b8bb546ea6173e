"""The matrix of rates for every pair of classes, as Hinton boxes or as colours (qin2020, Fig. 4)."""

from collections.abc import Sequence
from typing import Any, Literal

import altair as alt

from core.figures.colours import GREY, MARK_COLOUR, colour_of
from core.figures.heat import class_axis, class_scale, heat_map, rate_fill
from core.figures.pairs import Cell
from core.figures.style import Record, heading, inline, interval, percent

Style = Literal["boxes", "colour"]

# The side of a 100 % box, in cells: a hair's breadth is left between neighbours.
FULL = 0.94
MANY = 25
"""Classes up to which a cell of the matrix can be told by eye, and has its box and its words."""


def matrix_chart(
    cells: Sequence[Cell],
    classes: Sequence[str],
    title: str,
    measure: str,
    *,
    style: Style = "boxes",
    order: Sequence[int] | None = None,
    chosen: tuple[int, int] | None = None,
    height: int = 380,
) -> alt.LayerChart:
    """The matrix of one model: x is the source class, y the target class.

    Boxes have an *area* proportional to the rate; a full cell is 100 %. A click gives a point selection with
    the fields `source` and `target`. Its name depends on `chosen`: so a click on a cell that was clicked
    before, and has since been left by other means, still counts as a new selection. Of more than `MANY`
    classes it is a `heat_map`, whatever the style.

    Args:
        cells: From `pairs.pair_table`.
        classes: Class names by number.
        title: The model's title.
        measure: What the rate is, for the tooltip ("Success rate").
        style: Boxes or colours.
        order: Of more than `MANY` classes, as `heat_map` has it; fewer are in the order of their numbers.
        chosen: Source and target to outline.
        height: Of the chart, in pixels.
    Source: qin2020, Fig. 4.
    """
    name = "cell" if chosen is None else f"cell_{chosen[0]}_{chosen[1]}"
    click = alt.selection_point(name=name, fields=["source", "target"], toggle=False)
    if len(classes) > MANY:
        return heat_map(cells, classes, title, measure, click, order=order, chosen=chosen, height=height)
    data = inline(_drawn(cell, measure) for cell in cells)
    places = _corners(classes, "cell_")
    layers: list[alt.Chart] = [_diagonal(len(classes)).encode(**places)]
    if style == "boxes":
        boxes = alt.Chart(data).mark_rect(color=colour_of(title), aria=False)
        layers.append(boxes.encode(**_corners(classes, "box_")))
    touched = alt.Chart(data).mark_rect(stroke=GREY, strokeOpacity=0.35, strokeWidth=0.5, cursor="pointer")
    tooltip = [
        alt.Tooltip("pair:N", title="Source → target"),
        alt.Tooltip("rate_text:N", title=measure),
        alt.Tooltip("interval_text:N", title="95 % interval"),
    ]
    touched = touched.encode(
        **places, fill=_fill(style), tooltip=tooltip, description=alt.Description("words:N")
    )
    layers.append(touched.add_params(click))
    if chosen is not None:
        frame = [_drawn(cell, measure) for cell in cells if (cell.source, cell.target) == chosen]
        outline = alt.Chart(inline(frame)).mark_rect(
            fill=None, stroke=MARK_COLOUR, strokeWidth=2.5, aria=False
        )
        layers.append(outline.encode(**places))
    return alt.LayerChart(layer=layers, title=heading(title, "middle"), height=height)


def _drawn(cell: Cell, measure: str) -> Record:
    """A cell with the corners of its place and of its box, one unit a class, and with words for people."""
    half = FULL * cell.rate.value**0.5 / 2
    s, t = float(cell.source), float(cell.target)
    place = {"cell_x": s, "cell_x2": s + 1, "cell_y": t, "cell_y2": t + 1}
    box = {
        "box_x": s + 0.5 - half,
        "box_x2": s + 0.5 + half,
        "box_y": t + 0.5 - half,
        "box_y2": t + 0.5 + half,
    }
    pair = f"{cell.source_name} → {cell.target_name}"
    rate_text = f"{percent(cell.rate.value)} ({cell.rate.k} of {cell.rate.n})"
    words = {
        "rate_text": rate_text,
        "interval_text": interval(cell.rate),
        "words": f"{pair}: {measure} {rate_text}",
    }
    return {
        "source": cell.source,
        "target": cell.target,
        "value": cell.rate.value,
        "pair": pair,
        **place,
        **box,
        **words,
    }


def _fill(style: Style) -> Any:
    """Nothing over boxes; else the rate's colour on a scale from 0 to 100 %."""
    if style == "boxes":
        return alt.FillValue("transparent")
    return rate_fill()


def _corners(classes: Sequence[str], prefix: str) -> dict[str, Any]:
    """Encodings of a rectangle given by its corners, with class names on the axes."""
    count = len(classes)
    # Numbers fit under their cells; names are slanted.
    angle = 0 if max(len(name) for name in classes) <= 2 else -45
    every = {"labelOverlap": False, "labelFlush": False}
    across = class_axis("true class (source)", classes, angle, **every)
    down = class_axis("class aimed at (target)", classes, 0, **every)
    return {
        "x": alt.X(f"{prefix}x:Q", scale=class_scale(count), axis=across),
        "x2": alt.X2(f"{prefix}x2:Q"),
        "y": alt.Y(f"{prefix}y:Q", scale=class_scale(count, down=True), axis=down),
        "y2": alt.Y2(f"{prefix}y2:Q"),
    }


def _diagonal(count: int) -> alt.Chart:
    """Grey cells where source and target are one class, so that nothing is attacked."""
    places = [{"cell_x": i, "cell_x2": i + 1, "cell_y": i, "cell_y2": i + 1} for i in range(count)]
    return alt.Chart(inline(places)).mark_rect(color=GREY, opacity=0.13, aria=False)
