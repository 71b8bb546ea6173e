"""Rates for every pair of source and target class, as Hinton boxes or as colours (qin2020, Fig. 4)."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import altair as alt
import numpy as np
from torch import Tensor

from core.figures.colours import GREY, MARK_COLOUR, SEQUENTIAL, colour_of
from core.figures.style import Record, heading, inline, interval, numbers, percent
from core.metrics import Rate, pair_counts

Style = Literal["boxes", "colour"]

# The side of a 100 % box, in cells: a hair's breadth is left between neighbours.
FULL = 0.94


@dataclass(frozen=True)
class Cell:
    """The rate of one pair of classes."""

    source: int
    target: int
    source_name: str
    target_name: str
    rate: Rate

    def record(self) -> Record:
        """As a row of a table."""
        pair = {"source": self.source, "target": self.target}
        return {
            **pair,
            "source_name": self.source_name,
            "target_name": self.target_name,
            **numbers(self.rate),
        }


@dataclass(frozen=True)
class Spread:
    """How far rates differ between cells.

    Attributes:
        observed: Standard deviation of the rates over all cells.
        chance: What it would be on average if every cell had the overall rate and differed by chance alone.
        lowest, highest: The extreme rates.
        cells: Number of cells.
    """

    observed: float
    chance: float
    lowest: float
    highest: float
    cells: int


def pair_table(source: Tensor, target: Tensor, hits: Tensor, classes: tuple[str, ...]) -> list[Cell]:
    """One cell for every pair that was tried, by source, then target.

    Args:
        source, target: Class numbers (N,).
        hits: Which attacks count, (N,) bool.
        classes: Class names by number.
    """
    counts, trials = pair_counts(source, target, hits, len(classes))
    return [
        Cell(s, t, classes[s], classes[t], Rate(int(counts[s, t]), int(trials[s, t])))
        for s, t in product(range(len(classes)), repeat=2)
        if int(trials[s, t])
    ]


def spread(cells: Sequence[Cell]) -> Spread:
    """How far the rates of the cells differ. With ten images a cell even equal cells seem to: see `chance`.

    Raises: ValueError: when there are no cells.
    """
    if not cells:
        raise ValueError("expected at least one cell, got none")
    value = np.array([cell.rate.value for cell in cells])
    trials = np.array([cell.rate.n for cell in cells])
    overall = float((value * trials).sum() / trials.sum())
    # Around their own mean, as `observed` is: hence one degree of freedom less.
    expected = overall * (1 - overall) * float(np.mean(1 / trials)) * (1 - 1 / len(cells))
    return Spread(float(value.std()), expected**0.5, float(value.min()), float(value.max()), len(cells))


def matrix_chart(
    cells: Sequence[Cell],
    classes: Sequence[str],
    title: str,
    measure: str,
    *,
    style: Style = "boxes",
    chosen: tuple[int, int] | None = None,
    height: int = 380,
) -> alt.LayerChart:
    """The matrix of one model: x is the source class, y the target class.

    Boxes have an *area* proportional to the rate; a full cell is 100 %. A click gives a point selection with
    the fields `source` and `target`. Its name depends on `chosen`: so a click on a cell that was clicked
    before, and has since been left by other means, still counts as a new selection.

    Args:
        cells: From `pair_table`.
        classes: Class names by number.
        title: The model's title.
        measure: What the rate is, for the tooltip ("Success rate").
        style: Boxes or colours.
        chosen: Source and target to outline.
        height: Of the chart, in pixels.
    Source: qin2020, Fig. 4.
    """
    data = inline(_drawn(cell, measure) for cell in cells)
    places = _corners(classes, "cell_")
    layers: list[alt.Chart] = [_diagonal(len(classes)).encode(**places)]
    if style == "boxes":
        boxes = alt.Chart(data).mark_rect(color=colour_of(title), aria=False)
        layers.append(boxes.encode(**_corners(classes, "box_")))
    name = "cell" if chosen is None else f"cell_{chosen[0]}_{chosen[1]}"
    click = alt.selection_point(name=name, fields=["source", "target"], toggle=False)
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
    legend = alt.Legend(orient="bottom", format=".0%", title=None, gradientLength=180, gradientThickness=8)
    return alt.Fill("value:Q", scale=alt.Scale(scheme=SEQUENTIAL, domain=[0, 1]), legend=legend)


def _corners(classes: Sequence[str], prefix: str) -> dict[str, Any]:
    """Encodings of a rectangle given by its corners, with class names on the axes."""
    count = len(classes)
    names = f"{json.dumps(list(classes))}[floor(datum.value)]"
    # Numbers fit under their cells; names are slanted.
    angle = 0 if max(len(name) for name in classes) <= 2 else -45

    def axis(title: str, angle: int) -> alt.Axis:
        return alt.Axis(
            title=title,
            values=[i + 0.5 for i in range(count)],
            labelExpr=names,
            labelAngle=angle,
            labelOverlap=False,
            labelFlush=False,
            labelLimit=90,
            ticks=False,
            domain=False,
            grid=False,
        )

    across = alt.Scale(domain=[0, count], nice=False, zero=False)
    down = alt.Scale(domain=[0, count], nice=False, zero=False, reverse=True)
    return {
        "x": alt.X(f"{prefix}x:Q", scale=across, axis=axis("true class (source)", angle)),
        "x2": alt.X2(f"{prefix}x2:Q"),
        "y": alt.Y(f"{prefix}y:Q", scale=down, axis=axis("class aimed at (target)", 0)),
        "y2": alt.Y2(f"{prefix}y2:Q"),
    }


def _diagonal(count: int) -> alt.Chart:
    """Grey cells where source and target are one class, so that nothing is attacked."""
    places = [{"cell_x": i, "cell_x2": i + 1, "cell_y": i, "cell_y2": i + 1} for i in range(count)]
    return alt.Chart(inline(places)).mark_rect(color=GREY, opacity=0.13, aria=False)
