"""Colours and shapes that all figures and pages share: a model looks the same wherever it is drawn.

The colours, most of them Okabe and Ito's, are told apart under the common colour-vision deficiencies and
stand out on white as on near-black. None is the only carrier of a meaning: the points of lines differ in
shape, outcomes are written out.

Pages need these before they draw their first chart: nothing here imports Altair.
"""

from core.models import MODELS

ACCESS_COLOURS = {"white box": "#AA4499", "black box": "#6B7280"}
"""Where lines stand for what an attacker knows instead of for models (qin2020, Fig. 3)."""

ACCESS_MARKERS = {"white box": "circle", "black box": "square"}

OUTCOME_COLOURS = {
    "undetected": "#D55E00",
    "flagged": "#0072B2",
    "wrong class": "#CC79A7",
    "failed": "#8A8F98",
}
"""What came of an attack: it worked and was missed, it worked and was flagged, it led to a class that was not
aimed at, it led nowhere."""

CLEAN_COLOUR = "#44AA99"
MARK_COLOUR = "#D81B60"
"""Of what is chosen: the cell of a matrix, the threshold."""
GREY = "#8A8F98"
"""For lines and shades that are seen on white and on near-black."""

SEQUENTIAL = "cividis"
SEQUENTIAL_COLOURS = (
    "#00224E", "#123570", "#3B496C", "#575D6D", "#707173",
    "#8A8678", "#A59C74", "#C3B369", "#E1CC55", "#FEE838",
)  # fmt: skip
"""That scale from low to high, for what Vega does not draw."""

_COLOURS = {spec.title: spec.colour for spec in MODELS.values()} | ACCESS_COLOURS
_MARKERS = {spec.title: spec.marker for spec in MODELS.values()} | ACCESS_MARKERS


def colour_of(title: str) -> str:
    """The colour of the model of that title, or of what else lines stand for; grey for anything else."""
    return _COLOURS.get(title, GREY)


def marker_of(title: str) -> str:
    """The shape of points of the model of that title, or of what else lines stand for; else a cross."""
    return _MARKERS.get(title, "cross")
