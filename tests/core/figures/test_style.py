import pytest

from core.figures.colours import ACCESS_COLOURS, GREY, OUTCOME_COLOURS, colour_of, marker_of
from core.figures.style import in_words, interval, percent
from core.metrics import Rate
from core.models import MODELS

COLOURS = [
    *(spec.colour for spec in MODELS.values()),
    *ACCESS_COLOURS.values(),
    *OUTCOME_COLOURS.values(),
]


def luminance(colour: str) -> float:
    """Relative luminance, as WCAG 2 defines it."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_a_rate_in_words() -> None:
    assert percent(0.1234) == "12 %"
    assert percent(0.1234, 1) == "12.3 %"
    assert interval(Rate(7, 10)) == "40–89 %"
    assert in_words(Rate(1200, 2000), 1) == "60.0 % (57.8–62.1 %, n = 2,000)"


def test_every_model_has_a_colour_of_its_own() -> None:
    assert len(set(COLOURS)) == len(COLOURS)


def test_figures_draw_a_model_by_its_title_and_the_unknown_in_grey() -> None:
    assert [colour_of(name) for name in ("CNN+R", "black box", "?")] == ["#009E73", "#6B7280", GREY]
    assert [marker_of(name) for name in ("CNN+R", "black box", "?")] == ["triangle-up", "square", "cross"]


@pytest.mark.parametrize("colour", COLOURS)
def test_colours_stand_out_on_light_and_on_dark(colour: str) -> None:
    assert contrast(colour, "#FFFFFF") > 2
    assert contrast(colour, "#11151C") > 3
