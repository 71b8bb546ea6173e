"""How well reconstructions give attacks away, at any threshold (qin2020, Figs. 1, 2 and 9)."""

import streamlit as st
import torch

from app import state
from app.results import attacks as results
from app.results.attacks import Attacked, attack_words
from app.ui import health, notices
from app.ui.charts import offer_csv, show_chart, trusted
from app.ui.choose import choose, show_corrections
from app.ui.page import Opened, open_page
from app.ui.status import status_line
from core.attacks import attack_title
from core.figures.colours import CLEAN_COLOUR, GREY, OUTCOME_COLOURS
from core.figures.curves import BetaPoint, beta_chart, beta_table, fpr_chart, fpr_table
from core.figures.distances import (
    CLASS_COLOURS,
    OTHER,
    OWN,
    Bar,
    by_class,
    common_edges,
    distance_chart,
    histogram,
)
from core.figures.style import Record, in_words
from core.models import spec, title_of

INTRO = """
A network that rebuilds its input can notice an attack: what it *sees* is not what is *there*. An image is
flagged when its distance to its reconstruction exceeds **θ**. Move **False alarms allowed** in the sidebar:
the line in the histograms, the points on the curve and the rates against β move together.
"""
CLEAN, WORKED, FAILED = "clean", "attack worked", "attack failed"
GROUPS = {CLEAN: CLEAN_COLOUR, WORKED: OUTCOME_COLOURS["undetected"], FAILED: GREY}
UPTO = {"10 %": 0.1, "50 %": 0.5}
RATES = ("success_rate", "undetected_rate")
TARGETED, UNTARGETED = "Targeted", "Untargeted"


def attack_and_mode(name: str) -> str:
    """ "r-pgd-targeted" as people read it."""
    attack, _, mode = name.rpartition("-")
    return f"{attack_title(attack)}, {mode}"


def choose_attack(page: Opened) -> str:
    names = results.attack_names(page.bundle, page.models)
    return choose(
        "selectbox",
        "Attack",
        "method",
        names,
        title=attack_and_mode,
        width=260,
        help="R- attacks know of the detector and keep the reconstruction close. Compare R-PGD with PGD.",
    )


def show_rates(page: Opened, attacks: list[Attacked]) -> None:
    """One line a model: theta, false alarms on test images, success and undetected rate."""
    name = attacks[0].attack

    def marked(attack: Attacked, metric: str, name: str | None) -> str:
        return health.mark(page.bundle, attack.model, metric, name)

    lines = [
        "| Model | θ | Clean test images flagged | Attacks that worked | Undetected |",
        "|---" * 5 + "|",
    ]
    for attack in attacks:
        threshold = page.threshold(attack.model)
        flagged = page.clean(attack.model).flagged(threshold)
        rates = (
            in_words(flagged, 1) + marked(attack, "undetected_rate", None),
            in_words(attack.success_rate()) + marked(attack, "success_rate", name),
            in_words(attack.undetected_rate(threshold)) + marked(attack, "undetected_rate", name),
        )
        lines.append(f"| **{attack.title}** | {threshold:.2f} | {' | '.join(rates)} |")
    st.markdown("\n".join(lines))


