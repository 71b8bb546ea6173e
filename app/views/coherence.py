"""Visual coherence: does success follow how alike classes look, and do the images (qin2020, section 6)?"""

from functools import partial

import streamlit as st
import torch

from app.results import coherence
from app.results.attacks import Attacked, attack_words
from app.results.coherence import Judged
from app.ui import health, notices, tiles
from app.ui.charts import offer_csv, show_chart
from app.ui.choices import choose_class
from app.ui.choose import choose, show_corrections
from app.ui.page import Opened, open_page
from app.ui.status import status_line
from core.coherence import MEASURES, Difference
from core.figures.coherence import (
    correlation_estimate,
    correlation_words,
    dispersion_estimate,
    estimate_chart,
    similarity_chart,
    similarity_table,
)
from core.figures.judges import agreement_words, judges_chart
from core.figures.matrix import matrix_chart
from core.figures.pairs import pair_table
from core.figures.style import Record, in_words, p_text
from core.metrics import Rate
from core.models import title_of

INTRO = """
People confuse a 4 with a 9, not a 1 with an 8. Do attacks on the network succeed **between classes that look
alike**? And where the detector lets one pass, does the image **look like the target** to judges that nobody
attacked? Each question has a number here.
"""
SHORT = {"means": "Class means", "neighbours": "Nearest images", "embedding": "Discriminants"}
EXAMPLES = (6, 12, 24)
Pair = tuple[int | None, int | None]


def choose_view(page: Opened) -> tuple[str, str, Pair]:
    """Model, measure of similarity and pair of classes."""
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        model = choose("segmented_control", "Model", "whose", page.models, title=title_of)
        measure = choose(
            "segmented_control",
            "Similarity by",
            "alike",
            list(SHORT),
            title=SHORT.__getitem__,
            help="  \n".join(f"**{SHORT[name]}**: {words}" for name, words in MEASURES.items())
            + "  \nAll from clean training images; no attacked network has a say.",
        )
        source = choose_class("Source", "from", page.spec.classes)
        target = choose_class("Target", "to", page.spec.classes)
    return model, measure, (source, target)


def pick(page: Opened, key: str) -> None:
    """Take over the pair that was clicked in a chart."""
    for chosen in st.session_state[key]["selection"].values():
        if chosen:
            st.session_state["from"] = page.spec.classes[int(chosen[0]["source"])]
            st.session_state["to"] = page.spec.classes[int(chosen[0]["target"])]


def show_matrix(page: Opened, attack: Attacked, chosen: tuple[int, int] | None) -> None:
    assert attack.target is not None
    cells = pair_table(attack.label, attack.target, attack.worked, page.spec.classes)
    chart = matrix_chart(cells, page.spec.classes, attack.title, "Success rate", chosen=chosen, height=380)
    words = (
        f"Success rate of attacks on {attack.title} for every pair of classes: "
        f"{in_words(attack.success_rate())} overall."
    )
    show_chart(chart, words, "coherence-matrix", partial(pick, page, "coherence-matrix"))


def show_scatter(page: Opened, attack: Attacked, measure: str, chosen: tuple[int, int] | None) -> None:
    """Success against similarity. The points can be saved."""
    outcomes = coherence.outcomes(attack, page.spec.n_classes)
    distances = coherence.distances(page.bundle, measure)
    points = similarity_table(outcomes, distances, page.spec.classes)
    rho = coherence.correlation(page.bundle, attack.model, measure)
    line = coherence.fit(attack.key, measure, outcomes, distances)
    chart = similarity_chart(points, line, rho, attack.title, MEASURES[measure], chosen=chosen, height=360)
    words = (
        f"Success rate of attacks on {attack.title} against the {MEASURES[measure]}, one point a pair of "
        f"classes: {correlation_words(rho)}."
    )
    show_chart(chart, words, "coherence-scatter", partial(pick, page, "coherence-scatter"))
    spread = dispersion_estimate(attack.title, coherence.dispersion(page.bundle, attack.model))
    st.markdown(
        f"**Rank correlation** {correlation_words(rho)} (Mantel’s test)  \n**Dispersion** {spread.words}",
        help="ρ is Spearman’s, freed of the chance that lies in rates over few images; before that it is "
        f"{rho.observed:.2f}. Dispersion is the standard deviation between pairs of classes beyond chance. "
        "Intervals: 95 %, over other images of the same classes. Mantel’s test gives the names of classes "
        "out at random.",
    )
    about = page.about | {"model": attack.title, "measure": measure}
    records = [point.record() for point in points]
    offer_csv("Pairs (CSV)", lambda: records, f"{page.spec.name}-coherence-{attack.model}", about)


