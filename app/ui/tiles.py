"""Attacked images as tiles: the outcome's colour, the pictures, the answer, the distance against theta."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import streamlit as st
import torch

from app.results import attacks as results
from app.results.attacks import Attacked
from app.ui.images import data_uri, perturbation_png, png
from app.ui.outcomes import COLOURS, MARKS, TITLES
from core.data import Dataset, DatasetSpec
from core.figures.colours import colour_of
from core.images import LEVELS
from core.outcomes import Outcome, Verdict
from precompute.store import Bundle

STYLE = Path(__file__).resolve().parents[2] / "assets" / "theme" / "tiles.css"

ORIGINAL, PERTURBATION, ATTACKED, REBUILT = "Original", "Perturbation", "Attacked", "Rebuilt"
KINDS = (ORIGINAL, PERTURBATION, ATTACKED, REBUILT)
"""Pictures that a tile can show, in their order."""


@dataclass(frozen=True)
class Tile:
    """One attacked image.

    Attributes:
        model: The model's title.
        number: Of the image among the test images.
        verdict: What came of the attack.
        pictures: Addresses that carry PNGs, by kind.
        gain: Factor by which the perturbation is magnified.
    """

    model: str
    number: int
    verdict: Verdict
    pictures: dict[str, str]
    gain: float


def make_tiles(
    bundle: Bundle,
    spec: DatasetSpec,
    dataset: Dataset | None,
    attack: Attacked,
    rows: Sequence[int],
    threshold: float,
) -> list[Tile]:
    """Tiles of some rows of an attack; without a local copy of the data set, of the perturbation alone.

    Raises: ValueError: when the perturbation of a row was not kept.
    """
    pictures = _pictures(attack.key, tuple(rows), dataset is not None, bundle, dataset, attack)
    gain = _gain(attack)
    return [
        Tile(attack.title, int(attack.index[row]), attack.verdict(row, threshold, spec.classes), shown, gain)
        for row, shown in zip(rows, pictures, strict=True)
    ]


def kept_words(shown: int, count: int) -> str:
    """Why not all attacks that are counted have pictures."""
    return (
        f"Pictures of {shown:,} of these {count:,} attacks: only the changes to a few images are stored. "
        "The numbers count all."
    )


def grid(tiles: Sequence[Tile], show: Sequence[str], *, name_models: bool, columns: int | None = None) -> str:
    """Tiles in columns.

    Args:
        show: Kinds of pictures.
        name_models: Whether each tile says whose it is.
        columns: How many where there is room; None for as many as fit.
    """
    kinds = [kind for kind in KINDS if kind in show]
    width = max(10.5, 0.5 + 4.9 * len(kinds))
    tiles_html = "".join(_tile(tile, kinds, name_model=name_models) for tile in tiles)
    fixed = "" if columns is None else " ct-fixed"
    style = f"--ct-min:{width:g}rem;--ct-columns:{columns or 1}"
    return f'<div class="ct-grid{fixed}" style="{style}">{tiles_html}</div>'


def comparison(columns: Mapping[str, Sequence[Tile]], notes: dict[str, str]) -> str:
    """The same images under several models: one line an image, one column a model.

    Args:
        columns: Tiles by model title; equally many, of the same images, in the same order.
        notes: A few words on each model, by title.
    """
    parts = ['<div class="ct-corner"></div>']
    for title in columns:
        style = f"--c:{colour_of(title)}"
        parts.append(
            f'<div class="ct-title" style="{style}">{escape(title)} <span>{escape(notes[title])}</span></div>'
        )
    for line in zip(*columns.values(), strict=True):
        first = line[0]
        name = first.verdict.classes[first.verdict.label]
        image = _image(first.pictures, ORIGINAL, f"The original image, a {name}")
        parts.append(
            f'<div class="ct-source">{image}{escape(name)}<br><span>image {first.number}</span></div>'
        )
        parts += [
            _tile(tile, (PERTURBATION, ATTACKED, REBUILT), name_model=False, short=True) for tile in line
        ]
    template = f"5.2rem repeat({len(columns)}, minmax(0, 1fr))"
    return f'<div class="ct-pairs" style="grid-template-columns:{template}">{"".join(parts)}</div>'


def colour_key(outcomes: Sequence[Outcome] = tuple(Outcome)) -> str:
    """What the colours of frames mean."""
    words = {
        Outcome.UNDETECTED: "worked, and the detector missed it",
        Outcome.FLAGGED: "worked, but was flagged",
        Outcome.OTHER: "a wrong class, but not the target",
        Outcome.FAILED: "still read as its true class",
    }
    parts = [
        f'<span style="--c:{COLOURS[o]}"><span class="ct-mark" aria-hidden="true">{MARKS[o]}</span> '
        f"<b>{TITLES[o]}</b> {words[o]}</span>"
        for o in outcomes
    ]
    return f'<div class="ct-key">{"".join(parts)}</div>'


def _tile(tile: Tile, kinds: Sequence[str], *, name_model: bool, short: bool = False) -> str:
    v = tile.verdict
    source = v.classes[v.label]
    target = "any other" if v.target is None else v.classes[v.target]
    answer = v.classes[v.prediction]
    alts = {
        ORIGINAL: f"The original image, a {source}",
        PERTURBATION: f"What the attack changed, magnified {tile.gain:.3g} times",
        ATTACKED: f"A {source} attacked to be read as {target}; {tile.model} reads {answer}. {v.headline}.",
        REBUILT: f"What {tile.model} rebuilds of it, as {answer}",
    }
    captions = {
        ORIGINAL: "original",
        PERTURBATION: f"change ×{tile.gain:.3g}",
        ATTACKED: "attacked",
        REBUILT: f"rebuilt as {answer}" if len(answer) < 3 else "rebuilt",
    }
    pictures = "".join(
        f"<figure>{_image(tile.pictures, kind, alts[kind])}"
        f"<figcaption>{escape(captions[kind])}</figcaption></figure>"
        for kind in kinds
        if kind in tile.pictures
    )
    head = f"reads {escape(answer)}" if short else f"{escape(source)} → {escape(target)}"
    reads = "" if short else f"reads {escape(answer)}"
    whose = f"{escape(tile.model)} " if name_model else ""
    side = "&gt;" if v.flagged else "≤"
    mark = f'<span class="ct-mark" aria-hidden="true">{MARKS[v.outcome]}</span> {TITLES[v.outcome]}'
    share = min(v.distance / (2 * v.threshold), 1) if v.threshold > 0 else 1
    against = f"d {v.distance:.2f} {side} θ {v.threshold:.2f}"
    return (
        f'<div class="ct-tile" style="--c:{COLOURS[v.outcome]}" title="{escape(v.sentence, quote=True)}">'
        f'<div class="ct-head"><b>{head}</b><span>{mark}</span></div>'
        f'<div class="ct-pics">{pictures}</div>'
        f'<div class="ct-foot"><span>{whose}{reads}</span><span>{against}</span></div>'
        f'<div class="ct-meter" aria-hidden="true"><i style="width:{100 * share:.0f}%"></i><u></u></div>'
        "</div>"
    )


def _image(pictures: dict[str, str], kind: str, alt: str) -> str:
    if kind not in pictures:
        return ""
    return f'<img src="{pictures[kind]}" alt="{escape(alt, quote=True)}" loading="lazy">'


def _gain(attack: Attacked) -> float:
    """So that a change of epsilon has the full colour."""
    epsilon = float(attack.facts.get("fields", {}).get("epsilon", 0))
    return 1 / max(epsilon, 1 / LEVELS)


@st.cache_data(max_entries=256, show_spinner=False)
def _pictures(
    key: str,  # noqa: ARG001
    rows: tuple[int, ...],
    local: bool,
    _bundle: Bundle,
    _dataset: Dataset | None,
    _attack: Attacked,
) -> list[dict[str, str]]:
    """Addresses of the pictures of some rows. The attack's key, the rows and `local` decide them."""
    gain = _gain(_attack)
    pictures: list[dict[str, str]] = [{} for _ in rows]
    if _attack.perturbation is not None:
        deltas = _attack.perturbations(torch.tensor(rows, dtype=torch.long))
        for delta, shown in zip(deltas, pictures, strict=True):
            shown[PERTURBATION] = data_uri(perturbation_png(delta, gain))
    if local and _dataset is not None:
        attacked = results.x_adv(_dataset, _attack, rows)
        rebuilt = results.reconstructions(_bundle, _dataset, _attack, rows)
        for number, (row, shown) in enumerate(zip(rows, pictures, strict=True)):
            shown[ORIGINAL] = data_uri(png(_dataset.test.images[int(_attack.index[row])]))
            shown[ATTACKED] = data_uri(png(attacked[number]))
            shown[REBUILT] = data_uri(png(rebuilt[number]))
    return pictures
