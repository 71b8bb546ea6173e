"""A paper's claims, tables and figures beside ours."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import streamlit as st
from PIL import Image

from app import state
from app.results.artifacts import Cached
from app.results.checks import checks
from app.ui import notices
from app.ui.charts import offer_csv, show_chart
from app.ui.choose import choose, show_corrections
from app.ui.claims import VERDICTS, Warn, counts_html, findings_html, verdicts_html
from app.ui.health import failed_words
from app.ui.paper_table import PaperTable
from app.ui.saving import offer_drawing
from app.ui.status import status_line
from core.data import SPECS
from core.data.specs import OFFICIAL
from core.health import failed
from core.models import MODELS, title_of
from precompute.papers import (
    PAPERS,
    Drawing,
    Figure,
    Finding,
    NotDrawable,
    Paper,
    Results,
    Table,
    claim_records,
    findings,
    layout,
    published,
    report_rows,
    table_drawing,
    with_worst,
)
from precompute.papers.worst import WORST_BETA, WORST_IMAGE
from precompute.store import Bundle

STYLE = Path(__file__).resolve().parents[2] / "assets" / "theme" / "papers.css"
INTRO = """
What a paper **published**, beside what **these models** give. Claims about the order of results are tested as
hypotheses; where ours is missing, the reason is said.
"""
CLAIMS, TABLES, FIGURES = "Claims", "Tables", "Figures"
ALL = "All"
NUMBERS, CHART = "Numbers", "Chart"
FRAME = 90  # pixels of a chart above and below what is drawn; a bare string would be shown on the page


def choose_paper() -> Paper:
    return PAPERS[choose("selectbox", "Paper", "paper", list(PAPERS), width=200, help="By its short name.")]


def choose_part() -> str:
    return choose("segmented_control", "Show", "show", [CLAIMS, TABLES, FIGURES])


def choose_number(kind: str, numbers: list[str]) -> str:
    """Of a table or figure."""
    return choose("pills", kind, kind.lower(), numbers)


def choose_claims(paper: Paper, findings: list[Finding]) -> list[Finding]:
    """Those about one data set, with one verdict or any."""
    titles = {SPECS[name].title: name for name in paper.datasets}
    on = choose("segmented_control", "Data set", "on", list(titles))
    about = [finding for finding in findings if finding.dataset == titles[on]]
    verdict = choose("pills", "Verdict", "verdict", [ALL, *VERDICTS])
    st.html(counts_html(about))
    order = list(VERDICTS)
    chosen = [finding for finding in about if verdict in (ALL, finding.verdict)]
    return sorted(chosen, key=lambda finding: order.index(finding.verdict) == len(order) - 1)


# The keys decide the findings.
@st.cache_data(max_entries=8, show_spinner="Testing the claims")
def tested(paper: str, keys: tuple[str, ...], _results: Results) -> list[Finding]:  # noqa: ARG001
    return findings(PAPERS[paper], _results)


def show_claims(paper: Paper, findings: list[Finding], warn: Warn) -> None:
    chosen = choose_claims(paper, findings)
    show_corrections()
    st.caption(
        "A claim **holds** when all its comparisons do, at 5 %, and is **contradicted** when the opposite of "
        "one is shown; with fewer images more is **undecided**. One-sided p-values of the claimed order, "
        "Fisher's exact test for rates, by Holm's method over the comparisons of a claim. In brackets: 95 % "
        "intervals. **⚠** names checks that failed, see **Attack health**."
    )
    if chosen:
        st.html(findings_html(chosen, warn))
    else:
        st.info("No claim with this verdict.", icon=":material/info:")
    offer_csv("Claims (CSV)", lambda: claim_records(findings), f"{paper.name}-claims", {"paper": paper.name})


def show_verdicts(findings: list[Finding], kind: Literal["Table", "Fig."], number: str) -> None:
    """What the paper claims of a table or figure, and whether it holds here."""
    about = [finding for finding in findings if finding.claim.is_made_in(kind, number)]
    if about:
        st.markdown("**What the paper says of it, and whether it holds here**")
        st.html(verdicts_html(about))


def warner(paper: Paper, bundles: Sequence[Bundle]) -> Warn:
    """Says which checks of attack health failed that touch a number of ours."""
    by_dataset = {bundle.dataset: checks(bundle, paper.results) or {} for bundle in bundles}

    def warn(row: Mapping[str, Any]) -> str:
        of_model = by_dataset.get(row["dataset"], {}).get(row["model"], [])
        metric = "undetected_rate" if row["metric"] in (WORST_BETA, WORST_IMAGE) else row["metric"]
        return failed_words(failed(of_model, metric, row["attack"]))

    return warn


def show_warnings(numbers: Iterable[Mapping[str, Any]], warn: Warn) -> None:
    """Under a drawing, the data sets and models whose numbers in it a failed check touches."""
    warnings: dict[str, None] = {}
    for number in numbers:
        if words := warn(number):
            warnings[f"{SPECS[number['dataset']].title}, {title_of(number['model'])}: {words}"] = None
    if warnings:
        st.caption(f":orange[:material/warning:] {'; '.join(warnings)}. See **Attack health**.")


def profile_of(row: Mapping[str, Any]) -> str:
    """Where a number of ours comes from: "SVHN: demo profile, subset of ..." """
    profile, comma, copy = row["profile"].partition(", ")
    return f"{SPECS[row['dataset']].title}: {profile} profile{comma}{copy}"


def show_table(paper: Paper, table: Table, rows: list[dict[str, Any]], warn: Warn) -> None:
    st.subheader(f"Table {table.number}. {table.title}", anchor=False)
    if table.note:
        st.markdown(table.note)
    drawn = choose("segmented_control", "As", "as", [NUMBERS, CHART])
    show_corrections()
    drawing = table_drawing(rows, table.number)
    chosen = [row for row in rows if row["table"] == table.number]
    if drawn == CHART:
        show_panels(drawing)
        show_warnings((row for row in chosen if row["ours"] is not None), warn)
    else:
        titles = [title_of(model) for model in paper.models]
        st.html(PaperTable(layout(rows, table.number), titles, warn).html())
    numbers = [row for row in chosen if row["metric"] not in (WORST_BETA, WORST_IMAGE)]
    measured = [row for row in numbers if row["ours"] is not None]
    inside = sum(row["low"] <= row["published"] <= row["high"] for row in measured)
    profiles = ", ".join(dict.fromkeys(profile_of(row) for row in measured)) or "no results"
    st.caption(
        f"{len(measured)} of {len(numbers)} numbers have ours ({profiles}); of {inside} the "
        "published one lies in our 95 % interval. **≈** within it, **▲** ours is higher, **▼** ours is "
        "lower."
    )
    note = published(paper)["notes"].get(table.number)
    if note:
        st.caption(note)
    offer_drawing(drawing, f"{paper.name}-table-{table.number}")


def show_figure(paper: Paper, figure: Figure, results: Results, warn: Warn) -> None:
    st.subheader(f"Figure {figure.number}. {figure.title}", anchor=False)
    if figure.note:
        st.markdown(figure.note)
    show_corrections()
    try:
        with st.spinner("Drawing"):
            drawing = figure.draw(results)
    except NotDrawable as reason:
        st.info(f"This figure cannot be drawn: {reason}.", icon=":material/info:")
        return
    show_panels(drawing)
    if drawing.missing:
        st.caption("Without " + "; ".join(drawing.missing) + ".")
    show_warnings(
        (
            {"dataset": dataset, "model": model, "metric": metric, "attack": attack}
            for dataset, metric, attack in figure.shows
            for model in MODELS
        ),
        warn,
    )
    offer_drawing(drawing, f"{paper.name}-figure-{figure.number}")


def show_panels(drawing: Drawing) -> None:
    """Panels side by side, at most three."""
    across = 2 if len(drawing.panels) == 4 else min(len(drawing.panels), 3)
    for start in range(0, len(drawing.panels), across):
        shown = drawing.panels[start : start + across]
        for panel, column in zip(shown, st.columns(across, gap="large")[: len(shown)], strict=True):
            with column:
                if isinstance(panel.drawn, Image.Image):
                    st.image(panel.drawn, alt=panel.words)
                else:
                    # Streamlit counts title, legend and axes into a chart's height.
                    taller = panel.drawn.properties(height=panel.drawn.height + FRAME)
                    show_chart(taller, panel.words)


def main() -> None:
    st.html(STYLE)
    st.title("Papers", anchor=False)
    st.markdown(INTRO)
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        paper = choose_paper()
        part = choose_part()
    st.caption(paper.cite)
    bundles = [bundle for name in paper.datasets if (bundle := state.bundle(name, paper.name))]
    if not bundles:
        notices.missing_bundle(paper.datasets[0])
        st.stop()
    results = paper.over(Cached(bundle) for bundle in bundles)
    keys = tuple(bundle.names.get(paper.results, "") for bundle in bundles)
    tested_claims, warn = tested(paper.name, keys, results), warner(paper, bundles)
    if part == CLAIMS:
        show_claims(paper, tested_claims, warn)
    elif part == TABLES:
        number = choose_number("Table", [table.number for table in paper.tables])
        table = next(table for table in paper.tables if table.number == number)
        show_table(paper, table, with_worst(report_rows(paper, results), results), warn)
        show_verdicts(tested_claims, "Table", number)
    else:
        number = choose_number("Figure", [figure.number for figure in paper.figures])
        show_figure(paper, next(figure for figure in paper.figures if figure.number == number), results, warn)
        show_verdicts(tested_claims, "Fig.", number)
    origins = [
        f"{SPECS[bundle.dataset].title}: {bundle.profile} profile"
        + (f", {bundle.facts['size']} models" if "size" in bundle.facts else "")
        + (f", {copy}" if (copy := bundle.facts.get("data_copy", OFFICIAL)) != OFFICIAL else "")
        for bundle in bundles
    ]
    status_line(*origins, live=False)


with notices.explained():
    main()
