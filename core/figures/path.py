"""The path of an attack: how far the image is from its reconstruction, iteration by iteration."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import altair as alt

from core.figures.colours import GREY, OUTCOME_COLOURS
from core.figures.style import Record, inline


@dataclass(frozen=True)
class PathPoint:
    """One image at one iteration.

    Attributes:
        step: Iterations done.
        target: Class aimed at, in words.
        answer: The network's, in words.
        distance: To the reconstruction.
        outcome: A key of `OUTCOME_COLOURS`.
        length: Of the perturbation, in the norm that the attack bounds or minimises.
    """

    step: int
    target: str
    answer: str
    distance: float
    outcome: str
    length: float = 0.0

    def record(self) -> Record:
        """As a row of a table."""
        return asdict(self)


def path_chart(
    points: Sequence[PathPoint],
    threshold: float,
    total: int,
    step: int | None = None,
    unit: str = "iteration",
) -> alt.LayerChart:
    """Distance against iteration, a line for each target; points coloured by outcome, the threshold a rule.

    Args:
        points: One or more of each target, in order of iteration.
        threshold: theta: above it the detector raises the alarm.
        total: Iterations asked for: the length of the axis.
        step: The iteration to mark; None for none.
        unit: What an iteration is called.
    """
    # Wide enough from the start, so that in a running attack the line alone moves.
    lowest = min(0.5 * threshold, *(0.9 * point.distance for point in points))
    highest = max(1.5 * threshold, *(1.05 * point.distance for point in points))
    flagged = OUTCOME_COLOURS["flagged"]
    x = alt.X(
        "step:Q",
        title=unit,
        axis=alt.Axis(tickCount=6),
        scale=alt.Scale(domain=[0, total], nice=False),
    )
    scale = alt.Scale(domain=[lowest, highest], nice=False)
    colour = alt.Color(
        "outcome:N",
        scale=alt.Scale(domain=list(OUTCOME_COLOURS), range=list(OUTCOME_COLOURS.values())),
        legend=alt.Legend(title=None, orient="top", symbolType="circle", offset=4),
    )
    theta = inline(
        [{"distance": threshold, "top": highest, "end": total, "text": "above θ, the dashed line: flagged"}]
    )
    zone = alt.Chart(theta).mark_rect(opacity=0.08, color=flagged)
    zone = zone.encode(y=alt.Y("distance:Q", title="distance", scale=scale), y2="top:Q")
    rule = alt.Chart(theta).mark_rule(strokeDash=[6, 4], strokeWidth=1.5, color=GREY).encode(y="distance:Q")
    words = alt.Chart(theta).mark_text(align="right", baseline="top", dy=6, dx=-6, color=GREY, fontSize=11)
    words = words.encode(x="end:Q", y="top:Q", text="text:N")
    base = alt.Chart(inline(point.record() for point in points))
    line = base.mark_line(strokeWidth=1, color=GREY).encode(x=x, y="distance:Q", detail="target:N")
    dots = base.mark_circle(size=28, opacity=1).encode(
        x=x,
        y="distance:Q",
        color=colour,
        tooltip=[
            "target:N",
            alt.Tooltip("step:Q", title=unit),
            "answer:N",
            "outcome:N",
            alt.Tooltip("distance:Q", format=".3f"),
        ],
    )
    layers: list[alt.Chart] = [zone, rule, words, line, dots]
    if step is not None:
        layers.append(alt.Chart(inline([{"step": step}])).mark_rule(color=GREY).encode(x=x))
    return alt.LayerChart(layer=layers, height=300)


def length_chart(
    points: Sequence[PathPoint], total: int, step: int | None = None, unit: str = "iteration"
) -> alt.LayerChart:
    """Length of the perturbation against iteration: the walk of an attack that looks for the smallest change.

    Args:
        points: One or more of each target, in order of iteration; those without a perturbation are left out.
        total: Iterations asked for: the length of the axis.
        step: The iteration to mark; None for none.
        unit: What an iteration is called.
    """
    x = alt.X(
        "step:Q",
        title=unit,
        axis=alt.Axis(tickCount=6),
        scale=alt.Scale(domain=[0, total], nice=False),
    )
    colour = alt.Color(
        "outcome:N",
        scale=alt.Scale(domain=list(OUTCOME_COLOURS), range=list(OUTCOME_COLOURS.values())),
        legend=alt.Legend(title=None, orient="top", symbolType="circle", offset=4),
    )
    y = alt.Y("length:Q", title="length of the perturbation", scale=alt.Scale(zero=True))
    base = alt.Chart(inline(point.record() for point in points if point.length > 0))
    line = base.mark_line(strokeWidth=1, color=GREY, interpolate="step-after")
    dots = base.mark_circle(size=28, opacity=1).encode(
        x=x,
        y=y,
        color=colour,
        tooltip=[
            "target:N",
            alt.Tooltip("step:Q", title=unit),
            "answer:N",
            "outcome:N",
            alt.Tooltip("length:Q", format=".3f"),
        ],
    )
    layers: list[alt.Chart] = [line.encode(x=x, y=y, detail="target:N"), dots]
    if step is not None:
        layers.append(alt.Chart(inline([{"step": step}])).mark_rule(color=GREY).encode(x=x))
    return alt.LayerChart(layer=layers, height=220)
