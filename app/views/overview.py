"""What this is, in one screen, and where to go."""

from pathlib import Path

import streamlit as st
import torch

from app import state
from app.live import observe
from app.ui import explain, notices
from app.ui.choices import best_beta
from app.ui.explain import Example
from app.ui.images import png
from app.ui.picker import default_image
from app.ui.status import status_line
from app.ui.verdict import Verdict
from core.attacks import ReconstructivePGD
from core.metrics import threshold_at
from precompute.store import Bundle

DATASET, MODEL = "digits", "capsnet"
SOURCE, TARGET = 3, 8
# Fewer and longer iterations than the live page takes: the figure should be there at once.
STEPS, STEP_SIZE = 40, 0.02
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


def main() -> None:
    st.title("See what a network sees under attack", anchor=False)
    words, figure = st.columns([4, 7], gap="large")
    with words:
        st.markdown(TEXT.read_text("utf-8"))
        if st.button("Attack a digit", icon=":material/bolt:", type="primary", key="start"):
            st.switch_page("views/live_attack.py")
    found = state.bundle(DATASET)
    with figure:
        if found is None or MODEL not in state.model_names(found):
            notices.missing_bundle(DATASET)
        else:
            show_figure(found)
    st.space("small")
    for links in LINKS:
        for place, (page, icon, about) in zip(st.columns(len(links)), links, strict=True):
            with place.container(border=True, height="stretch", gap="xxsmall"):
                st.page_link(f"views/{page}.py", icon=f":material/{icon}:")
                st.caption(about)
    if found is not None:
        status_line("Digits", "CapsNet", f"{STEPS} iterations", live=True, n=2, profile=found.profile)


def show_figure(found: Bundle) -> None:
    clean = found.load(f"{MODEL}/clean", only=("validation_distance",)).tensors["validation_distance"]
    with st.spinner("Attacking an image"):
        examples = attacked(
            found.names[f"{MODEL}/weights"], threshold_at(clean), best_beta(found, MODEL) or 0.5
        )
    st.html(explain.figure(examples, clean))


@st.cache_data(max_entries=4, show_spinner=False)
def attacked(_weights: str, threshold: float, beta: float) -> list[Example]:
    """The same image clean, attacked with PGD, and attacked with R-PGD: with beta = 1 these two are one."""
    dataset, network = state.dataset(DATASET), state.model(DATASET, MODEL)
    if dataset is None:
        return []
    image = default_image(dataset, SOURCE)
    where = state.device()
    x, y = dataset.test.x([image, image]).to(where), dataset.test.labels[[image, image]].to(where)
    attack = ReconstructivePGD(dataset.spec.epsilon, STEP_SIZE, STEPS, beta=torch.tensor([1.0, beta]))
    with state.accelerator():
        result = attack(network, x, y, target=TARGET, index=torch.tensor([image, image]))
        frame = observe(network, torch.cat([x[:1], result.x_adv]))
    names = (
        ("Untouched", "as it was written"),
        ("Attacked", "PGD: fool the network"),
        ("Attacked again", "R-PGD: fool the detector, too"),
    )
    return [
        Example(
            name,
            about,
            png(frame.x[row]),
            png(frame.reconstruction[row]),
            Verdict(
                int(frame.prediction[row]),
                SOURCE,
                TARGET,
                float(frame.distance[row]),
                threshold,
                dataset.spec.classes,
            ),
            clean=row == 0,
        )
        for row, (name, about) in enumerate(names)
    ]


with notices.explained():
    main()
