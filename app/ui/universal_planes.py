"""Parts of the page of universal perturbations: the settings, the two planes, the gallery."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import altair as alt
import numpy as np
import streamlit as st
import torch
from torch import Tensor

from app import universal
from app.ui.choose import Number, choose, choose_number, choose_whether
from app.ui.effects import full_gain
from app.ui.images import data_uri, perturbation_png
from app.ui.linked import show_linked
from app.universal import SPACES, Grid, Universals
from core.figures.colours import GREY, MODEL_COLOURS, MODEL_SHAPES, SEQUENTIAL_COLOURS
from core.figures.embedding import PART_COLOURS
from core.figures.plane import By, Dot, plane_chart
from core.figures.style import Record, in_words, percent
from core.models import TITLES

BY: dict[By, str] = {"model": "Model", "part": "Part", "norm": "Length", "fooling": "Fooling rate"}
OWN_READER = "own"
CHOSEN, PICKED = "one", "picked"


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
                _stored("neighbours", "UMAP: neighbours", known.neighbours, 15),
                _stored("draw_seed", "Seed", known.seeds, 0),
            )
        choose_whether(
            "Any setting",
            "free",
            help="Off: settings that were computed beforehand. On: any; what is not stored is computed now, "
            "which takes some seconds and can be stopped.",
        )
    return chosen


def _stored(key: str, label: str, values: Sequence[Number], usual: float) -> Number:
    if len(values) < 2:
        st.caption(f"{label} {values[0]:g}", width=140)
        return values[0]
    nearest = min(values, key=lambda value: abs(value - usual))
    return choose(
        "select_slider", label, key, values, title=lambda value: f"{value:g}", default=nearest, width=190
    )


def _number(key: str, label: str, most: int, usual: int, low: int = 2) -> int:
    return choose_number("slider", label, key, low, most, default=usual, width=190)


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


def choose_one(row: int) -> None:
    """Look closer at one."""
    st.session_state[CHOSEN] = row


def whose_rate(look: Look) -> str:
    """Whose fooling rate is told."""
    return f"fooling rate on {'its own network' if look.reader == OWN_READER else TITLES[look.reader]}"


def draw_plane(space: str, dots: Sequence[Dot], look: Look) -> alt.Chart:
    """One plane as a chart, to be saved."""
    rated, words = whose_rate(look), look.setting.words(space)
    return plane_chart(dots, SPACES[space], by=look.by, fooling_title=rated, subtitle=words)


def show_planes(planes: Mapping[str, tuple[list[Dot], str]], look: Look, every: Universals) -> None:
    """Planes side by side whose clicks and lassos are taken over.

    Args:
        planes: By space: its points, the same in each, and what it shows in a sentence.
    """
    dots, _ = next(iter(planes.values()))
    colours, symbols, ramp = colouring(dots, look)
    rated = whose_rate(look).capitalize()
    points = [
        {
            "id": dot.id,
            "shape": shape_of(dot.model),
            "colour": colour,
            "image": dot.image,
            "told": (
                every.name(dot.id),
                f"Length ℓ₂ {dot.norm:.2f}",
                f"{rated} {dot.fooling_text}",
                f"Magnified {dot.gain:.3g} times",
            ),
            "picked": dot.picked,
        }
        for dot, colour in zip(dots, colours, strict=True)
    ]
    shown = [
        {
            "title": SPACES[space],
            "subtitle": look.setting.words(space),
            "words": words,
            "places": [(dot.x, dot.y) for dot in placed],
        }
        for space, (placed, words) in planes.items()
    ]
    show_linked(
        shown,
        points,
        symbols,
        ramp,
        chosen=look.chosen,
        key="planes",
        on_lasso=lambda rows, more: pick_out([*rows, *(look.picked if more else ())], len(every)),
        on_click=choose_one,
    )


def shape_of(model: str) -> str:
    """A model's shape, by its title."""
    return MODEL_SHAPES.get(model, "cross")


def colouring(dots: Sequence[Dot], look: Look) -> tuple[list[str], dict[str, list[Record]], Record | None]:
    """Colours of points, and what shapes and colours mean, for `show_linked`; as `plane_chart` has them."""
    tint = {dot.model: MODEL_COLOURS.get(dot.model, GREY) for dot in dots}
    models = {
        "Network": [
            {"shape": shape_of(model), "colour": colour if look.by == "model" else GREY, "text": model}
            for model, colour in tint.items()
        ]
    }
    if look.by == "model":
        return [tint[dot.model] for dot in dots], models, None
    if look.by == "part":
        of = {part: PART_COLOURS[part % len(PART_COLOURS)] for part in sorted({dot.part for dot in dots})}
        squares = [
            {"shape": "square", "colour": colour, "text": str(part + 1)} for part, colour in of.items()
        ]
        return [of[dot.part] for dot in dots], {**models, "Part": squares}, None
    values = [dot.norm if look.by == "norm" else dot.fooling for dot in dots]
    known = [value for value in values if value is not None] or [0.0]
    low, high = min(known), max(known)
    ends = [f"{end:.2f}" if look.by == "norm" else percent(end) for end in (low, high)]
    title = "Length ℓ₂" if look.by == "norm" else whose_rate(look).capitalize()
    colours = [GREY if value is None else ramp((value - low) / ((high - low) or 1)) for value in values]
    return colours, models, {"title": title, "low": ends[0], "high": ends[1], "colours": SEQUENTIAL_COLOURS}


def ramp(share: float) -> str:
    """The colour at a share of the way along the sequential scale, in CSS."""
    place = share * (len(SEQUENTIAL_COLOURS) - 1)
    below = min(int(place), len(SEQUENTIAL_COLOURS) - 2)
    low, high = SEQUENTIAL_COLOURS[below : below + 2]
    return f"color-mix(in srgb, {high} {100 * (place - below):.0f}%, {low})"


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
