"""What this is, in one screen, and where to go."""

from pathlib import Path
from typing import Any

import streamlit as st
import torch
from torch import Tensor

from app import state
from app.live import observe
from app.ui import explain, notices
from app.ui.explain import Example
from app.ui.images import png
from app.ui.status import status_line
from app.ui.verdict import Verdict
from core import data
from core.attacks import ATTACKS
from core.images import from_uint8, to_uint8
from core.metrics import threshold_at
from precompute.store import Artifact, Bundle

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
    found = state.bundle(DATASET)
    stored = found.get(f"{MODEL}/walkthrough") if found else None
    place = figure.empty()
    if found is None or stored is None:
        with figure:
            notices.missing_bundle(DATASET)
    else:
        show(place, found, stored, stored.tensors)
    st.space("small")
    for links in LINKS:
        for column, (page, icon, about) in zip(st.columns(len(links)), links, strict=True):
            with column.container(border=True, height="stretch", gap="xxsmall"):
                st.page_link(f"views/{page}.py", icon=f":material/{icon}:")
                st.caption(about)
    if found is None or stored is None:
        return
    foot = st.empty()
    facts = stored.facts
    about = ("Digits", "CapsNet", f"{facts['fields']['steps']} iterations")
    with foot:
        status_line(*about, live=False, n=len(facts["betas"]), profile=found.profile)
    # What is stored is on the screen by now; computing it anew takes the place of that when it is done.
    if live := attacked(found.names[f"{MODEL}/weights"], facts):
        show(place, found, stored, live)
        with foot:
            status_line(*about, live=True, n=len(facts["betas"]), profile=found.profile)


def show(place: Any, found: Bundle, stored: Artifact, seen: dict[str, Tensor]) -> None:
    """Draw the figure of three images as the network and the detector see them.

    Args:
        seen: `image`, `reconstruction`, `prediction` and `distance`, as the walkthrough stores them.
    """
    clean = found.load(f"{MODEL}/clean", only=("validation_distance",)).tensors["validation_distance"]
    threshold, classes = threshold_at(clean), data.spec(DATASET).classes
    examples = [
        Example(
            name,
            about,
            png(seen["image"][row]),
            png(seen["reconstruction"][row]),
            Verdict(
                int(seen["prediction"][row]),
                stored.facts["source"],
                stored.facts["target"],
                float(seen["distance"][row]),
                threshold,
                classes,
            ),
            clean=row == 0,
        )
        for row, (name, about) in enumerate(NAMES)
    ]
    place.html(explain.figure(examples, clean))


@st.cache_data(max_entries=4, show_spinner=False)
def attacked(
    weights: str,  # noqa: ARG001 - for the cache
    facts: dict[str, Any],
) -> dict[str, Tensor]:
    """The stored walkthrough's image, attacked anew; empty where there are no images.

    Args:
        weights: Key of the network's: what is computed once holds for these.
        facts: The walkthrough's.
    """
    dataset = state.dataset(DATASET)
    if dataset is None:
        return {}
    network, where = state.model(DATASET, MODEL), state.device()
    index = torch.full((len(facts["betas"]),), facts["index"])
    x, y = dataset.test.x(index).to(where), dataset.test.labels[index].to(where)
    attack = ATTACKS[facts["attack"]](**facts["fields"] | {"beta": torch.tensor(facts["betas"])})
    with state.accelerator():
        result = attack(network, x, y, target=facts["target"], index=index, seed=facts["seed"])
        images = to_uint8(torch.cat([x[:1], result.x_adv]).cpu())
        frame = observe(network, from_uint8(images).to(where))
    return {
        "image": images,
        "reconstruction": to_uint8(frame.reconstruction),
        "prediction": frame.prediction,
        "distance": frame.distance,
    }


with notices.explained():
    main()
