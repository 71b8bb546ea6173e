"""Colours and shapes that all figures and pages share: a model looks the same wherever it is drawn.

The colours, most of them Okabe and Ito's, are told apart under the common colour-vision deficiencies and
stand out on white as on near-black. None is the only carrier of a meaning: the points of lines differ in
shape, outcomes are written out.
"""

MODEL_COLOURS = {
    "CapsNet": "#7B61C9",
    "CNN+CR": "#E69F00",
    "CNN+R": "#009E73",
    "ConvNet": "#56B4E9",
    "Small ResNet": "#A6761D",
    "Deeper CapsNet": "#9A7DE0",
    "CapsNet All": "#8C9A1F",
    "DeepCaps": "#2E7D4F",
    "Michels ConvNet": "#1B87B8",
    "Michels CapsNet": "#B3409E",
}
"""By title, in the order in which models are listed."""

MODEL_SHAPES = {
    "CapsNet": "circle",
    "CNN+CR": "square",
    "CNN+R": "triangle-up",
    "ConvNet": "diamond",
    "Small ResNet": "triangle-down",
    "Deeper CapsNet": "cross",
    "CapsNet All": "triangle-right",
    "DeepCaps": "triangle-left",
    "Michels ConvNet": "diamond",
    "Michels CapsNet": "triangle-down",
}

ACCESS_COLOURS = {"white box": "#AA4499", "black box": "#6B7280"}
"""Where lines stand for what an attacker knows instead of for models (qin2020, Fig. 3)."""

ACCESS_SHAPES = {"white box": "circle", "black box": "square"}

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
