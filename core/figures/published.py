"""Published numbers and ours side by side, as rows and as a chart."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import altair as alt

from core.figures.style import GREY, Record, heading, inline, model_colour, model_shape


@dataclass(frozen=True)
class Beside:
    """A published number and ours; all of them in percent.

    Attributes:
        table: Number of the paper's table.
        row: What the number is about, but for the model and the metric.
        model: The model's title.
        metric: error_rate, success_rate or undetected_rate.
        published: The paper's number.
        ours, low, high, n: Ours with its 95 % interval; None where there is none.
        profile: Under which ours was computed.
        reason: Why there is none of ours.
    """

    table: str
    row: str
    model: str
    metric: str
    published: float
    ours: float | None
    low: float | None
    high: float | None
    n: int | None
    profile: str | None
    reason: str | None

    @property
    def difference(self) -> float | None:
        """Ours less the published number, in points."""
        return None if self.ours is None else self.ours - self.published

    @property
    def within(self) -> bool | None:
        """Whether the published number lies in our interval."""
        if self.low is None or self.high is None:
            return None
        return self.low <= self.published <= self.high

    @property
    def words(self) -> str:
        """Both numbers in words."""
        about = f"{self.model}, {self.row}: published {self.published:g} %"
        if self.ours is None:
            return f"{about}; ours missing: {self.reason}"
        return (
            f"{about}, ours {self.ours:.1f} % ({self.low:.1f}–{self.high:.1f} %, n = {self.n:,}), "
            f"difference {self.difference:+.1f} points"
        )

    def record(self) -> Record:
        """As a row of a table."""
        return {**asdict(self), "difference": self.difference, "within": self.within}


def beside(
    rows: Sequence[Mapping[str, Any]], models: Mapping[str, str], others: Mapping[str, str]
) -> list[Beside]:
    """Rows of a report, named for people.

    Args:
        rows: Of one or more tables, as `precompute report --json` gives them.
        models: Titles of models by name.
        others: Titles of data sets and attacks (in Table 2 of qin2020, corruptions) by name.
    """

    def title(name: str) -> str:
        return others.get(name, name.replace("_", " "))

    several = len({row["dataset"] for row in rows}) > 1
    found: list[Beside] = []
    for row in rows:
        attack = " ".join(
            part for part in (row["mode"], title(row["attack"]) if row["attack"] else None) if part
        )
        named = ([title(row["dataset"])] if several or not attack else []) + ([attack] if attack else [])
        figures = (row[name] for name in ("published", "ours", "low", "high", "n", "profile", "reason"))
        model = models.get(row["model"], row["model"])
        found.append(Beside(row["table"], ", ".join(named), model, row["metric"], *figures))
    return found


def beside_chart(numbers: Sequence[Beside], title: str, *, line_height: int = 15) -> alt.LayerChart:
    """Published numbers as ticks, ours as points with their intervals, one line a model within each row.

    Args:
        numbers: From `beside`, of one metric.
        title: What the numbers are.
        line_height: Of one model's line, in pixels.
    """
    titles = list(dict.fromkeys(number.model for number in numbers))
    rows = list(dict.fromkeys(number.row for number in numbers))
    records = [_told(number) for number in numbers]
    ours = alt.Chart(inline(record for record in records if record["ours"] is not None))
    x = alt.X(
        "published:Q",
        scale=alt.Scale(domain=[0, 100], nice=False, padding=6),
        title="%",
        axis=alt.Axis(tickCount=5),
    )
    y = alt.Y(
        "row:N",
        sort=rows,
        title=None,
        scale=alt.Scale(paddingInner=0.25),
        axis=alt.Axis(ticks=False, domain=False, labelLimit=220),
    )
    places: dict[str, Any] = {
        "y": y,
        "yOffset": alt.YOffset("model:N", sort=titles),
        "color": model_colour(titles),
    }
    told: dict[str, Any] = {
        "tooltip": [
            alt.Tooltip("model:N", title="Model"),
            alt.Tooltip("row:N", title="Number"),
            alt.Tooltip("published_text:N", title="Published"),
            alt.Tooltip("ours_text:N", title="Ours"),
            alt.Tooltip("difference_text:N", title="Difference"),
            alt.Tooltip("origin:N", title="n and profile"),
        ],
        "description": alt.Description("words:N"),
    }
    gap = ours.mark_rule(strokeWidth=1, strokeDash=[2, 2], color=GREY, aria=False)
    bars = ours.mark_rule(strokeWidth=2, aria=False)
    ticks = alt.Chart(inline(records)).mark_tick(thickness=3, size=line_height - 1, opacity=1)
    points = ours.mark_point(filled=True, size=65, opacity=1)
    layers: list[alt.Chart] = [
        gap.encode(x=x, x2=alt.X2("ours:Q"), y=y, yOffset=places["yOffset"]),
        bars.encode(x=alt.X("low:Q"), x2=alt.X2("high:Q"), **places),
        ticks.encode(x=x, **places, **told),
        points.encode(x=alt.X("ours:Q"), shape=model_shape(titles), **places, **told),
    ]
    key = "upright bar: published; symbol: ours with its 95 % interval"
    height = len(rows) * (len(titles) * line_height + 8) + 10
    return alt.LayerChart(layer=layers, title=heading(title, subtitle=key), height=height)


def _told(number: Beside) -> Record:
    """A number's record with words for people."""
    ours, difference, origin = "none", "", number.reason or ""
    if number.ours is not None:
        ours = f"{number.ours:.1f} % ({number.low:.1f}–{number.high:.1f} %)"
        difference = f"{number.difference:+.1f} points"
        origin = f"n = {number.n:,}, {number.profile}"
    return {
        **number.record(),
        "published_text": f"{number.published:g} %",
        "ours_text": ours,
        "difference_text": difference,
        "origin": origin,
        "words": number.words,
    }
