"""Lengths of the smallest perturbations that attacks found, by attack and model (michels2019, Table 1)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np

from core.estimates import mean
from core.figures.colours import GREY
from core.figures.style import Record, heading, inline, model_colour, model_shape, percent
from core.metrics import Rate

HALF = 0.34
"""How far a point is from the middle of its line at most; lines are 1 apart."""
_ABOUT = [alt.Tooltip("attack:N", title="Attack"), alt.Tooltip("model:N", title="Model")]


@dataclass(frozen=True, eq=False)
class Lengths:
    """What one attack needed on one model.

    Attributes:
        attack, model: Their titles.
        moved: Lengths of the perturbations that were found, of images that needed one.
        already: How many images were misread as they stood, at length 0.
        failed: How many the attack did not move.
        published: The paper's mean; None where it has none.
    """

    attack: str
    model: str
    moved: tuple[float, ...]
    already: int
    failed: int
    published: float | None = None

    @property
    def n(self) -> int:
        """Images that were attacked."""
        return len(self.moved) + self.already + self.failed

    @property
    def counted(self) -> tuple[float, ...]:
        """Lengths in the mean: what was misread as it stood counts with 0, failures do not."""
        return (0.0,) * self.already + self.moved

    def row(self) -> Record:
        """Everything in one row: counts, means with intervals, the published mean."""
        row: Record = {"attack": self.attack, "model": self.model, "n": self.n, "already": self.already}
        row["failed"] = self.failed
        for name, values in (("mean", self.counted), ("mean_moved", self.moved)):
            found = mean(values) if len(values) > 1 else None
            row |= {
                name: found.value if found else None,
                f"{name}_low": max(found.low, 0.0) if found else None,
                f"{name}_high": found.high if found else None,
            }
        row["median_moved"] = float(np.median(self.moved)) if self.moved else None
        return {**row, "published": self.published}

    @property
    def words(self) -> str:
        """In a sentence's part."""
        row = self.row()
        if row["mean"] is None:
            return f"{self.attack} on {self.model}: too few to have a mean"
        told = f"{row['mean']:.2f} ({row['mean_low']:.2f}–{row['mean_high']:.2f}, n = {len(self.counted):,})"
        published = "" if self.published is None else f", published {self.published:g}"
        return f"{self.attack} on {self.model}: mean {told}{published}"


def norm_chart(
    groups: Sequence[Lengths], title: str, axis_title: str, *, seed: int = 0, line_height: int = 44
) -> alt.LayerChart:
    """Every perturbation a point, one line a model within each attack; means with intervals, published ones.

    Images that were misread as they stood have no point: they are counted elsewhere. They are in the means,
    as the paper's table has it.

    Args:
        groups: One for each attack and model, in order.
        title: Above the chart.
        axis_title: What the lengths are.
        seed: Of how points are spread within their line.
        line_height: Of one model's line, in pixels.
    """
    titles = list(dict.fromkeys(group.model for group in groups))
    attacks = list(dict.fromkeys(group.attack for group in groups))
    lines = [(attack, model) for attack in attacks for model in titles]
    points, means = _placed(groups, lines, seed)
    top = max([p["norm"] for p in points] + [m["published"] or 0 for m in means] + [0.1]) * 1.04
    x = alt.X(
        "norm:Q", title=axis_title, scale=alt.Scale(domain=[0, top], nice=False), axis=alt.Axis(tickCount=8)
    )
    scale = alt.Scale(domain=[-0.5, len(lines) - 0.5], reverse=True, nice=False, zero=False)
    y = alt.Y("place:Q", scale=scale, axis=_attack_axis(attacks, len(titles)))
    colour, shape = model_colour(titles), model_shape(titles)
    for explained in (colour, shape):  # the white line around means would hide the symbol
        explained["legend"]["symbolStrokeWidth"] = 0
    look = {"y": y, "color": colour, "shape": shape}
    between = [{"place": number - 0.5} for number in range(len(titles), len(lines), len(titles))]
    layers: list[alt.Chart] = []
    if between:
        rules = alt.Chart(inline(between)).mark_rule(color=GREY, opacity=0.35, aria=False)
        layers.append(rules.encode(y=y))
    layers.append(_dots(points or [{"attack": "", "model": titles[0], "norm": None, "place": None}], x, look))
    measured = [m for m in means if m["mean"] is not None]
    if measured:
        layers += _mean_layers(measured, look)
    published = [m for m in means if m["published"] is not None]
    if published:
        layers.append(_published_ticks(published, line_height - 8, y, colour))
    key = "small: one image; large: mean with its 95 % interval" + (
        "; upright bar: published mean" if published else ""
    )
    return alt.LayerChart(
        layer=layers, title=heading(title, subtitle=key), height=line_height * len(lines) + 20
    )


def _placed(
    groups: Sequence[Lengths], lines: Sequence[tuple[str, str]], seed: int
) -> tuple[list[Record], list[Record]]:
    """Points, spread at random within the line of their attack and model, and the means with their words."""
    spread = np.random.default_rng(seed)
    points: list[Record] = []
    means: list[Record] = []
    for group in groups:
        place = lines.index((group.attack, group.model))
        about = {"attack": group.attack, "model": group.model}
        shifts = spread.uniform(-HALF, HALF, len(group.moved))
        points += [
            {**about, "norm": value, "place": place + float(shift)}
            for value, shift in zip(group.moved, shifts, strict=True)
        ]
        means.append({**about, "place": place, **group.row(), "words": group.words, "told": group.words})
    return points, means


