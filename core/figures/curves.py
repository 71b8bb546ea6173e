"""Undetected rate against false-positive rate (qin2020, Figs. 2 and 3), and rates against beta (Fig. 9)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from core.figures.colours import MARK_COLOUR
from core.figures.style import Record, heading, inline, interval, model_colour, model_shape, percent
from core.metrics import Rate, rate, undetected_curve


@dataclass(frozen=True)
class FprPoint:
    """The undetected rate of one model, or of one kind of access to it, at one false-positive rate."""

    model: str
    fpr: float
    threshold: float
    rate: Rate

    def record(self) -> Record:
        """As a row of a table."""
        return {"model": self.model, "fpr": self.fpr, "threshold": self.threshold, **self.rate.record()}


@dataclass(frozen=True)
class BetaPoint:
    """A rate of one model at one beta; `metric` says which."""

    model: str
    metric: str
    beta: float
    rate: Rate

    def record(self) -> Record:
        """As a row of a table."""
        return {"model": self.model, "metric": self.metric, "beta": self.beta, **self.rate.record()}


def fpr_table(
    model: str, clean: Tensor, distance: Tensor, success: Tensor, fprs: Sequence[float] | NDArray[np.float64]
) -> list[FprPoint]:
    """The undetected rate of one model at many false-positive rates.

    Args:
        model: Its title; or "white box" or "black box", where those are compared on one model.
        clean: Clean validation distances (Nv,).
        distance, success: Of the attacked images, (N,).
        fprs: Where.
    """
    curve = undetected_curve(clean, distance, success, [float(fpr) for fpr in fprs])
    return [FprPoint(model, fpr, threshold, r) for fpr, threshold, r in curve]


def beta_table(model: str, metric: str, beta: Tensor, hits: Tensor) -> list[BetaPoint]:
    """A rate of one model at every beta.

    Args:
        model: Its title.
        metric: What is counted.
        beta: (K,).
        hits: Which attacks count, (K, N) bool.
    """
    return [BetaPoint(model, metric, float(b), rate(row)) for b, row in zip(beta, hits, strict=True)]


def fpr_chart(
    points: Sequence[FprPoint], fpr: float, *, upto: float | None = None, height: int = 300
) -> alt.LayerChart:
    """One line a model with its interval; a rule and larger points at the chosen false-positive rate.

    Args:
        points: From `fpr_table`, of all models.
        fpr: The chosen rate.
        upto: Where the x axis ends; None for the largest rate.
        height: Of the chart, in pixels.
    Source: qin2020, Figs. 2 and 3.
    """
    end = upto if upto is not None else max((point.fpr for point in points), default=1.0)
    shown = [point for point in points if point.fpr <= end + 1e-9]
    digits = ".0%" if end >= 0.05 else ".1%"
    x = alt.X(
        "fpr:Q",
        scale=alt.Scale(domain=[0, end], nice=False),
        title="false-positive rate on clean images",
        axis=alt.Axis(format=digits, grid=False, tickCount=6),
    )
    tooltip = [
        alt.Tooltip("model:N", title="Model"),
        alt.Tooltip("fpr:Q", title="False-positive rate", format=".1%"),
        alt.Tooltip("theta:N", title="Threshold θ"),
        *_tooltip("Undetected rate"),
    ]
    titles = list(dict.fromkeys(point.model for point in points))
    records = [_told(point, f"false-positive rate {percent(point.fpr, 1)}") for point in shown]
    for record, point in zip(records, shown, strict=True):
        record["theta"] = f"{point.threshold:.2f}"
    chosen = [r for r, point in zip(records, shown, strict=True) if abs(point.fpr - fpr) < 1e-9]
    rule = alt.Chart(inline([{"fpr": fpr}] if fpr <= end else []))
    large = alt.Chart(inline(chosen)).mark_point(
        filled=True, size=130, opacity=1, stroke="white", strokeWidth=1.5
    )
    layers = [
        rule.mark_rule(color=MARK_COLOUR, strokeWidth=2, aria=False).encode(x=x),
        *_lines(records, titles, x, "undetected rate", tooltip, point_opacity=0),
        large.encode(
            x=x,
            y=_rate_axis("undetected rate"),
            color=model_colour(titles),
            shape=model_shape(titles),
            tooltip=tooltip,
            description=alt.Description("words:N"),
        ),
    ]
    return alt.LayerChart(layer=layers, height=height)


def beta_chart(points: Sequence[BetaPoint], title: str, *, height: int = 260) -> alt.LayerChart:
    """A rate against beta, one line a model with its interval.

    Args:
        points: From `beta_table`, of one metric and all models.
        title: What the rate is.
        height: Of the chart, in pixels.
    Source: qin2020, Fig. 9.
    """
    x = alt.X(
        "beta:Q",
        scale=alt.Scale(domain=[0, 1], nice=False, padding=6),
        title="β: 0 minds the detector only, 1 the class only",
        axis=alt.Axis(grid=False, tickCount=10),
    )
    tooltip = [alt.Tooltip("model:N", title="Model"), alt.Tooltip("beta:Q", title="β"), *_tooltip(title)]
    titles = list(dict.fromkeys(point.model for point in points))
    records = [_told(point, f"beta {point.beta:.3g}") for point in points]
    layers = _lines(records, titles, x, title.lower(), tooltip, point_opacity=1)
    return alt.LayerChart(layer=layers, title=heading(title), height=height)


def _told(point: FprPoint | BetaPoint, place: str) -> Record:
    """A point's record with words for people."""
    text = f"{percent(point.rate.value, 1)} ({point.rate.k} of {point.rate.n})"
    words = f"{point.model}, {place}: {text}"
    return {**point.record(), "rate_text": text, "interval_text": interval(point.rate, 1), "words": words}


def _tooltip(title: str) -> list[alt.Tooltip]:
    return [alt.Tooltip("rate_text:N", title=title), alt.Tooltip("interval_text:N", title="95 % interval")]


def _rate_axis(title: str, field: str = "value") -> alt.Y:
    scale, axis = alt.Scale(domain=[0, 1], nice=False), alt.Axis(format=".0%", tickCount=5)
    return alt.Y(f"{field}:Q", scale=scale, title=title, axis=axis)


def _lines(
    records: Sequence[Record],
    titles: Sequence[str],
    x: alt.X,
    y_title: str,
    tooltip: Sequence[alt.Tooltip],
    *,
    point_opacity: float,
) -> list[alt.Chart]:
    """Bands of the intervals, lines, and points that say their numbers when hovered."""
    data = inline(records)
    band = alt.Chart(data).mark_area(opacity=0.14, aria=False)
    line = alt.Chart(data).mark_line(strokeWidth=2, aria=False)
    point = alt.Chart(data).mark_point(filled=True, size=70, opacity=point_opacity)
    told: dict[str, Any] = {
        "tooltip": list(tooltip),
        "description": alt.Description("words:N"),
        "shape": model_shape(titles),
    }
    colour = model_colour(titles)
    return [
        band.encode(x=x, y=_rate_axis(y_title, "low"), y2=alt.Y2("high:Q"), color=colour),
        line.encode(x=x, y=_rate_axis(y_title), color=colour),
        point.encode(
            x=x,
            y=_rate_axis(y_title),
            color=colour,
            **told,
        ),
    ]
