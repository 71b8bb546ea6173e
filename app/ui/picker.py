"""Choose a test image: by number, by thumbnail, at random."""

import random

import streamlit as st
import torch

from app.ui.choices import usual_pair
from app.ui.choose import choose, choose_number
from app.ui.images import data_uri, png
from core.data import Dataset

THUMBNAILS = 10
EACH = "One of each"


def first_image(dataset: Dataset, label: int) -> int:
    """The first test image of a class."""
    return int(torch.nonzero(dataset.test.labels == label)[0])


def choose_image(dataset: Dataset) -> int:
    """Draw the controls.

    Returns: Index into the test images.
    """
    count, classes = len(dataset.test), dataset.spec.classes
    bar = st.container(horizontal=True, vertical_alignment="bottom", gap="small")
    with bar:
        chosen = choose_number(
            "number_input",
            "Test image",
            "image",
            0,
            count - 1,
            default=first_image(dataset, usual_pair(classes)[0]),
            what="Image",
            width=122,
            help=f"Number of the image among the {count:,} test images, which no model was trained on.",
        )
        wanted = choose(
            "selectbox", "Show", "show", (EACH, *classes), width=140, help="Which images to pick from"
        )
    indices, pages = _candidates(dataset, wanted)
    page = min(st.session_state.get("more", 0), pages - 1)
    with bar.container(horizontal=True, gap="xxsmall", key="thumbnails", width="content"):
        for index in indices[page * THUMBNAILS : (page + 1) * THUMBNAILS]:
            name = f"{classes[int(dataset.test.labels[index])]}, image {index}"
            st.button(
                f"![{name}]({data_uri(png(dataset.test.images[index]))})",
                key=f"pick-{index}",
                type="primary" if index == chosen else "secondary",
                on_click=_pick,
                args=(index,),
            )
    bar.button(
        "More",
        icon=":material/chevron_right:",
        type="tertiary",
        key="more-button",
        on_click=_turn,
        args=((page + 1) % pages,),
        help=f"The next {THUMBNAILS} images",
    )
    bar.button(
        "Random",
        icon=":material/casino:",
        type="tertiary",
        key="random",
        on_click=_pick_random,
        args=(count, chosen),
        help="Any of the test images",
    )
    return chosen


def _candidates(dataset: Dataset, wanted: str) -> tuple[list[int], int]:
    """Image numbers in the order in which they are offered, and how many rows they fill."""
    labels, classes = dataset.test.labels, dataset.spec.classes
    if wanted != EACH:
        members: list[int] = torch.nonzero(labels == classes.index(wanted)).flatten().tolist()
        return members, _pages(members)
    of_class = [torch.nonzero(labels == label).flatten().tolist() for label in range(dataset.spec.n_classes)]
    rows = min(len(members) for members in of_class)
    of_each = [members[row] for row in range(rows) for members in of_class]
    return of_each, _pages(of_each)


def _pages(indices: list[int]) -> int:
    return max(1, -(-len(indices) // THUMBNAILS))


def _pick(index: int) -> None:
    st.session_state["image"] = index


def _pick_random(count: int, chosen: int) -> None:
    st.session_state["image"] = random.choice([index for index in range(count) if index != chosen])


def _turn(page: int) -> None:
    st.session_state["more"] = page
