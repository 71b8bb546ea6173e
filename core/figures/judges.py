"""What independent judges see in undetected adversarial images, as bars."""

from collections.abc import Mapping, Sequence

import altair as alt

from core.coherence import MAJORITY, Agreement, Opinions
from core.figures.colours import CLEAN_COLOUR, GREY, OUTCOME_COLOURS
from core.figures.style import Record, heading, inline, interval, percent

SEEN = {
    "target": "the target",
    "source": "the true class",
    "other": "another class",
    "split": "no majority",
}
SEEN_COLOURS = {
    "the target": OUTCOME_COLOURS["undetected"],
    "the true class": CLEAN_COLOUR,
    "another class": GREY,
    "no majority": "#D1D5DB",
}
# Narrower parts have no room for their number.
ROOM = 0.09
# Title, legend and axis, which count as height where a page fits a chart into its place.
AROUND = 150


def judges_chart(
    opinions: Sequence[Opinions], title: str, names: Mapping[str, str], *, subtitle: str = ""
) -> alt.LayerChart:
    """One bar a judge, cut into what it sees in the images; the majority last.

    Args:
        opinions: From `core.coherence.opinions`, about images that one model did not detect.
        title: The model's title.
        names: Of the judges, as people read them, by their names in `opinions`.
        subtitle: Such as `agreement_words`.
    """
    parts = [part for opinion in opinions for part in _parts(opinion, names)]
    order = list(dict.fromkeys(part["judge_name"] for part in parts))
    x = alt.X(
        "left:Q",
        scale=alt.Scale(domain=[0, 1], nice=False),
        title="share of undetected images",
        axis=alt.Axis(format=".0%", tickCount=5, grid=False),
    )
    y = alt.Y(
        "judge_name:N",
        sort=order,
        title=None,
        axis=alt.Axis(ticks=False, domain=False, labelPadding=8, labelLimit=200),
    )
    key = alt.Legend(
        title=None,
        orient="top",
        symbolType="square",
        symbolStrokeWidth=0,
        labelFontSize=12,
        offset=4,
        columns=2,
    )
    scale = alt.Scale(domain=list(SEEN_COLOURS), range=list(SEEN_COLOURS.values()))
    data = inline(parts)
    bars = alt.Chart(data).mark_bar(height=22, stroke="white", strokeWidth=1)
    bars = bars.encode(
        x=x,
        x2=alt.X2("right:Q"),
        y=y,
        color=alt.Color("seen:N", scale=scale, legend=key),
        tooltip=[
            alt.Tooltip("judge_name:N", title="Judge"),
            alt.Tooltip("seen:N", title="Sees"),
            alt.Tooltip("share:N", title="Share"),
            alt.Tooltip("interval:N", title="95 % interval"),
        ],
        description=alt.Description("words:N"),
    )
    told = [part for part in parts if part["value"] >= ROOM]
    text = alt.Chart(inline(told)).mark_text(fontSize=11, fontWeight="bold", color="#11151C", aria=False)
    text = text.encode(x=alt.X("middle:Q"), y=y, text=alt.Text("short:N"))
    return alt.LayerChart(
        layer=[bars, text], title=heading(title, subtitle=subtitle), height=34 * len(order) + AROUND
    )


def agreement_words(found: Agreement) -> str:
    """How far judges agree, in words: "κ = 0.61 (0.52–0.70), n = 410"."""
    if found.kappa != found.kappa:
        return f"all judges give one answer, n = {found.n:,}"
    spread = f"{found.low:.2f} to {found.high:.2f}"
    return f"agreement: κ = {found.kappa:.2f} ({spread}), n = {found.n:,}"


def _parts(opinion: Opinions, names: Mapping[str, str]) -> list[Record]:
    """The parts of one bar, from left to right."""
    name = "most of them" if opinion.judge == MAJORITY else names.get(opinion.judge, opinion.judge)
    parts: list[Record] = []
    left = 0.0
    for seen, share in opinion.parts().items():
        if seen == "split" and opinion.judge != MAJORITY:
            continue
        right = left + share.value
        share_text = f"{percent(share.value)} ({share.k} of {share.n})"
        parts.append(
            {
                "judge": opinion.judge,
                "judge_name": name,
                "seen": SEEN[seen],
                "value": share.value,
                "left": left,
                "right": right,
                "middle": (left + right) / 2,
                "share": share_text,
                "short": percent(share.value),
                "interval": interval(share),
                "words": f"{name}: {SEEN[seen]} in {share_text}",
            }
        )
        left = right
    return parts
