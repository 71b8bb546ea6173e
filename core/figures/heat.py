"""The matrix of rates for every pair of many classes: a map of colours that can be enlarged."""

import json
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import altair as alt

from core.figures.colours import GREY, MARK_COLOUR, SEQUENTIAL
from core.figures.pairs import Cell, confusion_order
from core.figures.style import Record, heading, inline

ORDER = "Classes that are taken for each other are neighbours"
"""How the classes are ordered, as the chart says it."""
LISTED = ("target", "k", "n")


def heat_map(
    cells: Sequence[Cell],
    classes: Sequence[str],
    title: str,
    measure: str,
    click: alt.Parameter,
    *,
    order: Sequence[int] | None = None,
    chosen: tuple[int, int] | None = None,
    height: int = 380,
) -> alt.LayerChart:
    """The matrix of one model: x is the source class, y the target class, in one order.

    A cell is a colour alone, with its pair and rate in a tooltip. The wheel enlarges the map, dragging moves
    it, two clicks show all of it again; axes name as many classes as there is room for.

    Args:
        cells: From `pairs.pair_table`.
        classes: Class names by number.
        title: The model's title.
        measure: What the rate is, for the tooltip ("Success rate").
        click: The point selection that a click on a cell makes, by the fields `source` and `target`.
        order: Of the classes; None for the `confusion_order` of the cells. Models beside each other are
            comparable in one order only.
        chosen: Source and target to outline.
        height: Of the chart, in pixels.
    """
    order = confusion_order(cells, len(classes)) if order is None else order
    names = [classes[number] for number in order]
    view = alt.selection_interval(name="view", bind="scales")
    itself = [{"source": number, "target": number} for number in order]
    layers = [_placed(itself, order, names).mark_rect(color=GREY, opacity=0.13, aria=False, clip=True)]
    by_number = json.dumps(list(classes))
    coloured = (
        _placed(_by_source(cells), order, names, listed=True)
        .transform_calculate(
            value="datum.k / datum.n",
            pair=f"{by_number}[datum.source] + ' → ' + {by_number}[datum.target]",
            rate_text="format(100 * datum.k / datum.n, '.0f') + ' % (' + datum.k + ' of ' + datum.n + ')'",
        )
        .mark_rect(cursor="pointer", aria=False, clip=True)
        .encode(
            fill=rate_fill(),
            tooltip=[
                alt.Tooltip("pair:N", title="Source → target"),
                alt.Tooltip("rate_text:N", title=measure),
            ],
        )
    )
    layers.append(coloured.add_params(click, view))
    if chosen is not None:
        frame = [{"source": chosen[0], "target": chosen[1]}]
        layers.append(
            _placed(frame, order, names).mark_rect(
                fill=None, stroke=MARK_COLOUR, strokeWidth=2.5, aria=False, clip=True
            )
        )
    return alt.LayerChart(layer=layers, title=heading(title, "middle", subtitle=ORDER), height=height)


def class_axis(title: str, classes: Sequence[str], angle: int, **more: Any) -> alt.Axis:
    """An axis on which every class has one unit, with its name in the middle of it.

    Args:
        title: Of the axis.
        classes: Names in order.
        angle: Of the names.
        more: Further settings of the axis.
    """
    return alt.Axis(
        title=title,
        values=[i + 0.5 for i in range(len(classes))],
        labelExpr=f"{json.dumps(list(classes))}[floor(datum.value)]",
        labelAngle=angle,
        labelLimit=90,
        ticks=False,
        domain=False,
        grid=False,
        **more,
    )


def class_scale(count: int, *, down: bool = False) -> alt.Scale:
    """The scale of such an axis for that many classes: from left to right, or down."""
    scale = alt.Scale(domain=[0, count], nice=False, zero=False)
    if down:
        scale.reverse = True
    return scale


def rate_fill() -> alt.Fill:
    """The colour of the field `value` on a scale from 0 to 100 %."""
    legend = alt.Legend(orient="bottom", format=".0%", title=None, gradientLength=180, gradientThickness=8)
    return alt.Fill("value:Q", scale=alt.Scale(scheme=SEQUENTIAL, domain=[0, 1]), legend=legend)


def _by_source(cells: Sequence[Cell]) -> list[Record]:
    """One row for each source, with the targets, hits and trials of its cells as lists of numbers in a text.

    Thus the map of 100 classes has 100 rows of data: Altair takes no more than 5,000, and each of 9,900 with
    names for its columns would make a page heavy. Streamlit's tables hold texts, but no lists.
    """
    rows: list[Record] = []
    for source, of_source in groupby(sorted(cells, key=lambda cell: cell.source), lambda cell: cell.source):
        numbers = [(cell.target, cell.rate.k, cell.rate.n) for cell in of_source]
        lists = (" ".join(map(str, column)) for column in zip(*numbers, strict=True))
        rows.append({"source": source, **dict(zip(LISTED, lists, strict=True))})
    return rows


def _placed(
    records: Sequence[Record], order: Sequence[int], names: Sequence[str], *, listed: bool = False
) -> alt.Chart:
    """Squares of one unit at the places of their source and target in the order.

    Args:
        records: With `source` and `target`; or, `listed`, from `_by_source`.
    """
    count = len(order)
    places = json.dumps([order.index(number) for number in range(count)])
    across = class_axis("true class (source)", names, -90, labelOverlap=True)
    down = class_axis("class aimed at (target)", names, 0, labelOverlap=True)
    chart = alt.Chart(inline(records))
    if listed:
        chart = (
            chart.transform_calculate(**{name: f"split(datum.{name}, ' ')" for name in LISTED})
            .transform_flatten(list(LISTED))
            .transform_calculate(**{name: f"toNumber(datum.{name})" for name in LISTED})
        )
    return (
        chart.transform_calculate(x=f"{places}[datum.source]", y=f"{places}[datum.target]")
        .transform_calculate(x2="datum.x + 1", y2="datum.y + 1")
        .encode(
            x=alt.X("x:Q", scale=class_scale(count), axis=across),
            x2=alt.X2("x2:Q"),
            y=alt.Y("y:Q", scale=class_scale(count, down=True), axis=down),
            y2=alt.Y2("y2:Q"),
        )
    )
