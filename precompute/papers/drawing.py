"""A drawn figure: its panels, the rows behind them, and what could not be drawn."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import altair as alt
from PIL import Image

from core.figures.style import Record

Chart = alt.LayerChart | alt.Chart


class NotDrawable(LookupError):  # noqa: N818 - says what is the matter without a suffix
    """What a figure needs and is not there; the message says which, in a few words."""


@dataclass(frozen=True, eq=False)
class Panel:
    """A part of a figure.

    Attributes:
        drawn: A chart, or a picture.
        words: What it shows, in a sentence.
    """

    drawn: Chart | Image.Image
    words: str


@dataclass(frozen=True, eq=False)
class Drawing:
    """A figure.

    Attributes:
        panels: From left to right; at least one.
        rows: The numbers behind them, all with the same columns.
        missing: What the paper's figure has besides, and why it is not here.
    """

    panels: tuple[Panel, ...]
    rows: tuple[Record, ...]
    missing: tuple[str, ...] = ()


def gather(parts: Sequence[tuple[str, Callable[[], tuple[list[Panel], list[Record]]]]]) -> Drawing:
    """Draw what can be drawn of a figure's parts.

    Args:
        parts: For each its title and what draws it.
    Raises: NotDrawable: when none can be drawn; it names the reasons.
    """
    panels: list[Panel] = []
    rows: list[Record] = []
    missing: dict[str, NotDrawable] = {}
    for title, draw in parts:
        try:
            drawn, found = draw()
        except NotDrawable as reason:
            missing[title] = reason
        else:
            panels += drawn
            rows += found
    if not panels:
        raise NotDrawable("; ".join(dict.fromkeys(str(reason) for reason in missing.values())))
    told = tuple(f"{title}: {reason}" for title, reason in missing.items())
    return Drawing(tuple(panels), tuple(rows), told)
