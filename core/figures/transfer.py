"""Who is fooled by what was made on whom: fooling rates of every pair of models as a matrix."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from core.figures.colours import GREY, MARK_COLOUR, SEQUENTIAL
from core.figures.style import Record, heading, inline, interval, percent
from core.metrics import Rate

WORDS = "split(datum.label, ' ')"
"""Labels with one word a line: titles are wider than cells."""


@dataclass(frozen=True)
class Transfer:
    """How often one model is fooled by what was made on another, or on itself.

    Attributes:
        source, model: Names of the model that it was made on, and of the one that reads it.
        source_title, model_title: Their titles.
        rate: The fooling rate.
    """

    source: str
    model: str
    source_title: str
    model_title: str
    rate: Rate

    def record(self) -> Record:
        """As a row of a table."""
        return {"source": self.source_title, "model": self.model_title, **self.rate.record()}


def transfer_chart(
    cells: Sequence[Transfer],
    title: str,
    *,
    subtitle: str = "",
    chosen: tuple[str, str] | None = None,
    row_height: int = 58,
) -> alt.LayerChart:
    """The matrix: rows are the models that perturbations were made on, columns those that read them.

    A click gives a point selection with the fields `source` and `model`. Its name depends on `chosen`, so
    that a cell that was left by other means can be clicked again.

    Args:
        cells: Of every pair, in the order of rows and columns.
        title, subtitle: Above the chart.
        chosen: Source and model to outline.
        row_height: In pixels.
    """
    rows = list(dict.fromkeys(cell.source_title for cell in cells))
    columns = list(dict.fromkeys(cell.model_title for cell in cells))
    data = inline(_record(cell) for cell in cells)
    place = _place(rows, columns)
    name = "pair" if chosen is None else f"pair_{'_'.join(chosen)}"
    click = alt.selection_point(name=name, fields=["source", "model"], toggle=False)
    layers = [_boxes(data, place).add_params(click)]
    for field, size, dy in (("value_text", 15, -7), ("interval_text", 11, 10)):
        words = alt.Chart(data).mark_text(fontSize=size, dy=dy, aria=False)
        # cividis is dark up to about its middle.
        ink = alt.when(alt.datum.value > 0.5).then(alt.value("#10151E")).otherwise(alt.value("#FFFFFF"))
        layers.append(words.encode(text=alt.Text(f"{field}:N"), color=ink, **place))
    if chosen is not None:
        framed = inline(_record(cell) for cell in cells if (cell.source, cell.model) == chosen)
        if len(framed):
            frame = alt.Chart(framed).mark_rect(fill=None, stroke=MARK_COLOUR, strokeWidth=3, aria=False)
            layers.append(frame.encode(**place))
    return alt.LayerChart(
        layer=layers, title=heading(title, subtitle=subtitle), height=row_height * len(rows)
    ).configure_view(stroke=None)


def _place(rows: Sequence[str], columns: Sequence[str]) -> dict[str, Any]:
    """Encodings of a cell's place, with titles on the axes."""
    across = alt.Axis(
        orient="top",
        labelAngle=0,
        labelExpr=WORDS,
        labelOverlap=False,
        labelFlush=False,
        ticks=False,
        domain=False,
    )
    down = alt.Axis(ticks=False, domain=False, labelExpr=WORDS, labelBaseline="middle", labelFlush=False)
    return {
        "x": alt.X("model_title:N", sort=list(columns), title="read by", axis=across),
        "y": alt.Y("source_title:N", sort=list(rows), title="made on", axis=down),
    }


def _boxes(data: Any, place: dict[str, Any]) -> alt.Chart:
    """One box a cell, in the rate's colour."""
    boxes = alt.Chart(data).mark_rect(stroke=GREY, strokeOpacity=0.35, strokeWidth=0.5, cursor="pointer")
    legend = alt.Legend(orient="bottom", format=".0%", title=None, gradientLength=180, gradientThickness=8)
    return boxes.encode(
        color=alt.Color("value:Q", scale=alt.Scale(scheme=SEQUENTIAL, domain=[0, 1]), legend=legend),
        tooltip=[
            alt.Tooltip("source_title:N", title="Made on"),
            alt.Tooltip("model_title:N", title="Read by"),
            alt.Tooltip("rate_text:N", title="Fooling rate"),
            alt.Tooltip("interval_text:N", title="95 % interval"),
        ],
        description=alt.Description("words:N"),
        **place,
    )


def _record(cell: Transfer) -> Record:
    """A cell's record with words for people."""
    rate = cell.rate
    rate_text = f"{percent(rate.value)} ({rate.k} of {rate.n:,})"
    return {
        "source": cell.source,
        "model": cell.model,
        "source_title": cell.source_title,
        "model_title": cell.model_title,
        "value": rate.value,
        "value_text": percent(rate.value),
        "rate_text": rate_text,
        "interval_text": interval(rate),
        "words": f"Made on {cell.source_title}, read by {cell.model_title}: {rate_text} fooled",
    }
