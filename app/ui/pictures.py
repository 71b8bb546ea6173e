"""Rows of pictures as one piece of HTML: crisp pixels, captions, texts for screen readers, no flicker."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from app.ui.images import RED_BLUE, data_uri
from app.ui.outcomes import COLOURS, MARKS, TITLES
from core.outcomes import Outcome, Verdict

_SCALE = (
    f'<div class="cs-scale" style="background:linear-gradient(90deg,{",".join(RED_BLUE)})"></div>'
    '<div class="cs-ends"><span>darker</span><span>brighter</span></div>'
)


@dataclass(frozen=True)
class Picture:
    """One picture of a row: PNG, what it is, a line about it, and a text for those who do not see it."""

    png: bytes
    title: str
    caption: str
    alt: str
    diverging: bool = False
    """Whether its colours are those of a perturbation, to be explained below it."""


def row(pictures: Sequence[Picture], signs: Sequence[str]) -> str:
    """Pictures in a row, with a sign between each two."""
    parts: list[str] = []
    for number, picture in enumerate(pictures):
        if number:
            parts.append(f'<div class="cs-sign" aria-hidden="true">{escape(signs[number - 1])}</div>')
        parts.append(
            f'<figure><img src="{data_uri(picture.png)}" alt="{escape(picture.alt, quote=True)}">'
            f"<figcaption><b>{escape(picture.title)}</b><span>{escape(picture.caption)}</span>"
            f"{_SCALE if picture.diverging else ''}</figcaption></figure>"
        )
    return f'<div class="cs-row">{"".join(parts)}</div>'


def verdict_box(verdict: Verdict, note: str = "") -> str:
    """A verdict in words, with its colour and its sign."""
    colour, mark = COLOURS[verdict.outcome], MARKS[verdict.outcome]
    return (
        f'<div class="cs-verdict" role="status" style="--c:{colour}">'
        f'<b><span class="cs-mark" aria-hidden="true">{mark}</span>{escape(verdict.headline)}</b>'
        f"<p>{escape(verdict.sentence)} {escape(note)}</p></div>"
    )


def summary_box(outcome: Outcome, headline: str, sentence: str) -> str:
    """A box of the same kind for what is no verdict on a single image."""
    return (
        f'<div class="cs-verdict" role="status" style="--c:{COLOURS[outcome]}">'
        f"<b>{escape(headline)}</b><p>{escape(sentence)}</p></div>"
    )


@dataclass(frozen=True)
class Card:
    """One target of a strip: attacked picture, its reconstruction, verdict."""

    target: str
    attacked: bytes
    reconstruction: bytes
    verdict: Verdict


def strip(cards: Sequence[Card]) -> str:
    """One card for each target."""
    parts: list[str] = []
    for card in cards:
        v = card.verdict
        answer, colour = v.classes[v.prediction], COLOURS[v.outcome]
        words = f"aimed at {card.target}, read as {answer}, {v.headline}"
        parts.append(
            f'<div class="cs-card" style="--c:{colour}"><b>→ {escape(card.target)}</b><div class="cs-pair">'
            f'<img src="{data_uri(card.attacked)}" alt="Attacked image, {escape(words, quote=True)}">'
            f'<img src="{data_uri(card.reconstruction)}" '
            f'alt="Its reconstruction as {escape(answer, quote=True)}"></div>'
            f'<p><span class="cs-mark" style="opacity:1" aria-hidden="true">{MARKS[v.outcome]}</span>'
            f"{TITLES[v.outcome]}<br>"
            f"<span>reads {escape(answer)} · d {v.distance:.2f}</span></p></div>"
        )
    return f'<div class="cs-strip">{"".join(parts)}</div>'
