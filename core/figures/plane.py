"""An embedding as a chart, to be saved; the page itself draws it with `app/ui/linked.py`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import altair as alt

from core.figures.colours import GREY, SEQUENTIAL
from core.figures.embedding import PART_COLOURS
from core.figures.style import Record, heading, inline, model_colour, model_shape

By = Literal["model", "part", "norm", "fooling"]
KEY_COLUMNS = 3
"""Of the legend of models."""
FADED = 0.05
"""Opacity of points beside those that are picked out."""


@dataclass(frozen=True)
class Dot:
    """A perturbation in the plane, with all that is told of it.

    Attributes:
        id: What a click and a lasso name it by.
        x, y: Where it lies.
        model: Title of the model that it was made on.
        part, number: Which part of the test set it is from, and which of that part's it is; from 0.
        norm: Its length (l2), in pixel units.
        fooling: Fooling rate on the model that is asked about; None where that read nothing rightly before.
        fooling_text: That rate with its interval and n.
        image: Its thumbnail, as an address that carries it.
        gain: Factor by which the thumbnail is magnified.
        picked: Whether it is among those picked out.
    """

    id: int
    x: float
    y: float
    model: str
    part: int
    number: int
    norm: float
    fooling: float | None
    fooling_text: str
    image: str
    gain: float
    picked: bool = True

    def record(self) -> Record:
        """As a row of a table, without the thumbnail."""
        return {
            "model": self.model,
            "part": self.part + 1,
            "number": self.number + 1,
            "x": self.x,
            "y": self.y,
            "norm_l2": self.norm,
            "fooling_rate": self.fooling,
            "picked": self.picked,
        }


def plane_chart(
    dots: Sequence[Dot],
    title: str,
    *,
    by: By = "model",
    fooling_title: str = "fooling rate",
    subtitle: str = "",
    side: int = 440,
) -> alt.Chart:
    """Points of the plane; axes mean nothing and have no numbers. Shapes tell models apart.

    Args:
        dots: One or more.
        title: Above the chart.
        by: What colours tell: the model, the part of the test set, length, or the fooling rate.
        fooling_title: Whose rate that is.
        subtitle: A line below the title.
        side: In pixels.
    """
    titles = list(dict.fromkeys(dot.model for dot in dots))
    data = inline(_told(dot) for dot in dots)
    axis = alt.Axis(labels=False, ticks=False, domain=False, grid=False)
    scale = alt.Scale(zero=False, nice=False, padding=14)
    x, y = alt.X("x:Q", axis=axis, title=None, scale=scale), alt.Y("y:Q", axis=axis, title=None, scale=scale)
    return (
        alt.Chart(data, title=heading(title, subtitle=subtitle), width=side, height=side)
        .mark_point(filled=True, size=75, stroke=GREY, strokeWidth=0.6)
        .encode(
            x=x,
            y=y,
            color=_colour(by, dots, titles, fooling_title),
            shape=_shape(by, titles),
            opacity=alt.Opacity("strength:Q", scale=None, legend=None),
            description=alt.Description("words:N"),
        )
        .configure_view(stroke=GREY, strokeOpacity=0.4, cornerRadius=4)
    )


def _colour(by: By, dots: Sequence[Dot], titles: Sequence[str], fooling_title: str) -> alt.Color:
    if by == "model":
        return model_colour(titles, KEY_COLUMNS)
    if by == "part":
        parts = sorted({dot.part for dot in dots})
        scale = alt.Scale(
            domain=[_part(part) for part in parts],
            range=[PART_COLOURS[part % len(PART_COLOURS)] for part in parts],
        )
        legend = alt.Legend(orient="bottom", title=None, symbolType="square", columns=5, labelFontSize=12)
        return alt.Color("part_text:N", scale=scale, legend=legend, sort=None)
    legend_options: dict[str, Any] = {
        "orient": "bottom",
        "gradientLength": 220,
        "gradientThickness": 9,
        "titleLimit": 320,
    }
    if by == "norm":
        return alt.Color(
            "norm:Q",
            scale=alt.Scale(scheme=SEQUENTIAL, zero=False),
            legend=alt.Legend(title="length (l2)", titleFontWeight="normal", **legend_options),
        )
    return alt.Color(
        "fooling:Q",
        scale=alt.Scale(scheme=SEQUENTIAL, zero=False),
        legend=alt.Legend(title=fooling_title, titleFontWeight="normal", format=".0%", **legend_options),
    )


def _shape(by: By, titles: Sequence[str]) -> alt.Shape:
    """Shapes of models; their legend is grey where colours tell something else."""
    shape = model_shape(titles, KEY_COLUMNS)
    if by != "model":
        shape["legend"]["symbolFillColor"] = GREY
    return shape


def _part(part: int) -> str:
    return f"part {part + 1}"


def _told(dot: Dot) -> Record:
    """A point's record with words for people."""
    return {
        "x": dot.x,
        "y": dot.y,
        "model": dot.model,
        "part_text": _part(dot.part),
        "norm": dot.norm,
        "fooling": dot.fooling,
        "strength": 0.85 if dot.picked else FADED,
        "words": f"{dot.model}, {_part(dot.part)}, number {dot.number + 1}, length {dot.norm:.2f}",
    }