def compare_models(page: Opened, measure: str) -> None:
    """All models side by side, and how any two differ."""
    st.subheader("The models compared", anchor=False)
    correlations, spreads = [], []
    for model in page.models:
        for name in SHORT:
            correlation = coherence.correlation(page.bundle, model, name)
            correlations.append(correlation_estimate(title_of(model), SHORT[name], correlation))
        spreads.append(dispersion_estimate(title_of(model), coherence.dispersion(page.bundle, model)))
    left, right = st.columns(2, gap="medium")
    with left:
        chart = estimate_chart(correlations, "Success follows similarity", "rank correlation ρ", (-1, 1))
        words = "; ".join(f"{e.model}, {e.row}: {e.words}" for e in correlations)
        show_chart(chart, f"Rank correlations with their intervals. {words}.", "coherence-models")
    with right:
        largest = max(0.1, *(estimate.high for estimate in spreads))
        chart = estimate_chart(
            spreads, "Pairs differ", "standard deviation of success", (0, largest), axis_format=".0%"
        )
        words = "; ".join(f"{e.model}: {e.words}" for e in spreads)
        show_chart(chart, f"Dispersion of success between pairs of classes. {words}.", "coherence-spreads")
        first, *others = page.models
        lines: list[str] = []
        for other in others:
            pair = f"{title_of(first)} less {title_of(other)}"
            rho = coherence.difference(page.bundle, first, other, "rank_correlation", measure)
            variance = coherence.difference(page.bundle, first, other, "dispersion", None)
            lines.append(
                f"**{pair}**: ρ {difference_words(rho)}; variance {difference_words(variance, digits=3)}"
            )
        st.markdown("  \n".join(lines), help=f"ρ by {MEASURES[measure]}. p is one-sided, of a value above 0.")


def difference_words(difference: Difference, digits: int = 2) -> str:
    """A difference with its interval and test: "+0.21 (+0.05 to +0.40), p = 0.01"."""
    if difference.value != difference.value:
        return "unknown: on one of them the pairs differ too little"
    value, low, high = (
        f"{number:+.{digits}f}".replace("-", "−")
        for number in (difference.value, difference.low, difference.high)
    )
    return f"{value} ({low} to {high}), {p_text(difference.p_value)}, n = {difference.n:,} images"


def show_judges(page: Opened) -> list[Record]:
    """What the judges see in the undetected images of every model. Returns the numbers."""
    st.subheader("What independent judges see in undetected images", anchor=False)
    records: list[Record] = []
    for model, column in zip(page.models, st.columns(len(page.models), gap="medium"), strict=True):
        attack, threshold = page.attacked(model), page.threshold(model)
        judged = coherence.judged(page.bundle, model).undetected(attack, threshold)
        with column:
            if not len(judged.row):
                st.info(f"No attack on {attack.title} went undetected.", icon=":material/info:")
                continue
            opinions, agreed = coherence.judges_opinions(
                judged.key, threshold, judged, attack, page.spec.n_classes
            )
            chart = judges_chart(opinions, attack.title, judged.titles, subtitle=agreement_words(agreed))
            most = opinions[-1].target
            words = (
                f"What judges see in undetected attacks on {attack.title}: most of them the target in "
                f"{in_words(most)}; {agreement_words(agreed)}."
            )
            show_chart(chart, words, f"judges-{model}")
            st.markdown(f"Most judges see **the target** in {in_words(most)}.")
            records += [
                {"model": attack.title, "fpr": page.fpr, "threshold": threshold, **record}
                for opinion in opinions
                for record in opinion.records()
            ]
    judges = coherence.judged(page.bundle, page.models[0]).judges
    with st.expander("How good the judges are", icon=":material/balance:"):
        lines = ["| Judge | right on clean images | right under PGD |", "|---|---|---|"]
        for title, clean, robust in coherence.accuracies(judges):
            lines.append(f"| {title} | {in_words(clean, 1)} | {in_words(robust) if robust else '–'} |")
        st.markdown("\n".join(lines))
        st.caption(
            "Each is trained from a seed of its own, and no attack shown here was made on one of them. “PGD” "
            "in a name: trained on PGD’s examples. Under PGD: 40 steps at the data set’s ε. The nearest "
            "images are clean training images, near in pixels."
        )
    return records


