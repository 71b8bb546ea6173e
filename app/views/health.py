"""Whether the attacks can be believed: fifteen checks on every model, each with its figure."""

import re

import streamlit as st

from app import state
from app.results import QIN2020, checks
from app.ui import notices
from app.ui.charts import offer_csv
from app.ui.choose import choose, show_corrections
from app.ui.health import MARKS
from app.ui.status import status_line
from core.attacks import attack_title
from core.figures.style import Record
from core.health import EXPLANATIONS, FAILED, Check, Number
from core.models import MODELS, title_of

INTRO = """
A network looks robust when attacks on it **fail for reasons of their own**: gradients that vanish, too few
steps, a success that was passed and lost. These checks look for such reasons. Where one failed, the numbers
that it touches carry a warning on every page: they say less about the network than they seem to.
"""
Checks = dict[str, list[Check]]
NAMES = re.compile(rf"\b({'|'.join(MODELS)})\b")


def figure_of(check: Check) -> str:
    """The number that decided, in words that have models by their titles."""
    return NAMES.sub(lambda match: title_of(match[0]), check.figure)


def name_of(number: int) -> str:
    return f"{number} · {EXPLANATIONS[number][0]}"


def take_over(model: str, number: int) -> None:
    """Take over the cell that was pressed."""
    st.session_state["check"] = number
    st.session_state["of"] = model


def show_matrix(checks: Checks) -> None:
    """One line a check, one column a model; pressing a verdict shows what is behind it."""
    widths = [5, *(3 for _ in checks)]
    for place, title in zip(st.columns(widths)[1:], checks, strict=True):
        place.markdown(f"**{title_of(title)}**")
    for number, (name, meaning) in EXPLANATIONS.items():
        first, *places = st.columns(widths)
        first.markdown(f"**{number} · {name}**  \n:small[{meaning}]")
        for place, (model, of_model) in zip(places, checks.items(), strict=True):
            check = next((c for c in of_model if c.number == number), None)
            if check is None:
                place.caption("not run")
                continue
            with place.container(gap="xxsmall"):
                st.button(
                    MARKS[check.verdict],
                    key=f"cell-{number}-{model}",
                    type="tertiary",
                    on_click=take_over,
                    args=(model, number),
                    help=f"{title_of(model)}, check {number}: show the numbers behind it",
                )
                st.caption(figure_of(check))


def number_words(number: Number) -> str:
    """A number as a line of a table."""
    interval = "" if number.low is None else f"{number.low:.3g} – {number.high:.3g}"
    return f"| {number.name} | {number.value:.3g} | {interval} | {number.n:,} |"


def choose_cell(checks: Checks) -> tuple[str, Check]:
    """Check and model, from the keyboard; pressing a verdict sets the same two."""
    numbers, models = list(EXPLANATIONS), list(checks)
    failures = [(c.number, model) for model in models for c in checks[model] if c.verdict == FAILED]
    usual, whose = min(failures, default=(1, models[0]))
    number = choose("selectbox", "Check", "check", numbers, title=name_of, default=usual)
    model = choose("selectbox", "Model", "of", models, title=title_of, default=whose)
    return model, next(check for check in checks[model] if check.number == number)


def show_detail(checks: Checks) -> None:
    """All numbers of one check on one model."""
    model, check = choose_cell(checks)
    st.markdown(f"{MARKS[check.verdict]} on **{title_of(model)}**: {figure_of(check)}")
    if check.details:
        lines = ["| Number | Value | 95 % interval | n |", "|---|---|---|---|"]
        st.markdown("\n".join([*lines, *(number_words(number) for number in check.details)]))
    if check.note:
        st.caption(check.note)
    if check.verdict == FAILED:
        st.warning(f"It touches: {touched_words(check)}.", icon=":material/warning:")


def touched_words(check: Check) -> str:
    """What a failed check touches: "success rate of PGD, BIM; undetected rate"."""
    attacks_of: dict[str, list[str]] = {}
    for touch in check.touches:
        metric, _, attack = touch.partition("/")
        attacks_of.setdefault(metric.replace("_", " "), []).append(attack_title(attack))
    parts = [
        metric if "" in attacks else f"{metric} of {', '.join(attacks)}"
        for metric, attacks in attacks_of.items()
    ]
    return "; ".join(parts)


def records(checks: Checks) -> list[Record]:
    """All numbers of all checks, for a file."""
    return [
        {
            "model": title_of(model),
            "check": check.number,
            "name": check.name,
            "verdict": check.verdict,
            "number": number.name,
            "value": number.value,
            "low": number.low,
            "high": number.high,
            "n": number.n,
        }
        for model, of_model in checks.items()
        for check in of_model
        for number in check.details or (Number("", float("nan"), 0),)
    ]


def main() -> None:
    st.title("Attack health", anchor=False)
    st.markdown(INTRO)
    dataset = state.dataset_name()
    bundle = state.bundle(dataset, QIN2020)
    if bundle is None:
        notices.missing_bundle(dataset)
        st.stop()
    of_models = checks.checks(bundle)
    if of_models is None:
        show_corrections()
        st.info(
            f"These results were built before there were checks; `{bundle.command}` runs them.",
            icon=":material/info:",
        )
        st.stop()
    count = sum(check.verdict == FAILED for of_model in of_models.values() for check in of_model)
    total = sum(len(of_model) for of_model in of_models.values())
    st.markdown(f"**{count} of {total}** checks failed. Press a verdict to see the numbers behind it.")
    left, right = st.columns([8, 4], gap="large")
    with right, st.container(key="health-detail"):
        show_detail(of_models)
    show_corrections()
    with left:
        show_matrix(of_models)
    about = {"dataset": dataset, "profile": bundle.profile}
    offer_csv("All numbers (CSV)", lambda: records(of_models), f"{dataset}-health", about)
    facts = checks.checked_how(bundle, next(iter(of_models)))
    status_line(
        f"{facts['fields']['steps']} iterations",
        f"computed on {facts['device']}, gradients in {facts['gradients']}",
        live=False,
        n=facts["n"],
        profile=bundle.profile,
    )


with notices.explained():
    main()
