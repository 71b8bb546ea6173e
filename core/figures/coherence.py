"""Success against the similarity of classes, and the figures of visual coherence side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import altair as alt

from core.coherence import Correlation, Dispersion, Fit, PairOutcomes
from core.coherence.similarity import Matrix
from core.figures.colours import GREY, MARK_COLOUR, colour_of, marker_of
from core.figures.style import (
    Record,
    heading,
    inline,
    interval,
    model_colour,
    model_shape,
    p_text,
    percent,
)
from core.metrics import Rate

# Title, legend and axis, which count as height where a page fits a chart into its place.
AROUND = 110


@dataclass(frozen=True)
class PairPoint:
    """A pair of classes: how far apart they are, and how often attacks from one to the other succeed."""

    source: int
    target: int
    source_name: str
    target_name: str
    distance: float
    rate: Rate

    def record(self) -> Record:
        """As a row of a table."""
        return {
            "source": self.source,
            "target": self.target,
            "source_name": self.source_name,
            "target_name": self.target_name,
            "distance": self.distance,
            **self.rate.record(),
        }


@dataclass(frozen=True)
class Estimate:
    """A figure of one model with its interval.

    Attributes:
        model: Its title.
        row: What the figure is, or is measured by.
        value, low, high: The figure and its 95 % interval; the value may be NaN where there is none.
        words: The figure in words.
    """

    model: str
    row: str
    value: float
    low: float
    high: float
    words: str

    def record(self) -> Record:
        """As a row of a table."""
        return {
            "model": self.model,
            "row": self.row,
            "value": self.value,
            "low": self.low,
            "high": self.high,
        }


def similarity_table(outcomes: PairOutcomes, distances: Matrix, classes: Sequence[str]) -> list[PairPoint]:
    """One point for every pair of classes.

    Args:
        distances: Between classes, (J, J).
        classes: Class names by number.
    """
    points: list[PairPoint] = []
    for s, t in permutations(range(len(classes)), 2):
        hits = outcomes.hits[outcomes.source == s, t]
        found = Rate(int(hits.sum()), len(hits))
        points.append(PairPoint(s, t, classes[s], classes[t], float(distances[s, t]), found))
    return points


def similarity_chart(
    points: Sequence[PairPoint],
    fit: Fit,
    found: Correlation,
    title: str,
    measure: str,
    *,
    rate_title: str = "success rate",
    chosen: tuple[int, int] | None = None,
    height: int = 320,
) -> alt.LayerChart:
    """Success of every pair against how far apart its classes are: alike classes on the right.

    The line is the best one that only rises towards alike classes, with its interval. A click gives a point
    selection with the fields `source` and `target`, named as that of `matrix_chart`.

    Args:
        points: From `similarity_table`.
        fit: From `core.coherence.monotone_fit` of the same outcomes and distances.
        found: From `core.coherence.correlation` of them.
        title: The model's title.
        measure: What the distance is, from `core.coherence.MEASURES`.
        rate_title: What the rate is.
        chosen: Source and target to mark.
        height: Of the chart, in pixels.
    """
    x = alt.X(
        "distance:Q",
        scale=alt.Scale(reverse=True, zero=False, padding=10),
        title=f"{measure} (far ← → alike)",
        axis=alt.Axis(grid=False, tickCount=6),
    )
    records = [_record(point, rate_title) for point in points]
    name = "cell" if chosen is None else f"cell_{chosen[0]}_{chosen[1]}"
    click = alt.selection_point(name=name, fields=["source", "target"], toggle=False)
    layers = [*_fit_layers(fit, x, rate_title), _dots(records, x, title, rate_title).add_params(click)]
    if chosen is not None:
        marked = [record for record in records if (record["source"], record["target"]) == chosen]
        ring = alt.Chart(inline(marked)).mark_point(size=220, color=MARK_COLOUR, strokeWidth=2.5, aria=False)
        layers.append(ring.encode(x=x, y=_rate_axis(rate_title)))
    subtitle = correlation_words(found)
    return alt.LayerChart(layer=layers, title=heading(title, subtitle=subtitle), height=height)


def _fit_layers(fit: Fit, x: alt.X, rate_title: str) -> list[alt.Chart]:
    """The fitted line on its interval."""
    places = [
        {"distance": d, "value": v, "low": low, "high": high}
        for d, v, low, high in zip(fit.distance, fit.value, fit.low, fit.high, strict=True)
    ]
    fitted = alt.Chart(inline(places))
    band = fitted.mark_area(color=GREY, opacity=0.2, aria=False)
    line = fitted.mark_line(color=GREY, strokeWidth=2, aria=False)
    return [
        band.encode(x=x, y=_rate_axis(rate_title, "low"), y2=alt.Y2("high:Q")),
        line.encode(x=x, y=_rate_axis(rate_title)),
    ]


def _dots(records: Sequence[Record], x: alt.X, title: str, rate_title: str) -> alt.Chart:
    """One point a pair, in the model's colour and shape."""
    dots = alt.Chart(inline(records)).mark_point(
        filled=True,
        size=60,
        opacity=0.75,
        color=colour_of(title),
        shape=marker_of(title),
        cursor="pointer",
    )
    return dots.encode(
        x=x,
        y=_rate_axis(rate_title),
        tooltip=[
            alt.Tooltip("pair:N", title="Source → target"),
            alt.Tooltip("rate_text:N", title=rate_title.capitalize()),
            alt.Tooltip("interval_text:N", title="95 % interval"),
            alt.Tooltip("distance_text:N", title="Distance"),
        ],
        description=alt.Description("words:N"),
    )


