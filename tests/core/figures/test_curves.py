import pytest
import torch

from core.figures.colours import ACCESS_COLOURS, colour_of
from core.figures.curves import beta_chart, beta_table, fpr_chart, fpr_table
from core.metrics import Rate

CLEAN = torch.arange(1.0, 11.0)  # theta at a rate of 0.2 is 8
DISTANCE = torch.tensor([1.0, 7.5, 8.5, 20.0])
SUCCESS = torch.tensor([True, True, True, False])


def test_the_undetected_rate_falls_as_more_false_alarms_are_allowed() -> None:
    points = fpr_table("CapsNet", CLEAN, DISTANCE, SUCCESS, [0.0, 0.2, 0.3, 1.0])
    assert [(p.fpr, p.rate) for p in points] == [
        (0.0, Rate(3, 4)),
        (0.2, Rate(2, 4)),
        (0.3, Rate(1, 4)),
        (1.0, Rate(0, 4)),
    ]
    assert [p.threshold for p in points[:3]] == [10, 8, 7]
    assert points[1].record()["value"] == 0.5


def test_the_chosen_rate_is_a_rule_and_a_point_a_model(layers) -> None:
    points = [
        p for m in ("CapsNet", "CNN+R") for p in fpr_table(m, CLEAN, DISTANCE, SUCCESS, [0.0, 0.2, 0.5])
    ]
    chart = fpr_chart(points, 0.2)
    assert layers(chart)[0]["rows"] == [{"fpr": 0.2}]
    assert [(p["model"], p["value"]) for p in layers(chart)[-1]["rows"]] == [("CapsNet", 0.5), ("CNN+R", 0.5)]
    assert layers(chart)[-1]["rows"][0]["words"] == "CapsNet, false-positive rate 20.0 %: 50.0 % (2 of 4)"


def test_a_curve_that_ends_early_shows_only_what_it_reaches(layers) -> None:
    points = fpr_table("CapsNet", CLEAN, DISTANCE, SUCCESS, [0.0, 0.1, 0.2, 0.5])
    chart = fpr_chart(points, 0.5, upto=0.2)
    assert layers(chart)[0]["rows"] == []
    assert layers(chart)[-1]["rows"] == []
    assert [p["fpr"] for p in layers(chart)[1]["rows"]] == [0.0, 0.1, 0.2]


def test_models_have_their_own_colours_in_every_chart() -> None:
    points = fpr_table("CNN+R", CLEAN, DISTANCE, SUCCESS, [0.2])
    scale = fpr_chart(points, 0.2).to_dict()["layer"][1]["encoding"]["color"]["scale"]
    assert scale == {"domain": ["CNN+R"], "range": [colour_of("CNN+R")]}


def test_kinds_of_access_are_told_apart_as_models_are(layers) -> None:
    points = [p for access in ACCESS_COLOURS for p in fpr_table(access, CLEAN, DISTANCE, SUCCESS, [0.0, 0.2])]
    encoding = layers(fpr_chart(points, 0.2))[-1]["encoding"]
    assert encoding["color"]["scale"]["range"] == list(ACCESS_COLOURS.values())
    assert len(set(encoding["shape"]["scale"]["range"])) == 2


def test_rates_against_beta_have_intervals(layers) -> None:
    hits = torch.tensor([[True, False, False, False], [True, True, True, True]])
    points = beta_table("CapsNet", "success_rate", torch.tensor([0.25, 0.75]), hits)
    assert [(p.beta, p.rate) for p in points] == [(0.25, Rate(1, 4)), (0.75, Rate(4, 4))]
    drawn = layers(beta_chart(points, "Success rate"))[0]["rows"]
    assert drawn[0]["low"] == pytest.approx(Rate(1, 4).low)
    assert drawn[1]["words"] == "CapsNet, beta 0.75: 100.0 % (4 of 4)"
    assert drawn[1]["interval_text"] == "51.0–100.0 %"


def test_more_betas_than_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        beta_table("CapsNet", "success_rate", torch.tensor([0.25, 0.75]), torch.tensor([[True]]))
