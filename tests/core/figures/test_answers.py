from typing import Any

import pytest
import torch

from core.figures.logits import answer_bars, answer_table
from core.figures.path import PathPoint, path_chart

Spec = dict[str, Any]
CLASSES = [f"class {number}" for number in range(12)]


def values(spec: Spec, layer: Spec) -> list[Spec]:
    """The rows a layer draws."""
    return spec["datasets"][layer["data"]["name"]]


def test_the_classes_that_matter_are_kept_in_their_order() -> None:
    before, after = torch.zeros(12), torch.zeros(12)
    before[7], after[2], after[11], before[0] = 0.9, 0.8, 0.3, 0.1
    answers = answer_table(before, after, CLASSES, top=3)
    assert [answer.name for answer in answers] == ["class 2", "class 7", "class 11"]
    assert [answer.delta for answer in answers] == pytest.approx([0.8, -0.9, 0.3])
    assert answers[1].record() == {
        "class": "class 7",
        "before": pytest.approx(0.9),
        "after": 0.0,
        "delta": pytest.approx(-0.9),
    }


def test_the_true_class_and_the_target_are_kept_among_a_hundred() -> None:
    before, after = torch.zeros(100), torch.zeros(100)
    before[:10] = after[:10] = torch.linspace(0.9, 0.1, 10)
    names = [f"object {number}" for number in range(100)]
    answers = answer_table(before, after, names, always={3, 77})
    assert [answer.name for answer in answers] == [*names[:10], "object 77"]
    assert answers == answer_table(before, after, names, always={77})
    assert [answer.name for answer in answer_table(before, after, names, always={3, 77}, top=2)] == [
        "object 0",
        "object 1",
        "object 3",
        "object 77",
    ]


def test_bars_come_in_pairs_and_only_real_changes_are_written() -> None:
    answers = answer_table(torch.tensor([0.5, 0.2, 0.1]), torch.tensor([0.1, 0.2, 0.9]), CLASSES[:3])
    spec = answer_bars(answers, "probability", "#D55E00", (0, 1)).to_dict()
    bars, text = (values(spec, layer) for layer in spec["layer"])
    assert [(bar["class"], bar["image"], round(bar["score"], 3)) for bar in bars][:2] == [
        ("class 0", "original", 0.5),
        ("class 0", "attacked", 0.1),
    ]
    assert len(bars) == 6
    assert [entry["class"] for entry in text] == ["class 0", "class 2"]
    assert spec["layer"][0]["encoding"]["x"]["scale"]["domain"] == [0, 1]
    assert spec["layer"][0]["encoding"]["color"]["scale"]["range"][1] == "#D55E00"


def test_the_path_leaves_room_above_the_threshold_and_for_all_iterations() -> None:
    points = [PathPoint(0, "8", "3", 4.2, "failed"), PathPoint(5, "8", "8", 3.1, "undetected")]
    spec = path_chart(points, threshold=3.6, total=40, step=5).to_dict()
    scales = [layer["encoding"]["y"]["scale"]["domain"] for layer in spec["layer"][:1]]
    assert scales == [[pytest.approx(1.8), pytest.approx(5.4)]]
    line = next(layer for layer in spec["layer"] if layer["mark"]["type"] == "line")
    assert line["encoding"]["x"]["scale"]["domain"] == [0, 40]
    assert [value["distance"] for value in values(spec, line)] == [4.2, 3.1]
    theta = next(layer for layer in spec["layer"] if layer["mark"].get("strokeDash"))
    assert values(spec, theta)[0]["distance"] == 3.6


def test_far_points_raise_the_top_of_the_path() -> None:
    spec = path_chart([PathPoint(0, "8", "3", 20.0, "failed")], threshold=3.0, total=10).to_dict()
    assert spec["layer"][0]["encoding"]["y"]["scale"]["domain"][1] == pytest.approx(21.0)