def correlation_words(found: Correlation) -> str:
    """A rank correlation in words: "ρ = 0.53 (0.38–0.72), p < 0.001, n = 100 images"."""
    if found.value != found.value:
        return f"ρ unknown: the pairs differ too little, n = {found.n:,} images"
    spread = f"{found.low:.2f} to {found.high:.2f}"
    return f"ρ = {found.value:.2f} ({spread}), {p_text(found.p_value)}, n = {found.n:,} images"


def correlation_estimate(model: str, measure: str, found: Correlation) -> Estimate:
    """A rank correlation for `estimate_chart`.

    Args:
        model: The model's title.
        measure: Title of the measure of similarity.
    """
    return Estimate(model, measure, found.value, found.low, found.high, correlation_words(found))


def dispersion_estimate(model: str, found: Dispersion) -> Estimate:
    """A dispersion for `estimate_chart`, as a standard deviation in units of the rate."""
    value, low, high = found.deviation
    words = f"{100 * value:.0f} points ({100 * low:.0f}–{100 * high:.0f}), n = {found.n:,} images"
    return Estimate(model, "between pairs of classes", value, low, high, words)


def estimate_chart(
    estimates: Sequence[Estimate],
    title: str,
    axis_title: str,
    domain: tuple[float, float],
    *,
    axis_format: str = ".1f",
    row_height: int = 26,
    key_columns: int | None = None,
) -> alt.LayerChart:
    """Figures with their intervals, one line a model within each row.

    Args:
        estimates: Of all models and rows, in order.
        title: What is shown.
        axis_title: What the figure is.
        domain: Ends of the axis.
        axis_format: Of its numbers.
        row_height: Of one model's line, in pixels.
        key_columns: Of the legend, where one line may not have room for all models; 0 for no legend.
    """
    titles = list(dict.fromkeys(e.model for e in estimates))
    rows = list(dict.fromkeys(e.row for e in estimates))
    scale = alt.Scale(domain=list(domain), nice=False)
    axis = alt.Axis(format=axis_format, tickCount=5)
    y = alt.Y("row:N", sort=rows, title=None, axis=alt.Axis(ticks=False, domain=False, labelLimit=280))
    offset = alt.YOffset("model:N", sort=titles)
    records = [{**e.record(), "words": f"{e.model}, {e.row}: {e.words}", "told": e.words} for e in estimates]
    known = alt.Chart(inline(r for r in records if r["value"] == r["value"]))
    bars = alt.Chart(inline(records)).mark_rule(strokeWidth=2, aria=False)
    dots = known.mark_point(filled=True, size=90, opacity=1)
    zero = alt.Chart(inline([{"low": 0.0}])).mark_rule(color=GREY, strokeDash=[4, 4], aria=False)
    layers: list[alt.Chart] = [
        zero.encode(x=alt.X("low:Q", scale=scale)),
        bars.encode(
            x=alt.X("low:Q", scale=scale, axis=axis, title=axis_title),
            x2=alt.X2("high:Q"),
            y=y,
            yOffset=offset,
            color=model_colour(titles, key_columns),
        ),
        dots.encode(
            x=alt.X("value:Q", scale=scale),
            y=y,
            yOffset=offset,
            color=model_colour(titles, key_columns),
            shape=model_shape(titles, key_columns),
            tooltip=[
                alt.Tooltip("model:N", title="Model"),
                alt.Tooltip("row:N", title="Measured by"),
                alt.Tooltip("told:N", title=axis_title),
            ],
            description=alt.Description("words:N"),
        ),
    ]
    return alt.LayerChart(
        layer=layers, title=heading(title), height=row_height * len(titles) * len(rows) + AROUND
    )


def _record(point: PairPoint, rate_title: str) -> Record:
    """A pair's record with words for people."""
    pair = f"{point.source_name} → {point.target_name}"
    rate_text = f"{percent(point.rate.value)} ({point.rate.k} of {point.rate.n})"
    return {
        **point.record(),
        "pair": pair,
        "rate_text": rate_text,
        "interval_text": interval(point.rate),
        "distance_text": f"{point.distance:.2f}",
        "words": f"{pair}: {rate_title} {rate_text} at a distance of {point.distance:.2f}",
    }


def _rate_axis(title: str, field: str = "value") -> alt.Y:
    scale, axis = alt.Scale(domain=[0, 1], nice=False, padding=6), alt.Axis(format=".0%", tickCount=5)
    return alt.Y(f"{field}:Q", scale=scale, title=title, axis=axis)