def _attack_axis(attacks: Sequence[str], models: int) -> alt.Axis:
    """Names each attack in the middle of its lines, of which there is one a model."""
    middle = (models - 1) / 2
    names = "[" + ",".join(f'"{attack}"' for attack in attacks) + "]"
    return alt.Axis(
        values=[number * models + middle for number in range(len(attacks))],
        labelExpr=f"{names}[round((datum.value - {middle}) / {models})]",
        title=None,
        ticks=False,
        domain=False,
        grid=False,
        labelFontSize=13,
        labelLimit=160,
    )


def _dots(points: Sequence[Record], x: alt.X, look: Mapping[str, Any]) -> alt.Chart:
    """One small point an image."""
    dots = alt.Chart(inline(points)).mark_point(filled=True, size=34, opacity=0.55, strokeWidth=0)
    tooltip = [*_ABOUT, alt.Tooltip("norm:Q", title="Length", format=".3f")]
    return dots.encode(x=x, tooltip=tooltip, **look)


def _mean_layers(means: Sequence[Record], look: Mapping[str, Any]) -> list[alt.Chart]:
    """One large point a mean, on its interval."""
    ours = alt.Chart(inline(means))
    interval = ours.mark_rule(strokeWidth=4, color=GREY, aria=False)
    point = ours.mark_point(filled=True, size=150, opacity=1, stroke="white", strokeWidth=1.5)
    return [
        interval.encode(x=alt.X("mean_low:Q"), x2=alt.X2("mean_high:Q"), y=look["y"]),
        point.encode(
            x=alt.X("mean:Q"),
            tooltip=[alt.Tooltip("told:N", title="Mean, with what was misread before at 0")],
            description=alt.Description("words:N"),
            **look,
        ),
    ]


def _published_ticks(published: Sequence[Record], size: int, y: alt.Y, colour: Any) -> alt.Chart:
    """One upright bar a published mean."""
    ticks = alt.Chart(inline(published)).mark_tick(orient="vertical", thickness=3, size=size, opacity=1)
    tooltip = [*_ABOUT, alt.Tooltip("published:Q", title="Published mean", format=".2f")]
    return ticks.encode(x=alt.X("published:Q"), y=y, color=colour, tooltip=tooltip)


def reach(group: Lengths) -> list[tuple[float, Rate]]:
    """Share of the attacked images that are misread within each length: (length, rate), rising.

    It begins with what is misread as it stands, at 0, and ends below 1 where an attack failed.
    """
    found = [(0.0, Rate(group.already, group.n))]
    for number, value in enumerate(sorted(group.moved), start=1):
        found.append((value, Rate(group.already + number, group.n)))
    return found


def reach_chart(
    groups: Sequence[Lengths],
    title: str,
    axis_title: str,
    dashes: Mapping[str, Sequence[int]],
    *,
    height: int = 380,
) -> alt.LayerChart:
    """How many images are misread within a length: one line for each attack and model.

    Args:
        groups: One for each attack and model.
        title: Above the chart.
        axis_title: What the lengths are.
        dashes: Of the attacks' lines, by title.
        height: In pixels.
    """
    titles = list(dict.fromkeys(group.model for group in groups))
    attacks = list(dict.fromkeys(group.attack for group in groups))
    end = max([value for group in groups for value in group.moved] + [0.1])
    x = alt.X(
        "norm:Q", title=axis_title, scale=alt.Scale(domain=[0, end], nice=False), axis=alt.Axis(tickCount=8)
    )
    y = alt.Y(
        "value:Q",
        title="misread within that length",
        scale=alt.Scale(domain=[0, 1], nice=False),
        axis=alt.Axis(format=".0%", tickCount=5),
    )
    dash = alt.StrokeDash(
        "attack:N",
        scale=alt.Scale(domain=attacks, range=[list(dashes.get(a, ())) for a in attacks]),
        legend=alt.Legend(orient="top", title=None, labelFontSize=13, symbolStrokeColor=GREY),
    )
    tooltip = [
        *_ABOUT,
        alt.Tooltip("norm:Q", title="Length", format=".2f"),
        alt.Tooltip("told:N", title="Misread"),
    ]
    records = [record for group in groups for record in _reach_records(group, end)]
    lines = alt.Chart(inline(records)).mark_line(interpolate="step-after", strokeWidth=2)
    lines = lines.encode(
        x=x, y=y, color=model_colour(titles), strokeDash=dash, detail="attack:N", tooltip=tooltip
    )
    return alt.LayerChart(layer=[lines], title=heading(title), height=height)


def _reach_records(group: Lengths, end: float) -> list[Record]:
    """The steps of one line, and its end at the end of the axis."""
    steps = reach(group)
    return [
        {
            "attack": group.attack,
            "model": group.model,
            "norm": value,
            "value": rate.value,
            "told": f"{percent(rate.value)} ({rate.k} of {rate.n})",
        }
        for value, rate in [*steps, (end, steps[-1][1])]
    ]