def show_examples(page: Opened, attack: Attacked, judged: Judged, pair: Pair) -> None:
    """Undetected images at both ends: all judges see the target, or none does."""
    assert attack.target is not None
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
        st.subheader(f"At both ends: undetected attacks on {attack.title}", anchor=False)
        count = choose("selectbox", "Examples", "each", EXAMPLES, width=100)
    show_corrections()
    label, target = attack.label[judged.row], attack.target[judged.row]
    wanted = torch.ones_like(label, dtype=torch.bool)
    for chosen, classes in zip(pair, (label, target), strict=True):
        if chosen is not None:
            wanted &= classes == chosen
    if not bool(wanted.any()):
        st.info("No such attack went undetected. Choose other classes.", icon=":material/info:")
        return
    votes, judges = judged.votes(attack)[wanted], len(judged.judges)
    show = tiles.KINDS[0::2] if page.dataset else (tiles.PERTURBATION,)
    ends = {f"All {judges} judges see the target": judges, "No judge sees the target": 0}
    for (title, wished), column in zip(ends.items(), st.columns(2, gap="large"), strict=True):
        hits = votes == wished
        with column:
            st.markdown(f"**{title}**: {in_words(Rate(int(hits.sum()), len(hits)))}")
            rows = spaced(attack.pictured(judged.row[wanted][hits].tolist()), count)
            if rows:
                made = tiles.make_tiles(
                    page.bundle, page.spec, page.dataset, attack, rows, page.threshold(attack.model)
                )
                st.html(tiles.grid(made, show, name_models=False))
            else:
                st.caption("Of none of them are pictures kept." if hits.any() else "There is none.")


def spaced(rows: list[int], count: int) -> list[int]:
    """At most `count` of the rows, evenly over all, so that not one image or class fills them."""
    return rows if len(rows) <= count else [rows[number * len(rows) // count] for number in range(count)]


def main() -> None:
    st.html(tiles.STYLE)
    page = open_page("Visual coherence", INTRO, needs="matrix")
    model, measure, pair = choose_view(page)
    show_corrections()
    source, target = pair
    chosen = None if source is None or target is None or source == target else (source, target)
    attack = page.attacked(model)
    complete = coherence.is_complete(page.bundle, page.models)
    left, right = st.columns(2, gap="large")
    with left:
        show_matrix(page, attack, chosen)
    with right:
        if complete:
            show_scatter(page, attack, measure, chosen)
        else:
            st.info(
                "This bundle was built before similarity and judges were measured; to have them, run "
                f"`{page.bundle.command}`.",
                icon=":material/info:",
            )
    if complete:
        compare_models(page, measure)
        health.note(page.bundle, page.models, ("success_rate",), "r-pgd")
        records = show_judges(page)
        health.note(page.bundle, page.models, ("undetected_rate",), "r-pgd")
        page.offer_pictures()
        undetected = coherence.judged(page.bundle, model).undetected(attack, page.threshold(model))
        show_examples(page, attack, undetected, pair)
        if records:
            offer_csv("Verdicts (CSV)", lambda: records, f"{page.spec.name}-judges", page.about)
    status_line(
        attack_words(attack.facts, targeted=True),
        f"false-positive rate {100 * page.fpr:g} %",
        *page.origin,
        live=False,
        n=len(attack.label),
        profile=page.bundle.profile,
    )


with notices.explained():
    main()
