"""Colours and phrases that all figures and pages share: a model looks the same wherever it is drawn.

The colours, most of them Okabe and Ito's, are told apart under the common colour-vision deficiencies and
stand out on white as on near-black. None is the only carrier of a meaning: the points of lines differ in
shape, outcomes are written out.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import altair as alt
import pandas as pd  # pyright: ignore[reportMissingTypeStubs]

from core.metrics import Rate

MODEL_COLOURS = {
    "CapsNet": "#7B61C9",
    "CNN+CR": "#E69F00",
    "CNN+R": "#009E73",
    "ConvNet": "#56B4E9",
    "Small ResNet": "#A6761D",
    "Deeper CapsNet": "#9A7DE0",
    "CapsNet All": "#8C9A1F",
    "DeepCaps": "#2E7D4F",
    "Michels ConvNet": "#1B87B8",
    "Michels CapsNet": "#B3409E",
}
"""By title, in the order in which models are listed."""

MODEL_SHAPES = {
    "CapsNet": "circle",
    "CNN+CR": "square",
    "CNN+R": "triangle-up",
    "ConvNet": "diamond",
    "Small ResNet": "triangle-down",
    "Deeper CapsNet": "cross",
    "CapsNet All": "triangle-right",
    "DeepCaps": "triangle-left",
    "Michels ConvNet": "diamond",
    "Michels CapsNet": "triangle-down",
}

ACCESS_COLOURS = {"white box": "#AA4499", "black box": "#6B7280"}
"""Where lines stand for what an attacker knows instead of for models (qin2020, Fig. 3)."""

ACCESS_SHAPES = {"white box": "circle", "black box": "square"}

OUTCOME_COLOURS = {
    "undetected": "#D55E00",
    "flagged": "#0072B2",
    "wrong class": "#CC79A7",
    "failed": "#8A8F98",
}
"""What came of an attack: it worked and was missed, it worked and was flagged, it led to a class that was not
aimed at, it led nowhere."""

CLEAN_COLOUR = "#44AA99"
MARK_COLOUR = "#D81B60"
"""Of what is chosen: the cell of a matrix, the threshold."""
GREY = "#8A8F98"
"""For lines and shades that are seen on white and on near-black."""

SEQUENTIAL = "cividis"
SEQUENTIAL_COLOURS = (
    "#00224E", "#123570", "#3B496C", "#575D6D", "#707173",
    "#8A8678", "#A59C74", "#C3B369", "#E1CC55", "#FEE838",
)  # fmt: skip
"""That scale from low to high, for what Vega does not draw."""

Record = dict[str, Any]
"""One row of a figure's data, as Vega-Lite and CSV files take it."""


def percent(value: float, digits: int = 0) -> str:
    """A share as people read it: 0.1234 is "12 %"."""
    return f"{100 * value:.{digits}f} %"


def interval(rate: Rate, digits: int = 0) -> str:
    """The interval of a rate: "9–16 %"."""
    return f"{100 * rate.low:.{digits}f}–{100 * rate.high:.{digits}f} %"


def in_words(rate: Rate, digits: int = 0) -> str:
    """Everything a reader needs of a rate: "12 % (9–16 %, n = 300)"."""
    return f"{percent(rate.value, digits)} ({interval(rate, digits)}, n = {rate.n:,})"


def numbers(rate: Rate) -> Record:
    """A rate as columns of a table: k, n, value, low, high."""
    return {"k": rate.k, "n": rate.n, "value": rate.value, "low": rate.low, "high": rate.high}


def inline(records: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Records as the data of a chart. Altair copies lists of them many times over, but never a data frame."""
    return pd.DataFrame([dict(record) for record in records])


def p_text(p_value: float) -> str:
    """A p-value as people read it: "p = 0.012", "p < 0.001"."""
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.2g}"


def heading(
    title: str, anchor: Literal["start", "middle", "end"] = "start", *, subtitle: str = ""
) -> alt.TitleParams:
    """The title above a chart, with a line below it where there is one."""
    if not subtitle:
        return alt.TitleParams(title, anchor=anchor, fontSize=15, offset=8)
    return alt.TitleParams(
        title,
        anchor=anchor,
        fontSize=15,
        offset=8,
        subtitle=subtitle,
        subtitleFontSize=12,
        subtitleColor=GREY,
    )


def model_colour(titles: Iterable[str], columns: int | None = None) -> alt.Color:
    """Colour by the field `model`, the same for a model in every figure; explained above the chart.

    Args:
        titles: Of the models shown, in order; or what else lines stand for, of `ACCESS_COLOURS`.
        columns: Of the legend, where one line may not have room for all; 0 for no legend.
    """
    shown, known = list(titles), MODEL_COLOURS | ACCESS_COLOURS
    scale = alt.Scale(domain=shown, range=[known.get(title, GREY) for title in shown])
    return alt.Color("model:N", scale=scale, legend=_key(columns), title=None)


def model_shape(titles: Iterable[str], columns: int | None = None) -> alt.Shape:
    """Shape of points by the field `model`, so that colour is not the only difference."""
    shown, known = list(titles), MODEL_SHAPES | ACCESS_SHAPES
    scale = alt.Scale(domain=shown, range=[known.get(title, "cross") for title in shown])
    return alt.Shape("model:N", scale=scale, legend=_key(columns), title=None)


def _key(columns: int | None) -> alt.Legend | None:
    if columns == 0:
        return None
    # Layers that share a scale must agree on its legend, so that all get this one.
    key = alt.Legend(orient="top", symbolSize=90, symbolOpacity=1, labelFontSize=13, offset=4)
    if columns:
        key.columns = columns
    return key
