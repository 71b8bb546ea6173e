import numpy as np
import pytest
import torch

from core.coherence import Correlation, Dispersion, Fit, pair_outcomes
from core.figures.coherence import (
    Estimate,
    correlation_estimate,
    correlation_words,
    dispersion_estimate,
    estimate_chart,
    similarity_chart,
    similarity_table,
)
from core.figures.colours import colour_of, marker_of
from core.figures.style import p_text
from core.metrics import Rate

CLASSES = ("cat", "dog", "ox")
DISTANCES = np.array([[0, 2.0, 3.0], [2.0, 0, 4.0], [3.5, 4.5, 0]])
FOUND = Correlation(0.531, 0.382, 0.718, 0.43, 0.5, 0.0004, 0.9997, 100)
FIT = Fit((2.0, 3.0, 4.5), (0.9, 0.6, 0.2), (0.8, 0.5, 0.1), (1.0, 0.7, 0.4))


@pytest.fixture
def points():
    pairs = [(s, i, t) for s in range(3) for i in range(2) for t in range(3) if s != t]
    source, image, target = torch.tensor(pairs).unbind(1)
    hits = (target == 1) & (image == 0) | (source == 2)
    return similarity_table(pair_outcomes(source * 2 + image, source, target, hits, 3), DISTANCES, CLASSES)


def chart(points, **options):
    return similarity_chart(points, FIT, FOUND, "CapsNet", "distance of class means", **options)


def test_every_pair_is_a_point_with_its_distance_and_rate(points):
    found = {(p.source, p.target): (p.distance, p.rate) for p in points}
    assert found == {
        (0, 1): (2.0, Rate(1, 2)),
        (0, 2): (3.0, Rate(0, 2)),
        (1, 0): (2.0, Rate(0, 2)),
        (1, 2): (4.0, Rate(0, 2)),
        (2, 0): (3.5, Rate(2, 2)),
        (2, 1): (4.5, Rate(2, 2)),
    }
    assert points[0].record()["source_name"] == "cat"
    assert points[0].record()["value"] == 0.5


def test_alike_classes_lie_on_the_right_and_points_say_what_they_are(points, layers):
    band, line, dots = layers(chart(points))
    assert [row["distance"] for row in line["rows"]] == [2.0, 3.0, 4.5]
    assert (band["encoding"]["y"]["field"], band["encoding"]["y2"]["field"]) == ("low", "high")
    assert dots["encoding"]["x"]["scale"]["reverse"] is True
    assert dots["rows"][0]["words"] == "cat → dog: success rate 50 % (1 of 2) at a distance of 2.00"
    assert dots["rows"][0]["interval_text"] == "9–91 %"
    assert (dots["mark"]["color"], dots["mark"]["shape"]) == (
        colour_of("CapsNet"),
        marker_of("CapsNet"),
    )


def test_the_correlation_is_written_above_the_points(points):
    title = chart(points).to_dict()["title"]
    assert title["subtitle"] == "ρ = 0.53 (0.38 to 0.72), p < 0.001, n = 100 images"
    unknown = Correlation(float("nan"), -1, 1, 0.1, 0.1, 0.3, 0.7, 1000)
    assert correlation_words(unknown) == "ρ unknown: the pairs differ too little, n = 1,000 images"
    assert p_text(0.0123) == "p = 0.012"


def test_a_click_chooses_a_pair_which_is_ringed(points, layers):
    spec = chart(points, chosen=(2, 1)).to_dict()
    assert spec["params"][0]["name"] == "cell_2_1"
    assert spec["params"][0]["select"]["fields"] == ["source", "target"]
    (ringed,) = layers(chart(points, chosen=(2, 1)))[-1]["rows"]
    assert (ringed["source"], ringed["target"]) == (2, 1)
    assert len(layers(chart(points))) == 3


def test_estimates_have_intervals_and_the_shape_of_their_model(layers):
    estimates = [
        correlation_estimate("CapsNet", "means", FOUND),
        correlation_estimate("CNN+R", "means", Correlation(float("nan"), -1, 1, 0, 0, 1, 1, 100)),
    ]
    zero, bars, dots = layers(estimate_chart(estimates, "Title", "ρ", (-1, 1)))
    assert zero["rows"] == [{"low": 0.0}]
    assert [(row["model"], row["low"], row["high"]) for row in bars["rows"]] == [
        ("CapsNet", 0.382, 0.718),
        ("CNN+R", -1, 1),
    ]
    assert [row["model"] for row in dots["rows"]] == ["CapsNet"], "an unknown figure has no point"
    assert dots["rows"][0]["words"].startswith("CapsNet, means: ρ = 0.53 (0.38 to 0.72)")
    assert dots["encoding"]["shape"]["scale"]["range"] == [marker_of("CapsNet"), marker_of("CNN+R")]


def test_dispersion_is_drawn_as_a_standard_deviation():
    found = dispersion_estimate("CapsNet", Dispersion(0.04, 0.01, 0.09, 100))
    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.1, 0.3))
    assert found.words == "20 points (10–30), n = 100 images"
    assert set(found.record()) == {"model", "row", "value", "low", "high"}
    assert isinstance(found, Estimate)
