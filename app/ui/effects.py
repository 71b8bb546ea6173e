"""Images with a perturbation as tiles: what a network makes of them, without a detector."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from torch import Tensor

from app.ui.images import data_uri, perturbation_png, png
from core.figures.colours import OUTCOME_COLOURS
from core.images import LEVELS
from core.outcomes import Effect

COLOURS = {
    Effect.FOOLED: OUTCOME_COLOURS["undetected"],
    Effect.OTHER: OUTCOME_COLOURS["wrong class"],
    Effect.HELD: OUTCOME_COLOURS["failed"],
    Effect.ALREADY: OUTCOME_COLOURS["flagged"],
}
MARKS = {Effect.FOOLED: "●", Effect.OTHER: "◐", Effect.HELD: "○", Effect.ALREADY: "◇"}
WORDS = {
    Effect.FOOLED: "read rightly before, and not any more; where there is a target, read as that",
    Effect.OTHER: "misread, but not as the target",
    Effect.HELD: "still read as its true class",
    Effect.ALREADY: "misread as it stands, without any change",
}


@dataclass(frozen=True)
class Shown:
    """One picture of a tile: an address that carries it, a text for those who do not see it, a caption."""

    uri: str
    alt: str
    caption: str


@dataclass(frozen=True)
class EffectTile:
    """One image.

    Attributes:
        head: In bold: "3 → 8".
        kind: What became of it.
        pictures: From left to right.
        left, right: Below the pictures.
        marked: Whether it says in words what became of it; where all are the same, that is said once.
    """

    head: str
    kind: Effect
    pictures: tuple[Shown, ...]
    left: str = ""
    right: str = ""
    marked: bool = True


def reading(prediction: int, clean: int, label: int, classes: Sequence[str]) -> str:
    """What is read, and what was before, where that was not the true class."""
    before = "" if clean == label else f", before {classes[clean]}"
    return f"reads {classes[prediction]}{before}"


def picture(image: Tensor, alt: str, caption: str) -> Shown:
    """An image (C, H, W), as `png` takes it."""
    return Shown(data_uri(png(image)), alt, caption)


def change(levels: Tensor, what: str, gain: float | None = None) -> Shown:
    """A perturbation (C, H, W) in levels of 1/255, magnified; its caption says how much."""
    gain = full_gain(levels) if gain is None else gain
    words = f"{what}, magnified {gain:.3g} times"
    return Shown(data_uri(perturbation_png(levels, gain)), words, f"change ×{gain:.3g}")


def full_gain(levels: Tensor) -> float:
    """The factor at which the largest change of a perturbation in levels has the full colour."""
    return LEVELS / max(float(levels.abs().max()), 1.0)


def grid(tiles: Sequence[EffectTile], *, columns: int | None = None) -> str:
    """Tiles in columns, as HTML for the styles of `tiles.css`.

    Args:
        columns: How many where there is room; None for as many as fit.
    """
    most = max((len(tile.pictures) for tile in tiles), default=1)
    fixed = "" if columns is None else " ct-fixed"
    style = f"--ct-min:{max(9.5, 0.5 + 4.9 * most):g}rem;--ct-columns:{columns or 1}"
    return f'<div class="ct-grid{fixed}" style="{style}">{"".join(_tile(tile) for tile in tiles)}</div>'


def key(kinds: Sequence[Effect] = tuple(Effect)) -> str:
    """What the colours of frames mean."""
    parts = [
        f'<span style="--c:{COLOURS[k]}"><span class="ct-mark" aria-hidden="true">{MARKS[k]}</span> '
        f"<b>{k.value}</b> {WORDS[k]}</span>"
        for k in kinds
    ]
    return f'<div class="ct-key">{"".join(parts)}</div>'


def _tile(tile: EffectTile) -> str:
    pictures = "".join(
        f'<figure><img src="{shown.uri}" alt="{escape(shown.alt, quote=True)}" loading="lazy">'
        f"<figcaption>{escape(shown.caption)}</figcaption></figure>"
        for shown in tile.pictures
    )
    sign = f'<span class="ct-mark" aria-hidden="true">{MARKS[tile.kind]}</span>'
    mark = f"{sign} {tile.kind.value}" if tile.marked else sign
    return (
        f'<div class="ct-tile" style="--c:{COLOURS[tile.kind]}">'
        f'<div class="ct-head"><b>{escape(tile.head)}</b><span>{mark}</span></div>'
        f'<div class="ct-pics">{pictures}</div>'
        f'<div class="ct-foot"><span>{escape(tile.left)}</span><span>{escape(tile.right)}</span></div></div>'
    )
