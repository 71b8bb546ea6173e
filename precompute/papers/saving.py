"""Drawings as files: PNG, SVG and CSV."""

import base64
import csv
import io
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import altair as alt
import vl_convert  # pyright: ignore[reportMissingTypeStubs]
from PIL import Image

from precompute.papers.drawing import Drawing, Panel

PANEL_WIDTH = 360
SCALE = 2
"""Pixels of a PNG for each pixel of a chart."""
VEGA_LITE = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])


def png(drawing: Drawing) -> bytes:
    """A drawing as PNG, its panels side by side."""
    pictures = _pictures(drawing)
    if not pictures:
        return vl_convert.vegalite_to_png(_spec(drawing.panels), vl_version=VEGA_LITE, scale=SCALE)
    buffer = io.BytesIO()
    _sheet(pictures).save(buffer, "PNG")
    return buffer.getvalue()


def svg(drawing: Drawing) -> str:
    """A drawing as SVG; pictures are set into it as PNG."""
    pictures = _pictures(drawing)
    if not pictures:
        return vl_convert.vegalite_to_svg(_spec(drawing.panels), vl_version=VEGA_LITE)
    sheet = _sheet(pictures)
    data = base64.b64encode(png(drawing)).decode("ascii")
    words = escape(" ".join(panel.words for panel in drawing.panels))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{sheet.width}" height="{sheet.height}" '
        f'viewBox="0 0 {sheet.width} {sheet.height}"><title>{words}</title>'
        f'<image width="{sheet.width}" height="{sheet.height}" href="data:image/png;base64,{data}"/></svg>\n'
    )


def csv_text(records: Sequence[Mapping[str, Any]]) -> str:
    """Rows as comma-separated values, with a line of names; empty for no rows."""
    if not records:
        return ""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(records[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()


def _pictures(drawing: Drawing) -> list[Image.Image]:
    return [panel.drawn for panel in drawing.panels if isinstance(panel.drawn, Image.Image)]


def _sheet(pictures: Sequence[Image.Image], gap: int = 24) -> Image.Image:
    """Pictures side by side on white."""
    width = sum(picture.width for picture in pictures) + gap * (len(pictures) - 1)
    sheet = Image.new("RGB", (width, max(picture.height for picture in pictures)), "white")
    x = 0
    for picture in pictures:
        sheet.paste(picture, (x, 0))
        x += picture.width + gap
    return sheet


def _spec(panels: Sequence[Panel]) -> dict[str, Any]:
    """Charts side by side, as Vega-Lite; without selections, which mean nothing on paper."""
    charts = [panel.drawn.to_dict() for panel in panels if not isinstance(panel.drawn, Image.Image)]
    datasets: dict[str, Any] = {}
    columns: list[dict[str, Any]] = []
    for chart in charts:
        datasets |= chart.get("datasets", {})
        own = {k: v for k, v in chart.items() if k not in ("$schema", "config", "datasets", "params")}
        columns.append({"width": PANEL_WIDTH, **own})
    return {
        "$schema": charts[0]["$schema"],
        "config": {**charts[0].get("config", {}), "background": "white"},
        "datasets": datasets,
        "concat": columns,
        "columns": 2 if len(columns) == 4 else 3,
        "spacing": 28,
        # Panels explain their own colours, even where they share a scale's name.
        "resolve": {"scale": {"color": "independent", "shape": "independent"}},
    }
