"""The two planes: what decides what they look like, their points, colours and clicks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import altair as alt
import numpy as np
from torch import Tensor

from app.results.universals import SPACES, Grid, Universals
from app.ui.linked import show_linked
from app.ui.universal import picks
from app.ui.universal.settings import Setting
from app.ui.universal.thumbnails import thumbnails
from core.figures.colours import GREY, SEQUENTIAL_COLOURS, colour_of, marker_of
from core.figures.embedding import PART_COLOURS
from core.figures.plane import By, Dot, plane_chart
from core.figures.style import Record, in_words, percent
from core.models import title_of

BY: dict[By, str] = {"model": "Model", "part": "Part", "norm": "Length", "fooling": "Fooling rate"}
OWN_READER = "own"


@dataclass(frozen=True)
class Look:
    """Everything that decides what the planes look like.

    Attributes:
        grid: The stored settings, and whose perturbations are shown.
        setting: The chosen one.
        by: What colours tell.
        reader: Whose fooling rate is told; `OWN_READER` for each one's own network.
        chosen: Row of the perturbation that is looked at.
        picked: Rows that are picked out; none for all.
        isolated: Whether only those are shown.
    """

    grid: Grid
    setting: Setting
    by: By
    reader: str
    chosen: int
    picked: tuple[int, ...]
    isolated: bool


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
    dots: list[Dot] = []
    for row, (x, y) in zip(rows.tolist(), where.tolist(), strict=True):
        model = every.model(row)
        rated = every.fooling(row, model if reader == OWN_READER else reader)
        image, gain = pictures[row]
        dots.append(
            Dot(
                id=row,
                x=round(x, 3),
                y=round(y, 3),
                model=title_of(model),
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
    return dots


def whose_rate(look: Look) -> str:
    """Whose fooling rate is told."""
    return f"fooling rate on {'its own network' if look.reader == OWN_READER else title_of(look.reader)}"


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
            "shape": marker_of(dot.model),
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
        on_lasso=lambda rows, more: picks.pick_out([*rows, *(look.picked if more else ())], len(every)),
        on_click=picks.look_closer,
    )


def colouring(dots: Sequence[Dot], look: Look) -> tuple[list[str], dict[str, list[Record]], Record | None]:
    """Colours of points, and what shapes and colours mean, for `show_linked`; as `plane_chart` has them."""
    tint = {dot.model: colour_of(dot.model) for dot in dots}
    models = {
        "Network": [
            {"shape": marker_of(model), "colour": colour if look.by == "model" else GREY, "text": model}
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
    numbers = [value for value in values if value is not None] or [0.0]
    low, high = min(numbers), max(numbers)
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
