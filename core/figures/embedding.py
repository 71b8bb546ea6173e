"""Perturbations as points in the plane: michels2019's Fig. 2."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import altair as alt

from core.figures.colours import GREY
from core.figures.style import Record, heading, inline, model_shape

PART_COLOURS = (
    "#4477AA", "#EE6677", "#228833", "#CCBB44", "#66CCEE",
    "#AA3377", "#999933", "#882255", "#44AA99", "#CC6677",
)  # fmt: skip
"""Of the ten parts of a test set; the points' shapes tell models apart."""


@dataclass(frozen=True)
class Point:
    """A perturbation in the plane.

    Attributes:
        x, y: Where it lies.
        model: The title of the model that it was made on.
        part: Which part of the test set it is from, from 0.
        number: Which of that part's perturbations it is.
        norm: Its length, in pixel units.
    """

    x: float
    y: float
    model: str
    part: int
    number: int
    norm: float

    def record(self) -> Record:
        """As a row of a table."""
        return asdict(self)


def embedding_chart(points: Sequence[Point], title: str, *, height: int = 380) -> alt.LayerChart:
    """Points coloured by part, with a shape for each model; axes mean nothing and have no numbers.

    Args:
        points: One or more.
        title: Above the chart.
        height: In pixels.
    """
    titles = list(dict.fromkeys(point.model for point in points))
    parts = sorted({point.part for point in points})
    records = [{**point.record(), "told": f"part {point.part + 1}"} for point in points]
    colours = [PART_COLOURS[part % len(PART_COLOURS)] for part in parts]
    axis = alt.Axis(labels=False, ticks=False, domain=False, grid=False)
    x, y = (
        alt.X("x:Q", axis=axis, title=None, scale=alt.Scale(zero=False, padding=12)),
        alt.Y("y:Q", axis=axis, title=None, scale=alt.Scale(zero=False, padding=12)),
    )
    legend = alt.Legend(orient="right", title="Part", symbolType="square", labelFontSize=12)
    chart = (
        alt.Chart(inline(records))
        .mark_point(filled=True, size=70, opacity=0.85, strokeWidth=0)
        .encode(
            x=x,
            y=y,
            color=alt.Color(
                "told:N",
                sort=[f"part {part + 1}" for part in parts],
                scale=alt.Scale(domain=[f"part {part + 1}" for part in parts], range=colours),
                legend=legend,
            ),
            # Of shapes alone, drawn in a grey that is seen on white and on near-black.
            shape=model_shape(titles).legend(symbolFillColor=GREY, symbolStrokeColor=GREY),
            tooltip=[
                alt.Tooltip("model:N", title="Model"),
                alt.Tooltip("told:N", title="Part"),
                alt.Tooltip("number:Q", title="Number"),
                alt.Tooltip("norm:Q", title="Length (l2)", format=".2f"),
            ],
        )
    )
    return alt.LayerChart(layer=[chart], title=heading(title), height=height).configure_view(stroke=GREY)
