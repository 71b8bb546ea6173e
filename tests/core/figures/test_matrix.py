import numpy as np
import pytest
import torch

from core.figures.colours import colour_of
from core.figures.matrix import matrix_chart
from core.figures.pairs import Cell, pair_table, spread
from core.metrics import Rate

CLASSES = ("cat", "dog", "ox")


def cell(source: int, target: int, k: int, n: int) -> Cell:
    return Cell(source, target, CLASSES[source], CLASSES[target], Rate(k, n))


def drawn(layers: list[dict], field: str) -> list[dict]:
    """The rows of the first layer whose data have a field."""
    return next(layer["rows"] for layer in layers if layer["rows"] and field in layer["rows"][0])


def test_pairs_are_counted_by_source_and_target() -> None:
    source = torch.tensor([0, 0, 0, 1, 2])
    target = torch.tensor([1, 1, 2, 0, 1])
    hits = torch.tensor([True, False, True, False, True])
    cells = pair_table(source, target, hits, CLASSES)
    assert cells == [cell(0, 1, 1, 2), cell(0, 2, 1, 1), cell(1, 0, 0, 1), cell(2, 1, 1, 1)]
    assert cells[0].record() == {
        "source": 0,
        "target": 1,
        "source_name": "cat",
        "target_name": "dog",
        "k": 1,
        "n": 2,
        "value": 0.5,
        "low": pytest.approx(Rate(1, 2).low),
        "high": pytest.approx(Rate(1, 2).high),
    }


def test_the_area_of_a_box_is_in_proportion_to_its_rate(layers) -> None:
    cells = [cell(0, 1, 10, 10), cell(0, 2, 5, 10), cell(1, 0, 0, 10)]
    boxes = drawn(layers(matrix_chart(cells, CLASSES, "CapsNet", "Success rate")), "box_x")
    areas = [(b["box_x2"] - b["box_x"]) * (b["box_y2"] - b["box_y"]) for b in boxes]
    assert areas[1] == pytest.approx(areas[0] / 2)
    assert areas[2] == 0
    assert 0.8 < areas[0] < 1


def test_boxes_lie_in_the_middle_of_their_cells_with_the_source_across(layers) -> None:
    box = drawn(layers(matrix_chart([cell(2, 1, 3, 10)], CLASSES, "CapsNet", "Success rate")), "box_x")[0]
    assert (box["cell_x"], box["cell_x2"], box["cell_y"], box["cell_y2"]) == (2, 3, 1, 2)
    assert (box["box_x"] + box["box_x2"]) / 2 == pytest.approx(2.5)
    assert (box["box_y"] + box["box_y2"]) / 2 == pytest.approx(1.5)


def test_a_cell_says_its_pair_rate_and_interval(layers) -> None:
    box = drawn(layers(matrix_chart([cell(0, 1, 7, 10)], CLASSES, "CapsNet", "Success rate")), "box_x")[0]
    assert box["pair"] == "cat → dog"
    assert box["rate_text"] == "70 % (7 of 10)"
    assert box["interval_text"] == "40–89 %"
    assert box["words"] == "cat → dog: Success rate 70 % (7 of 10)"


def test_boxes_have_the_colour_of_their_model_and_colours_a_scale() -> None:
    boxes = matrix_chart([cell(0, 1, 7, 10)], CLASSES, "CNN+R", "Success rate").to_dict()["layer"]
    assert boxes[1]["mark"]["color"] == colour_of("CNN+R")
    colours = matrix_chart([cell(0, 1, 7, 10)], CLASSES, "CNN+R", "Success rate", style="colour").to_dict()
    fill = colours["layer"][1]["encoding"]["fill"]
    assert (fill["field"], fill["scale"]["domain"]) == ("value", [0, 1])
    assert len(colours["layer"]) == len(boxes) - 1


def test_the_chosen_cell_is_outlined_and_can_be_chosen_again_later(layers) -> None:
    cells = [cell(0, 1, 1, 2), cell(1, 0, 2, 2)]
    none = matrix_chart(cells, CLASSES, "CapsNet", "Success rate").to_dict()
    chosen = matrix_chart(cells, CLASSES, "CapsNet", "Success rate", chosen=(1, 0)).to_dict()
    assert len(chosen["layer"]) == len(none["layer"]) + 1
    (outlined,) = layers(matrix_chart(cells, CLASSES, "CapsNet", "Success rate", chosen=(1, 0)))[-1]["rows"]
    assert (outlined["source"], outlined["target"]) == (1, 0)
    assert {param["name"] for param in none["params"]} == {"cell"}
    assert {param["name"] for param in chosen["params"]} == {"cell_1_0"}
    assert chosen["params"][0]["select"]["fields"] == ["source", "target"]


def test_class_names_are_on_both_axes() -> None:
    encoding = matrix_chart([cell(0, 1, 1, 2)], CLASSES, "CapsNet", "Success rate").to_dict()["layer"][0][
        "encoding"
    ]
    for axis in (encoding["x"]["axis"], encoding["y"]["axis"]):
        assert axis["labelExpr"] == '["cat", "dog", "ox"][floor(datum.value)]'
        assert axis["values"] == [0.5, 1.5, 2.5]
    assert encoding["y"]["scale"]["reverse"] is True


def test_spread_tells_real_differences_from_chance() -> None:
    far = spread([cell(0, 1, 10, 10), cell(1, 0, 0, 10)])
    assert (far.observed, far.lowest, far.highest, far.cells) == (0.5, 0, 1, 2)
    assert far.chance < 0.12


def test_spread_by_chance_is_what_equal_cells_show() -> None:
    generator = np.random.default_rng(0)
    observed, chance = [], []
    for _ in range(300):
        cells = [cell(0, 1, int(k), 10) for k in generator.binomial(10, 0.4, 90)]
        far = spread(cells)
        observed.append(far.observed**2)
        chance.append(far.chance**2)
    assert np.mean(chance) == pytest.approx(np.mean(observed), rel=0.03)


def test_spread_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="expected at least one cell, got none"):
        spread([])
