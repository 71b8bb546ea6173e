"""What this is, in one screen, and where to go."""

from pathlib import Path
from typing import Any

import streamlit as st
from torch import Tensor

from app import state
from app.results import QIN2020
from app.results import attacks as results
from app.ui import explain, notices
from app.ui.explain import Example
from app.ui.images import png
from app.ui.status import status_line
from core import data
from core.models import ReconstructingNet
from core.outcomes import Verdict
from core.walkthrough import walkthrough
from precompute.steps.records import Clean, Walkthrough
from precompute.store import Bundle

DATASET, MODEL = "digits", "capsnet"
TEXT = Path(__file__).parents[2] / "assets" / "texts" / "overview.md"
# Rows of pages, as the menu orders them, with their icons and what each is for.
LINKS = (
    (
        ("live_attack", "bolt", "Choose an image, a target and a strength, and watch."),
        ("source_target", "grid_view", "Which class is taken for which, in three networks."),
        ("gallery", "photo_library", "Attacked images beside what the networks saw."),
        ("detection", "radar", "How many attacks are missed, at how many false alarms."),
        ("coherence", "compare", "Are classes that look alike confused more easily?"),
    ),
    (
        ("universal", "public", "One change that fools a network on any image."),
        ("minimal", "straighten", "How little it takes to change an answer."),
        ("transfer", "swap_horiz", "Which network falls for what was made on another."),
        ("health", "health_and_safety", "Can the attacks be believed? Fifteen checks."),
        ("papers", "menu_book", "Published tables and figures beside ours."),
    ),
)
# Of the walkthrough's images: R-PGD with beta 1 is PGD.
NAMES = (
    ("Untouched", "as it was written"),
    ("Attacked", "PGD: fool the network"),
    ("Attacked again", "R-PGD: fool the detector, too"),
)


def main() -> None:
    st.title("See what a network sees under attack", anchor=False)
    words, figure = st.columns([4, 7], gap="large")
    with words:
        st.markdown(TEXT.read_text("utf-8"))
        if st.button("Attack a digit", icon=":material/bolt:", type="primary", key="start"):
            st.switch_page("views/live_attack.py")
    bundle = state.bundle(DATASET, QIN2020)
    stored = results.walkthrough(bundle, MODEL) if bundle else None
    place, clean = figure.empty(), None
    if bundle is None or stored is None:
        with figure:
            notices.missing_bundle(DATASET)
    else:
        clean = results.clean(bundle, MODEL)
        show(place, clean, stored)
    st.space("small")
    for links in LINKS:
        for column, (page, icon, about) in zip(st.columns(len(links)), links, strict=True):
            with column.container(border=True, height="stretch", gap="xxsmall"):
                st.page_link(f"views/{page}.py", icon=f":material/{icon}:")
                st.caption(about)
    if bundle is None or stored is None or clean is None:
        return
    foot = st.empty()
    facts = stored.facts
    about = ("Digits", "CapsNet", f"{facts['fields']['steps']} iterations")
    with foot:
        status_line(*about, live=False, n=len(facts["betas"]), profile=bundle.profile)
    # What is stored is on the screen by now; computing it anew takes the place of that when it is done.
    if live := attacked(bundle.names[f"{MODEL}/weights"], dict(facts), bundle):
        show(place, clean, Walkthrough(**live, facts=facts))
        with foot:
            status_line(*about, live=True, n=len(facts["betas"]), profile=bundle.profile)


def show(place: Any, clean: Clean, seen: Walkthrough) -> None:
    """Draw the figure of three images as the network and the detector see them."""
    threshold, classes = clean.threshold(), data.spec(DATASET).classes
    examples = [
        Example(
            name,
            about,
            png(seen.image[row]),
            png(seen.reconstruction[row]),
            Verdict(
                int(seen.prediction[row]),
                seen.facts["source"],
                seen.facts["target"],
                float(seen.distance[row]),
                threshold,
                classes,
            ),
            clean=row == 0,
        )
        for row, (name, about) in enumerate(NAMES)
    ]
    place.html(explain.figure(examples, clean.validation_distance))


@st.cache_data(max_entries=4, show_spinner=False)
def attacked(
    weights: str,  # noqa: ARG001 - for the cache
    facts: dict[str, Any],
    _bundle: Bundle,
) -> dict[str, Tensor]:
    """The stored walkthrough's image, attacked anew; empty where there are no images.

    Args:
        weights: Key of the network's: what is computed once holds for these.
        facts: The walkthrough's.
        _bundle: The bundle that has them.
    """
    dataset = state.dataset(DATASET)
    if dataset is None:
        return {}
    network = state.model(_bundle, MODEL)
    assert isinstance(network, ReconstructingNet)
    with state.accelerator():
        return walkthrough(network, dataset.test, facts)


with notices.explained():
    main()
