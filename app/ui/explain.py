"""How detection works, as one figure: what is read, what is rebuilt, how far the two are apart."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import torch
from torch import Tensor

from app.ui.images import data_uri
from app.ui.outcomes import COLOURS
from core.figures.colours import CLEAN_COLOUR, GREY
from core.outcomes import Verdict

HEADS = ("", "An image", "1 Read", "2 Rebuild", "3 Compare")


@dataclass(frozen=True)
class Example:
    """One row: an image, what became of it, and how that came about."""

    name: str
    about: str
    image: bytes
    reconstruction: bytes
    verdict: Verdict
    clean: bool = False

    @property
    def colour(self) -> str:
        """Of its mark."""
        return CLEAN_COLOUR if self.clean else COLOURS[self.verdict.outcome]

    @property
    def outcome(self) -> str:
        """What the comparison tells, in words."""
        far = self.verdict.flagged
        if self.clean:
            return "Far: a false alarm" if far else "Close: it passes"
        return "Far: the detector flags it" if far else "Close: the detector misses it"


def figure(examples: Sequence[Example], clean: Tensor) -> str:
    """The figure as HTML.

    Args:
        examples: One row each.
        clean: Distances of clean images, (N,): drawn behind the mark of each row.
    """
    cells = [f'<div class="cs-head">{escape(head)}</div>' for head in HEADS]
    furthest = max([float(clean.quantile(0.995)), *(1.08 * e.verdict.distance for e in examples)])
    for number, example in enumerate(examples):
        v = example.verdict
        name, answer = escape(example.name), escape(v.classes[v.prediction])
        drawing = meter(clean, v.distance, v.threshold, furthest, example.colour, labels=number == 0)
        cells += [
            f"<div><b>{name}</b><p>{escape(example.about)}</p></div>",
            f'<img class="cs-picture" src="{data_uri(example.image)}" alt="{name}: the image">',
            f'<div class="cs-answer">{answer}</div>',
            f'<img class="cs-picture" src="{data_uri(example.reconstruction)}" alt="Rebuilt as {answer}">',
            f'<div><img class="cs-meter" src="{drawing}" alt="Distance {v.distance:.2f} on a line with the '
            f'threshold {v.threshold:.2f} and the distances of clean images"><div class="cs-out">'
            f'<span style="color:{example.colour}" aria-hidden="true">■</span>{escape(example.outcome)}'
            f"<small>distance {v.distance:.2f}, θ = {v.threshold:.2f}</small></div></div>",
        ]
    return f'<div class="cs-how">{"".join(cells)}</div>'


def meter(
    clean: Tensor, distance: float, threshold: float, furthest: float, colour: str, labels: bool = False
) -> str:
    """A distance on a line, with the threshold and how clean images lie, as the address of an SVG.

    Args:
        clean: Distances of clean images, (N,).
        distance: The one to mark.
        furthest: End of the line.
        labels: Whether to name the parts.
    """
    width, base, bins = 360.0, 66.0, 36
    counts = torch.histc(clean.clamp(max=furthest), bins, 0.0, furthest)
    shares: list[float] = (counts / counts.max()).tolist()
    parts = [
        f'<rect x="{width * i / bins:.1f}" y="{base - 40 * share:.1f}" width="{width / bins - 1.5:.1f}" '
        f'height="{40 * share:.1f}" fill="{GREY}" opacity="0.5"/>'
        for i, share in enumerate(shares)
        if share
    ]
    x, theta = width * min(distance / furthest, 1.0), width * threshold / furthest
    parts += [
        f'<line x1="0" x2="{width:.0f}" y1="{base}" y2="{base}" stroke="{GREY}"/>',
        f'<line x1="{theta:.1f}" x2="{theta:.1f}" y1="14" y2="{base + 6}" stroke="{GREY}" stroke-width="2" '
        'stroke-dasharray="5 3"/>',
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="22" y2="{base + 6}" stroke="{colour}" stroke-width="6"/>',
    ]
    if labels:
        font = f'font-family="sans-serif" font-size="12" fill="{GREY}"'
        parts += [
            f'<text x="{theta + 5:.1f}" y="13" {font}>θ</text>',
            f'<text x="{width:.0f}" y="13" text-anchor="end" {font}>beyond: alarm</text>',
            f'<text x="0" y="13" {font}>grey: clean images</text>',
        ]
    drawing = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} 74">{"".join(parts)}</svg>'
    return "data:image/svg+xml;base64," + base64.b64encode(drawing.encode()).decode("ascii")
