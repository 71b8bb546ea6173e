"""Phrases and parts of charts that all figures and pages share."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import altair as alt
import pandas as pd  # pyright: ignore[reportMissingTypeStubs]

from core.figures.colours import GREY, colour_of, marker_of
from core.metrics import Rate

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
    shown = list(titles)
    scale = alt.Scale(domain=shown, range=[colour_of(title) for title in shown])
    return alt.Color("model:N", scale=scale, legend=_key(columns), title=None)


def model_shape(titles: Iterable[str], columns: int | None = None) -> alt.Shape:
    """Shape of points by the field `model`, so that colour is not the only difference."""
    shown = list(titles)
    scale = alt.Scale(domain=shown, range=[marker_of(title) for title in shown])
    return alt.Shape("model:N", scale=scale, legend=_key(columns), title=None)


def _key(columns: int | None) -> alt.Legend | None:
    if columns == 0:
        return None
    # Layers that share a scale must agree on its legend, so that all get this one.
    key = alt.Legend(orient="top", symbolSize=90, symbolOpacity=1, labelFontSize=13, offset=4)
    if columns:
        key.columns = columns
    return key
