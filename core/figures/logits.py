"""What the network answers before and after an attack, class by class."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import altair as alt
from torch import Tensor

from core.figures.colours import CLEAN_COLOUR, GREY
from core.figures.style import Record, inline

BEFORE, AFTER = "original", "attacked"
# Changes below this are not written beside the bars: zeros would only fill the page.
TOLD = 0.005


@dataclass(frozen=True)
class Answer:
    """The score of one class before and after."""

    name: str
    before: float
    after: float

    @property
    def delta(self) -> float:
        """The change."""
        return self.after - self.before

    def record(self) -> Record:
        """As a row of a table."""
        return {"class": self.name, "before": self.before, "after": self.after, "delta": self.delta}


def answer_table(
    before: Tensor, after: Tensor, classes: Sequence[str], *, always: Collection[int] = (), top: int = 10
) -> list[Answer]:
    """The classes that matter most, in class order.

    Args:
        before, after: A score for each class, (J,).
        classes: Their names.
        always: Classes to keep whatever their score: the true one, and the one aimed at.
        top: How many to keep besides: those whose score is highest before or after.
    """
    best: list[int] = before.maximum(after).argsort(descending=True)[:top].tolist()
    return [Answer(classes[j], float(before[j]), float(after[j])) for j in sorted({*best, *always})]


def answer_bars(
    answers: Sequence[Answer], quantity: str, colour: str, domain: tuple[float, float] | None = None
) -> alt.LayerChart:
    """Two bars for each class, before and after, and the difference written beside them.

    Args:
        answers: From `answer_table`.
        quantity: What the scores are, as the axis says it.
        colour: Of the bars after the attack.
        domain: Ends of the axis; None for those of the data.
    """
    scores = [
        {"class": a.name, "image": when, "score": score, "delta": a.delta}
        for a in answers
        for when, score in ((BEFORE, a.before), (AFTER, a.after))
    ]
    told = [
        {"class": a.name, "end": max(a.before, a.after, 0.0), "delta": a.delta}
        for a in answers
        if abs(a.delta) >= TOLD
    ]
    scale = alt.Scale(domain=list(domain), nice=False) if domain else alt.Scale()
    order = [a.name for a in answers]
    y = alt.Y("class:N", sort=order, title=None, axis=alt.Axis(ticks=False, domain=False, labelPadding=8))
    bars = (
        alt.Chart(inline(scores))
        .mark_bar(cornerRadiusEnd=2)
        .encode(
            x=alt.X("score:Q", title=quantity, axis=alt.Axis(tickCount=5), scale=scale),
            y=y,
            yOffset=alt.YOffset("image:N", sort=[BEFORE, AFTER]),
            color=alt.Color(
                "image:N",
                scale=alt.Scale(domain=[BEFORE, AFTER], range=[CLEAN_COLOUR, colour]),
                legend=alt.Legend(title=None, orient="top", symbolType="square", offset=4),
            ),
            tooltip=[
                alt.Tooltip("class:N"),
                alt.Tooltip("image:N", title="of"),  # a field named image would be shown as a picture
                alt.Tooltip("score:Q", title=quantity, format=".3f"),
                alt.Tooltip("delta:Q", title="change", format="+.3f"),
            ],
        )
    )
    text = (
        alt.Chart(inline(told))
        .mark_text(align="left", dx=6, fontSize=11, color=GREY)
        .encode(x="end:Q", y=y, text=alt.Text("delta:Q", format="+.2f"))
    )
    return alt.LayerChart(layer=[bars, text], height=300)
