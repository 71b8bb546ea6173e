"""Histograms of reconstruction distances with the detector's threshold (qin2020, Fig. 1)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import altair as alt
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.figures.colours import CLEAN_COLOUR, GREY, MARK_COLOUR, OUTCOME_COLOURS
from core.figures.style import Record, heading, inline, percent

OWN, OTHER = "its own class", "another class"
CLASS_COLOURS = {OWN: CLEAN_COLOUR, OTHER: OUTCOME_COLOURS["undetected"]}
"""Of the groups of Fig. 1a."""


@dataclass(frozen=True)
class Bar:
    """One bin of one group.

    Attributes:
        group: What the images are.
        left, right: The bin; the last one includes its right edge.
        count: Images in the bin.
        share: count over the number that the group is a part of.
    """

    group: str
    left: float
    right: float
    count: int
    share: float

    def record(self) -> Record:
        """As a row of a table."""
        return {
            "group": self.group,
            "left": self.left,
            "right": self.right,
            "count": self.count,
            "share": self.share,
        }


def common_edges(distances: Iterable[Tensor], bins: int = 48) -> NDArray[np.float64]:
    """Edges of equal bins from 0 to the largest of all distances, (bins + 1,).

    Raises: ValueError: when there are no distances.
    """
    highest = max((float(part.max()) for part in distances if part.numel()), default=0.0)
    if highest <= 0:
        raise ValueError("expected distances, got none above 0")
    return np.linspace(0.0, highest, bins + 1)


def histogram(
    groups: Mapping[str, Tensor], edges: NDArray[np.float64], totals: Mapping[str, int] | None = None
) -> list[Bar]:
    """Count distances in bins.

    Args:
        groups: Distances (N,) of each group, by its name.
        edges: Of the bins, (K + 1,).
        totals: What the shares of a group are taken of, where that is not its own size: attacks that worked,
            say, as a share of all attacks.
    Returns: K bars for each group, in order.
    """
    bars: list[Bar] = []
    for group, distance in groups.items():
        # Rounding may leave the largest distance just beyond the last edge.
        values = distance.double().numpy().clip(edges[0], edges[-1])
        counts, _ = np.histogram(values, edges)
        total = max((totals or {}).get(group, len(values)), 1)
        bars += [
            Bar(group, float(left), float(right), int(count), int(count) / total)
            for left, right, count in zip(edges[:-1], edges[1:], counts, strict=True)
        ]
    return bars


def by_class(distances: Tensor, label: Tensor) -> dict[str, Tensor]:
    """Distances of clean images to their reconstructions from their own class and from the others, as groups.

    Args:
        distances: To the reconstruction from each class, (N, J).
        label: True classes, (N,).
    Returns: Groups for `histogram`, named `OWN` with N distances and `OTHER` with N * (J - 1).
    Source: qin2020, Fig. 1a.
    """
    own = torch.zeros_like(distances, dtype=torch.bool).scatter_(1, label[:, None], value=True)
    return {OWN: distances[own], OTHER: distances[~own]}


def distance_chart(
    bars: Sequence[Bar],
    colours: Mapping[str, str],
    *,
    title: str,
    threshold: float | None = None,
    highest_share: float | None = None,
    outlined: Sequence[str] = (),
    key_at: Literal["top-left", "top-right"] = "top-right",
    axis_title: bool = True,
    height: int = 220,
) -> alt.LayerChart:
    """Histograms of one model's distances, one over the other.

    Args:
        bars: From `histogram`.
        colours: Of the groups, by name, in the order of the legend.
        title: Above the chart.
        threshold: theta, drawn as a line; None for none.
        highest_share: Where the y axis ends, so that charts can be compared; None for the highest bar.
        outlined: Groups drawn as a line, with hardly any fill.
        key_at: The corner where the groups are explained.
        axis_title: Whether the x axis says what it is; the lowest of several charts may say it for all.
        height: Of the chart, in pixels.
    Source: qin2020, Fig. 1.
    """
    top = highest_share or max((bar.share for bar in bars), default=1.0) or 1.0
    end = max(bar.right for bar in bars)
    x = alt.X(
        "left:Q",
        scale=alt.Scale(domain=[0, end], nice=False),
        title="ℓ₂ distance to the reconstruction" if axis_title else None,
        axis=alt.Axis(grid=False, tickCount=8),
    )
    y = alt.Y(
        "share:Q",
        scale=alt.Scale(domain=[0, top], nice=False),
        title="share of images",
        axis=alt.Axis(format=".0%", tickCount=3),
        stack=None,
    )
    scale = alt.Scale(domain=list(colours), range=list(colours.values()))
    key = alt.Legend(
        orient=key_at, symbolType="square", symbolSize=90, labelFontSize=12, rowPadding=1, offset=2
    )
    colour = alt.Color("group:N", scale=scale, legend=key, title=None)
    layers: list[alt.Chart] = []
    for depth, groups in ((0.4, [g for g in colours if g not in outlined]), (0.06, outlined)):
        shown = [bar for bar in bars if bar.group in groups]
        area = alt.Chart(inline(_steps(shown))).mark_area(
            interpolate="step-after", line={"strokeWidth": 1.5}, fillOpacity=depth, aria=False
        )
        layers.append(area.encode(x=x, y=y, color=colour))
    if threshold is not None:
        layers += _threshold(threshold, end, top)
    layers.append(_hover(bars, list(colours), x, y, top))
    return alt.LayerChart(layer=layers, title=heading(title), height=height)


def _hover(bars: Sequence[Bar], groups: Sequence[str], x: alt.X, y: alt.Y, top: float) -> alt.Chart:
    """An invisible box over each bin, that tells the share of every group."""
    tooltip = [alt.Tooltip("bin:N", title="Distance")]
    tooltip += [alt.Tooltip(f"{_field(number)}:N", title=group) for number, group in enumerate(groups)]
    boxes = alt.Chart(inline(_bin_records(bars, top))).mark_rect(opacity=0)
    return boxes.encode(
        x=x,
        x2=alt.X2("right:Q"),
        y=y,
        y2=alt.Y2("bottom:Q"),
        tooltip=tooltip,
        description=alt.Description("words:N"),
    )


def _steps(bars: Sequence[Bar]) -> list[Record]:
    """The bars, and for each group a last point at the right edge where its line comes down."""
    ends = {bar.group: {"group": bar.group, "left": bar.right, "share": 0.0} for bar in bars}
    return [bar.record() for bar in bars] + list(ends.values())


def _threshold(threshold: float, end: float, top: float) -> list[alt.Chart]:
    """A line at theta, its value, and a shade over what is flagged; off the axis, drawn at its end."""
    place = min(max(threshold, 0.0), end)
    data = inline([{"left": place, "right": end, "share": top, "bottom": 0, "text": f"θ = {threshold:.2f}"}])
    # Where little room is left on the right, the words go to the left.
    late = place > 0.8 * end
    x, top_edge = alt.X("left:Q"), alt.Y("share:Q")
    shade = alt.Chart(data).mark_rect(color=GREY, opacity=0.1, aria=False)
    line = alt.Chart(data).mark_rule(color=MARK_COLOUR, strokeWidth=2, aria=False)
    words = alt.Chart(data).mark_text(
        align="right" if late else "left",
        baseline="top",
        dx=-5 if late else 5,
        dy=3,
        color=MARK_COLOUR,
        fontWeight="bold",
        fontSize=12,
        aria=False,
    )
    return [
        shade.encode(x=x, x2=alt.X2("right:Q"), y=top_edge, y2=alt.Y2("bottom:Q")),
        line.encode(x=x),
        words.encode(x=x, y=top_edge, text=alt.Text("text:N")),
    ]


def _field(number: int) -> str:
    return f"group_{number}"


def _bin_records(bars: Sequence[Bar], top: float) -> list[Record]:
    """One row a bin, which says the share of every group."""
    bins: dict[tuple[float, float], dict[str, Bar]] = {}
    for bar in bars:
        bins.setdefault((bar.left, bar.right), {})[bar.group] = bar
    groups = list(dict.fromkeys(bar.group for bar in bars))
    records: list[Record] = []
    for (left, right), of_group in bins.items():
        shares = [f"{percent(of_group[group].share, 1)} ({of_group[group].count})" for group in groups]
        name = f"{left:.2f}–{right:.2f}"
        listed = ", ".join(f"{group} {share}" for group, share in zip(groups, shares, strict=True))
        place = {
            "left": left,
            "right": right,
            "share": top,
            "bottom": 0,
            "bin": name,
            "words": f"{name}: {listed}",
        }
        records.append({**place, **{_field(number): share for number, share in enumerate(shares)}})
    return records