def show_histograms(page: Opened, attacks: list[Attacked]) -> list[Record]:
    """Fig. 1b: clean and attacked distances, a chart a model on common axes. Returns the rows for a file."""
    clean = {attack.model: page.clean(attack.model) for attack in attacks}
    edges = common_edges([d for attack in attacks for d in (clean[attack.model].test_distance, attack.score)])
    bars: dict[str, list[Bar]] = {}
    for attack in attacks:
        groups = {
            CLEAN: clean[attack.model].test_distance,
            WORKED: attack.score[attack.worked],
            FAILED: attack.score[~attack.worked],
        }
        # Of all attacks, so that what lies left of the line and worked is the undetected rate.
        bars[attack.model] = histogram(groups, edges, dict.fromkeys((WORKED, FAILED), len(attack.label)))
    highest = 1.08 * max(bar.share for model in bars.values() for bar in model)
    for attack in attacks:
        threshold = page.threshold(attack.model)
        undetected = attack.undetected_rate(threshold)
        chart = distance_chart(
            bars[attack.model],
            GROUPS,
            title=attack.title,
            threshold=threshold,
            highest_share=highest,
            outlined=(FAILED,),
            key_at="top-left",
            axis_title=attack is attacks[-1],
            height=230 if attack is attacks[-1] else 200,
        )
        words = (
            f"Distances of clean and attacked images to what {attack.title} rebuilds. The threshold is "
            f"{threshold:.2f}; {in_words(undetected)} of the attacks worked and lie below it."
        )
        show_chart(chart, words)
    return [{"model": title_of(model), **bar.record()} for model, bars_of in bars.items() for bar in bars_of]


def show_curve(page: Opened, attacks: list[Attacked]) -> list[Record]:
    """Fig. 2: the undetected rate at every false-positive rate. Returns the rows for a file."""
    fprs = sorted({round(fpr / 1000, 6) for fpr in (*range(0, 500, 5), *range(50))} | set(state.FPRS))
    points = [
        point
        for attack in attacks
        for point in fpr_table(
            attack.title, page.clean(attack.model).validation_distance, attack.score, attack.worked, fprs
        )
    ]
    upto = choose(
        "segmented_control",
        "False-positive rates up to",
        "upto",
        list(UPTO),
        default="50 %",
        what="Curve up to",
    )
    show_corrections()
    now = {p.model: p for p in points if abs(p.fpr - page.fpr) < 1e-9}
    words = ", ".join(f"{model} {in_words(point.rate)}" for model, point in now.items())
    show_chart(
        fpr_chart(points, page.fpr, upto=UPTO[upto], height=560),
        f"Undetected rate against false-positive rate. At {100 * page.fpr:g} %: {words}.",
    )
    return [point.record() for point in points]


def show_sweep(page: Opened) -> list[Record]:
    """Fig. 9: success and undetected rate against beta. Returns the rows for a file."""
    st.subheader("What the attacker balances", anchor=False)
    st.markdown(
        "In every iteration R-PGD takes a step of size **β** to fool the network, and one of size 1 − β "
        "to keep the reconstruction close. With a large β, attacks succeed and are flagged; with a small "
        "one they pass the detector and fail to fool the network. A strong defence leaves no β at which "
        "the right-hand curve is high."
    )
    aim = choose("segmented_control", "Aim", "aim", [TARGETED, UNTARGETED])
    show_corrections()
    success: list[BetaPoint] = []
    undetected: list[BetaPoint] = []
    count = 0
    for model in page.models:
        sweep = results.sweep(page.bundle, model, targeted=aim == TARGETED)
        threshold = page.threshold(model)
        worked = torch.stack([attack.worked for attack in sweep.attacks])
        missed = torch.stack([attack.undetected(threshold) for attack in sweep.attacks])
        success += beta_table(title_of(model), "success_rate", sweep.beta, worked)
        undetected += beta_table(title_of(model), "undetected_rate", sweep.beta, missed)
        count = worked.shape[1]
    left, right = st.columns(2, gap="large")
    for column, points, title in ((left, success, "Success rate"), (right, undetected, "Undetected rate")):
        best = max(points, key=lambda point: point.rate.value)
        words = f"{title} against β, highest for {best.model} at {best.beta:g}: {in_words(best.rate)}."
        with column:
            show_chart(beta_chart(points, title, height=320), words)
    st.caption(
        f"{count} images for each β and model, other ones than above. Bands are 95 % intervals. "
        f"Undetected: at {100 * page.fpr:g} % false alarms."
    )
    health.note(page.bundle, page.models, RATES, "r-pgd")
    return [point.record() for point in (*success, *undetected)]


