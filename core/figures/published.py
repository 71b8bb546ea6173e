"""Published numbers and ours side by side, as rows and as a chart."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import altair as alt

from core.figures.colours import GREY
from core.figures.style import Record, heading, inline, model_colour, model_shape
from core.models import title_of


@dataclass(frozen=True)
class Beside:
    """A published number and ours, in one unit.

    Attributes:
        table: Number of the paper's table.
        row: What the number is about, but for the model and the metric.
        model: The model's title.
        metric: By its name in the results.
        published: The paper's number.
        ours, low, high, n: Ours with its 95 % interval; None where there is none.
        profile: Under which ours was computed.
        reason: Why there is none of ours.
        unit: "%", or another.
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
    unit: str = "%"

    @property
    def difference(self) -> float | None:
        """Ours less the published number: in points, where the unit is percent."""
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
        about = f"{self.model}, {self.row}: published {self.published:g}{self.sign}"
        if self.ours is None:
            return f"{about}; ours missing: {self.reason}"
        assert self.low is not None
        assert self.high is not None
        interval = f"{self.text(self.low)}–{self.text(self.high)}{self.sign}"
        return (
            f"{about}, ours {self.text(self.ours)}{self.sign} ({interval}, n = {self.n:,}), "
            f"difference {self.difference_words}"
        )

    @property
    def difference_words(self) -> str:
        """The difference with its sign and unit; empty where there is none."""
        if self.difference is None:
            return ""
        return f"{self.difference:+.{self.digits}f}{' points' if self.unit == '%' else ''}"

    @property
    def sign(self) -> str:
        """The unit behind a number; lengths have none."""
        return " %" if self.unit == "%" else ""

    @property
    def digits(self) -> int:
        """Decimals that are shown."""
        return 1 if self.unit == "%" else 2

    def text(self, value: float) -> str:
        """A number with as many digits as are shown."""
        return f"{value:.{self.digits}f}"

    def record(self) -> Record:
        """As a row of a table."""
        return {**asdict(self), "difference": self.difference, "within": self.within}


def beside(rows: Sequence[Mapping[str, Any]], titles: Mapping[str, str]) -> list[Beside]:
    """Rows of a report, named for people.

    Args:
        rows: Of one or more tables, as `precompute report --json` gives them.
        titles: Of data sets and attacks (in Table 2 of qin2020, corruptions) by name.
    """

    def title(name: str) -> str:
        return titles.get(name, name.replace("_", " "))

    several = len({row["dataset"] for row in rows}) > 1
    found: list[Beside] = []
    for row in rows:
        attack = " ".join(
            part for part in (row["mode"], title(row["attack"]) if row["attack"] else None) if part
        )
        named = ([title(row["dataset"])] if several or not attack else []) + ([attack] if attack else [])
        figures = (row[name] for name in ("published", "ours", "low", "high", "n", "profile", "reason"))
        model = title_of(row["model"])
        number = Beside(row["table"], ", ".join(named), model, row["metric"], *figures)
        found.append(replace(number, unit=row.get("unit", "%")))
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
    unit = numbers[0].unit if numbers else "%"
    # Shares reach to all; lengths have no end of their own.
    end = 100 if unit == "%" else 1.05 * max(max(n.published, n.high or 0) for n in numbers)
    x = alt.X(
        "published:Q",
        scale=alt.Scale(domain=[0, end], nice=False, padding=6),
        title=unit,
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
        assert number.low is not None
        assert number.high is not None
        interval = f"{number.text(number.low)}–{number.text(number.high)}{number.sign}"
        ours = f"{number.text(number.ours)}{number.sign} ({interval})"
        difference = number.difference_words
        origin = f"n = {number.n:,}, {number.profile}"
    return {
        **number.record(),
        "published_text": f"{number.published:g}{number.sign}",
        "ours_text": ours,
        "difference_text": difference,
        "origin": origin,
        "words": number.words,
    }
