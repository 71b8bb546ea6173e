"""Parts of the page of universal perturbations: the settings, the two planes, the gallery."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import altair as alt
import numpy as np
import streamlit as st
import torch
from torch import Tensor

from app import universal, url
from app.ui.charts import show_chart
from app.ui.effects import full_gain
from app.ui.images import data_uri, perturbation_png
from app.universal import SPACES, Grid, Universals
from core.figures.plane import By, Dot, inside, plane_chart
from core.figures.style import in_words
from core.models import TITLES

BY: dict[By, str] = {"model": "Model", "part": "Part", "norm": "Length", "fooling": "Fooling rate"}
OWN_READER = "own"
CHOSEN, PICKED, REVISION = "one", "picked", "_plane_revision"


@dataclass(frozen=True)
class Setting:
    """Of the two embeddings.

    Attributes:
        perplexity: Of t-SNE.
        neighbours: Of UMAP.
        seed: Of both.
    """

    perplexity: float
    neighbours: int
    seed: int

    def of(self, space: str) -> float:
        """The perplexity, or the number of neighbours."""
        return self.perplexity if space == "tsne" else self.neighbours

    def words(self, space: str) -> str:
        """In words: "perplexity 30, seed 0"."""
        name = "perplexity" if space == "tsne" else "neighbours"
        return f"{name} {self.of(space):g}, seed {self.seed}"


@dataclass(frozen=True)
class Look:
    """Everything that decides what the planes look like.

    Attributes:
        known: The stored settings, and whose perturbations are shown.
        setting: The chosen one.
        by: What colours tell.
        reader: Whose fooling rate is told; `OWN_READER` for each one's own network.
        chosen: Row of the perturbation that is looked at.
        picked: Rows that are picked out; none for all.
        isolated: Whether only those are shown.
    """

    known: Grid
    setting: Setting
    by: By
    reader: str
    chosen: int
    picked: tuple[int, ...]
    isolated: bool


def choose_setting(known: Grid, count: int) -> Setting:
    """Sliders: through the stored settings, or through all with which something is computed."""
    url.check_choice("free", ("true", "false"), "Any setting")
    free = st.session_state.get("free", st.query_params.get("free") == "true")
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        if free:
            most = max(min(count - 1, 100), 2)
            chosen = Setting(
                _number("any_perplexity", "t-SNE: perplexity", most, min(30, most)),
                _number("any_neighbours", "UMAP: neighbours", most, min(15, most)),
                _number("any_seed", "Seed", 99, 0, low=0),
            )
        else:
            chosen = Setting(
                float(_stored("perplexity", "t-SNE: perplexity", known.perplexities, 30)),
                int(_stored("neighbours", "UMAP: neighbours", known.neighbours, 15)),
                int(_stored("draw_seed", "Seed", known.seeds, 0)),
            )
        st.toggle(
            "Any setting",
            key="free",
            bind="query-params",
            help="Off: settings that were computed beforehand. On: any; what is not stored is computed now, "
            "which takes some seconds and can be stopped.",
        )
    return chosen


def _stored(key: str, label: str, values: Sequence[float], usual: float) -> float:
    titles = [f"{value:g}" for value in values]
    url.check_choice(key, titles, label)
    url.keep_possible(key, values)
    nearest = min(values, key=lambda value: abs(value - usual))
    if len(values) < 2:
        st.caption(f"{label} {values[0]:g}", width=140)
        return values[0]
    return st.select_slider(
        label,
        values,
        nearest,
        format_func=lambda value: f"{value:g}",
        key=key,
        bind="query-params",
        width=190,
    )


def _number(key: str, label: str, most: int, usual: int, low: int = 2) -> int:
    url.check_number(key, low, most, label)
    if st.session_state.get(key, low) > most:
        st.session_state[key] = most
    return st.slider(label, low, most, usual, key=key, bind="query-params", width=190)


# Thumbnails follow from the key.
@st.cache_resource(max_entries=8, show_spinner=False)
def thumbnails(key: str, _every: Universals) -> list[tuple[str, float]]:  # noqa: ARG001
    """Every perturbation as an address that carries it, with the factor by which it is magnified."""
    found: list[tuple[str, float]] = []
    for levels in _every.levels:
        gain = full_gain(levels)
        found.append((data_uri(perturbation_png(levels, gain, small=True)), gain))
    return found


def make_dots(
    every: Universals, rows: Tensor, where: np.ndarray, reader: str, picked: Sequence[int]
) -> list[Dot]:
    """Points of a plane.

    Args:
        rows: Of the collection, (M,).
        where: Their coordinates, (M, 2).
        reader: Whose fooling rate is told; `OWN_READER` for each one's own model.
        picked: Rows that are picked out; none for all.
    """
    pictures, chosen = thumbnails(every.key, every), set(picked)
    found: list[Dot] = []
    for row, (x, y) in zip(rows.tolist(), where.tolist(), strict=True):
        model = every.model(row)
        rated = every.fooling(row, model if reader == OWN_READER else reader)
        image, gain = pictures[row]
        found.append(
            Dot(
                id=row,
                x=round(x, 3),
                y=round(y, 3),
                model=TITLES[model],
                part=int(every.part[row]),
                number=int(every.number[row]),
                norm=round(float(every.norm_l2[row]), 4),
                fooling=round(rated.value, 4) if rated else None,
                fooling_text=in_words(rated) if rated else "unknown",
                image=image,
                gain=gain,
                picked=not chosen or row in chosen,
            )
        )
    return found


def picked_rows(count: int) -> list[int]:
    """What is picked out, from the address; none where nothing is."""
    text = st.query_params.get(PICKED, "")
    found = universal.unpacked(text, count) if text else []
    if found is None:
        st.query_params.pop(PICKED)
        st.warning(
            "The address was corrected. Its selection is not about these perturbations; showing all.",
            icon=":material/link_off:",
        )
    return found or []


def pick_out(rows: Sequence[int], count: int) -> None:
    """Pick some out; none ends it."""
    text = universal.packed(list(rows), count)
    if text:
        st.query_params[PICKED] = text
    else:
        st.query_params.pop(PICKED, None)
    # Charts are to forget the rectangle that was drawn in them.
    st.session_state[REVISION] = st.session_state.get(REVISION, 0) + 1


def choose_one(row: int) -> None:
    """Look closer at one."""
    st.session_state[CHOSEN] = row


def take_over(key: str, dots: Sequence[Dot], count: int) -> None:
    """Take over what was clicked or brushed in a plane."""
    for name, chosen in st.session_state[key]["selection"].items():
        if not chosen:
            continue
        if name.startswith("dot"):
            choose_one(int(chosen[0]["id"]))
        elif "x" in chosen and "y" in chosen:
            rows = inside(dots, chosen["x"], chosen["y"])
            if rows:
                pick_out(rows, count)


def draw_plane(space: str, dots: Sequence[Dot], look: Look, *, chosen: int | None = None) -> alt.LayerChart:
    """One plane; a point may be ringed."""
    whose = "its own network" if look.reader == OWN_READER else TITLES[look.reader]
    return plane_chart(
        dots,
        SPACES[space],
        by=look.by,
        fooling_title=f"fooling rate on {whose}",
        subtitle=look.setting.words(space),
        chosen=chosen,
        revision=f"_{st.session_state.get(REVISION, 0)}_{look.chosen}",
    )


def show_plane(space: str, dots: Sequence[Dot], look: Look, words: str, count: int) -> None:
    """One plane whose clicks and brushes are taken over.

    Args:
        words: What it shows, in a sentence.
        count: Perturbations in the collection.
    """
    key = f"plane-{space}"
    chart = draw_plane(space, dots, look, chosen=look.chosen)
    show_chart(chart, words, key, partial(take_over, key, dots, count))


def show_thumbnails(every: Universals, rows: Sequence[int], place: str, notes: Sequence[str] = ()) -> None:
    """Perturbations as buttons; one that is pressed is looked at closer.

    Args:
        place: Makes the buttons' keys differ from those of other places.
        notes: Of each, what is said besides its name.
    """
    pictures = thumbnails(every.key, every)
    with st.container(horizontal=True, gap="xxsmall", key=f"thumbnails-{place}"):
        for number, row in enumerate(rows):
            name = every.name(row)
            told = f"{name}, length {float(every.norm_l2[row]):.2f}, magnified {pictures[row][1]:.3g} times"
            st.button(
                f"![{name}]({pictures[row][0]})",
                key=f"see-{place}-{row}",
                type="primary" if row == st.session_state.get(CHOSEN) else "secondary",
                help=told + (f", {notes[number]}" if notes else ""),
                on_click=choose_one,
                args=(row,),
            )


def mean_levels(every: Universals, rows: Sequence[int]) -> Tensor:
    """The mean perturbation of some, (C, H, W), in levels of 1/255."""
    return every.levels[torch.tensor(list(rows))].float().mean(0)
