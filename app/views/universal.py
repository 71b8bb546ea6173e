"""Universal perturbations: where they lie among each other, and what each does (michels2019, Fig. 2)."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from torch import Tensor

from app.embedder import Embedded
from app.results import universals
from app.results.universals import EVERY, NEEDS, PAPER, SPACES, Universals
from app.ui import notices, tiles
from app.ui.choose import choose, show_corrections
from app.ui.columns import columns
from app.ui.page import Opened, open_michels2019
from app.ui.saving import offer_drawing
from app.ui.status import status_line
from app.ui.universal import coordinates, picks
from app.ui.universal.coordinates import Placed
from app.ui.universal.groups import pick_by_name, separation_rows, show_picked, show_separation
from app.ui.universal.one import choose_one, show_effect, show_one
from app.ui.universal.planes import BY, OWN_READER, Look, draw_plane, make_dots, show_planes
from app.ui.universal.settings import choose_setting
from core.figures.plane import By, Dot
from core.figures.style import Record
from core.models import title_of
from precompute.papers import Drawing, Panel

INTRO = """
One change, added to **any** image, that halves a network's accuracy: each point is such a perturbation. Draw
a line around points to see what they have in common; click one to look closer. Do networks **leave a
signature** in them?
"""
SCOPES = {EVERY: "All networks", PAPER: "Those of the paper"}


def choose_view(every: Universals) -> tuple[str, By, str]:
    """Whose perturbations, and what colours tell."""
    scope = choose("segmented_control", "Networks", "nets", list(SCOPES), title=SCOPES.__getitem__)
    by = choose(
        "segmented_control",
        "Colour by",
        "tint",
        list(BY),
        title=BY.__getitem__,
        help="Parts of the test set are what perturbations were made from. Shapes always tell networks.",
    )
    readers = [OWN_READER, *every.readers]
    titles = {OWN_READER: "its own network", **{name: title_of(name) for name in every.readers}}
    reader = choose(
        "selectbox",
        "Fooling rate on",
        "fools",
        readers,
        title=titles.__getitem__,
        width=190,
        help="Share of the test images that this network reads rightly, and does not with the perturbation.",
    )
    return scope, by, reader


def show_embeddings(
    page: Opened,
    every: Universals,
    rows: Tensor,
    placed: Placed,
    look: Look,
    beside: DeltaGenerator,
) -> None:
    """Both planes, and beside them how far groups are apart."""
    drawn: dict[str, tuple[list[Dot], str]] = {}
    records: list[Record] = []
    picked = set(look.picked)
    for space, made in placed.items():
        if made is None:
            continue
        where = made.places if isinstance(made, Embedded) else made
        dots = make_dots(every, rows, where, look.reader, look.picked)
        if look.isolated:
            dots = [dot for dot in dots if dot.id in picked]
        if not dots:
            continue
        words = (
            f"{SPACES[space]} of {len(dots)} universal perturbations, {look.setting.words(space)}, coloured "
            f"by {BY[look.by].lower()}."
        )
        drawn[space] = dots, words
        about = {**page.about, "space": space, "setting": look.setting.of(space), "seed": look.setting.seed}
        records += [{**about, **dot.record()} for dot in dots]
    with beside:
        computed = {space: made.rows for space, made in placed.items() if isinstance(made, Embedded)}
        show_separation(page, separation_rows(page.bundle, look.grid, look.setting, computed))
    if drawn:
        show_planes(drawn, look, every)
        panels = [Panel(draw_plane(s, dots, look), words) for s, (dots, words) in drawn.items()]
        offer_drawing(Drawing(tuple(panels), tuple(records)), f"{page.spec.name}-universal")


def main() -> None:
    st.html(tiles.STYLE)
    page = open_michels2019("Universal perturbations", INTRO, needs=NEEDS, what="universal perturbations")
    every = universals.collect(page.bundle)
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        scope, by, reader = choose_view(every)
    grid = universals.grid(page.bundle, scope)
    rows = every.rows_of(grid.models)
    setting = choose_setting(grid, len(rows))
    picked = picks.picked_rows(len(every))
    # What is chosen further down decides what is drawn here.
    corrections = st.container()
    left, beside = columns([10, 4], "planes", least=15)
    with left:
        above = st.container()
        isolated = pick_by_name(every, grid, picked)
    middle = st.container()
    st.subheader("One perturbation", anchor=False)
    row = choose_one(every, rows)
    look = Look(grid, setting, by, reader, row, tuple(picked), isolated)
    placed = coordinates.find(every, grid, setting)
    all_placed = all(made is not None for made in placed.values())
    with corrections:
        show_corrections()
    if all_placed:
        with above:
            show_embeddings(page, every, rows, placed, look, beside)
    with middle:
        show_picked(page, every, rows, picked)
    show_one(page, every, rows, row)
    show_effect(page, every, row)
    if not all_placed:  # last, as it takes a while
        with above:
            placed = coordinates.complete(placed, every, rows, grid, setting)
            show_embeddings(page, every, rows, placed, look, beside)
    facts = every.facts
    made_now = [made.seconds for made in placed.values() if isinstance(made, Embedded)]
    status_line(
        f"{facts['parts']} parts × {facts['per_part']} perturbations of each network",
        f"made from {facts['part_images']} images each",
        *page.origin,
        *([f"planes computed now in {sum(made_now):.0f} s"] if made_now else []),
        live=False,
        n=len(rows),
        profile=page.bundle.profile,
    )


with notices.explained():
    main()