def show_classes(page: Opened) -> list[Record]:
    """Fig. 1a: does only the right class rebuild a clean image well? Returns the rows for a file."""
    st.subheader("Why it works", anchor=False)
    models = [model for model in page.models if page.clean(model).test_class_distance is not None]
    st.markdown(
        "A clean image is rebuilt well from the group of **its own class** and badly from any other. An "
        "attack that makes another class win is therefore rebuilt badly, unless it makes the picture suit "
        "that class. "
        + " ".join(
            f"{title_of(model)} is missing here: it rebuilds from all classes at once."
            for model in page.models
            if spec(model).conditional is False
        )
    )
    rows: list[Record] = []
    parts: dict[str, dict[str, torch.Tensor]] = {}
    for model in models:
        clean = page.clean(model)
        assert clean.test_class_distance is not None
        parts[model] = by_class(clean.test_class_distance, clean.test_label[: len(clean.test_class_distance)])
    edges = common_edges([part for groups in parts.values() for part in groups.values()])
    bars = {model: histogram(groups, edges) for model, groups in parts.items()}
    highest = 1.08 * max(bar.share for bars_of in bars.values() for bar in bars_of)
    for model, column in zip(models, st.columns(len(models), gap="large"), strict=True):
        own, other = (float(parts[model][name].median()) for name in (OWN, OTHER))
        chart = distance_chart(
            bars[model],
            CLASS_COLOURS,
            title=title_of(model),
            threshold=page.threshold(model),
            highest_share=highest,
            height=260,
        )
        words = (
            f"Distances of clean test images to reconstructions by {title_of(model)}: median {own:.2f} from "
            f"their own class, {other:.2f} from others."
        )
        with column:
            show_chart(chart, words)
            distances = page.clean(model).test_class_distance
            count = 0 if distances is None else len(distances)
            st.caption(
                f"{count:,} clean test images; median {own:.2f} from their own class, {other:.2f} from "
                "others."
            )
        rows += [{"model": title_of(model), **bar.record()} for bar in bars[model]]
    return rows


def main() -> None:
    page = open_page("Detection", INTRO, needs="attack/r-pgd-targeted")
    name = choose_attack(page)
    show_corrections()
    attacks = [page.attacked(model, f"attack/{name}") for model in page.models]
    show_rates(page, attacks)
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("##### Distances of clean and of attacked images")
        distances = show_histograms(page, attacks)
        health.note(page.bundle, page.models, RATES, attacks[0].attack)
    with right:
        st.markdown("##### Undetected rate against false alarms")
        curve = show_curve(page, attacks)
        health.note(page.bundle, page.models, ("undetected_rate",), attacks[0].attack)
    sweep = show_sweep(page)
    classes = show_classes(page)
    with st.container(horizontal=True, gap="small"):
        about = {**page.about, "attack": name}
        offer_csv("Distances (CSV)", lambda: distances, f"{page.spec.name}-{name}-distances", about)
        offer_csv("Curve (CSV)", lambda: curve, f"{page.spec.name}-{name}-fpr", about)
        offer_csv("β (CSV)", lambda: sweep, f"{page.spec.name}-beta", {**page.about, "fpr": page.fpr})
        offer_csv("Classes (CSV)", lambda: classes, f"{page.spec.name}-classes", page.about)
    betas = {attack.title: attack.beta for attack in attacks if attack.beta is not None}
    status_line(
        attack_words(attacks[0].facts, targeted=attacks[0].target is not None, with_beta=False),
        *([f"β = {', '.join(f'{beta:g} ({title})' for title, beta in betas.items())}"] if betas else []),
        f"false-positive rate {100 * page.fpr:g} %",
        *page.origin,
        live=False,
        n=len(attacks[0].label),
        profile=page.bundle.profile,
    )


with notices.explained(), trusted():
    main()
