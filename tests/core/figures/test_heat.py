import json
from itertools import pairwise

import torch

from core.figures.heat import ORDER
from core.figures.matrix import MANY, matrix_chart
from core.figures.pairs import Cell, confusion_order, pair_table, worst_pairs
from core.metrics import Rate

J = 100
CLASSES = tuple(f"object {number}" for number in range(J))


def cell(source: int, target: int, k: int, n: int = 10) -> Cell:
    return Cell(source, target, CLASSES[source], CLASSES[target], Rate(k, n))


def families(count: int = J, kinds: int = 10) -> list[Cell]:
    """Classes with the same last digit are taken for each other, now more and now less; others hardly are."""
    return [
        cell(s, t, 6 + (s + t) % 4 if s % kinds == t % kinds else (s * t) % 2)
        for s in range(count)
        for t in range(count)
        if s != t
    ]


def in_the_browser(rows: list[dict]) -> list[tuple[int, int, int, int]]:
    """Source, target, k and n of every cell, as the chart takes its lists apart."""
    return [
        (row["source"], *map(int, cell))
        for row in rows
        for cell in zip(*(row[name].split(" ") for name in ("target", "k", "n")), strict=True)
    ]


def test_classes_taken_for_each_other_are_neighbours() -> None:
    order = confusion_order(families(), J)
    assert sorted(order) == list(range(J))
    kinds = [number % 10 for number in order]
    changes = sum(a != b for a, b in pairwise(kinds))
    assert changes == 9, "each of ten kinds is one block"


def test_a_chain_of_classes_is_laid_out_along_it() -> None:
    chain = [4, 0, 3, 1, 2]
    pairs = [(a, b) for a in range(5) for b in range(5) if a != b]
    cells = [cell(chain[a], chain[b], 10 - 2 * abs(a - b)) for a, b in pairs]
    assert confusion_order(cells, 5) in (chain, chain[::-1])


def test_the_map_of_a_hundred_classes_has_every_cell_at_the_place_of_its_order(layers) -> None:
    cells = families()
    chart = matrix_chart(cells, CLASSES, "CapsNet", "Success rate", chosen=(3, 8))
    grey, coloured, outlined = layers(chart)
    order = confusion_order(cells, J)
    assert [row["source"] for row in grey["rows"]] == order
    assert sorted(in_the_browser(coloured["rows"])) == [
        (c.source, c.target, c.rate.k, c.rate.n) for c in cells
    ]
    assert outlined["rows"] == [{"source": 3, "target": 8}]
    for layer in (grey, coloured, outlined):
        at = next(step for step in layer["transform"] if step.get("as") == "x")["calculate"]
        places = json.loads(at.removesuffix("[datum.source]"))
        assert [places[number] for number in order] == list(range(J))
        named = layer["encoding"]["x"]["axis"]["labelExpr"].removesuffix("[floor(datum.value)]")
        assert json.loads(named) == [CLASSES[number] for number in order]
    assert chart.to_dict()["title"]["subtitle"] == ORDER


def test_a_given_order_is_kept() -> None:
    order = list(range(J))[::-1]
    spec = matrix_chart(families(), CLASSES, "CapsNet", "Success rate", order=order).to_dict()
    name = spec["layer"][0]["data"]["name"]
    assert [row["source"] for row in spec["datasets"][name]] == order


def test_the_map_is_small_has_no_boxes_or_texts_and_can_be_enlarged_and_clicked() -> None:
    spec = matrix_chart(families(), CLASSES, "CapsNet", "Success rate").to_dict()
    assert len(json.dumps(spec)) < 150_000
    assert {layer["mark"]["type"] for layer in spec["layer"]} == {"rect"}
    assert len(spec["layer"]) == 2
    params = {param["name"]: param for param in spec["params"]}
    assert params["view"]["bind"] == "scales"
    assert params["cell"]["select"] == {"type": "point", "fields": ["source", "target"], "toggle": False}


def test_up_to_25_classes_cells_have_boxes_and_words() -> None:
    few = matrix_chart(families(MANY), CLASSES[:MANY], "CapsNet", "Success rate").to_dict()
    many = matrix_chart(families(MANY + 1), CLASSES[: MANY + 1], "CapsNet", "Success rate").to_dict()
    rows = [row for data in few["datasets"].values() for row in data]
    assert sum("words" in row for row in rows) == MANY * (MANY - 1)
    assert not any("words" in row for data in many["datasets"].values() for row in data)


def test_the_worst_pairs_come_first() -> None:
    cells = [cell(1, 0, 5), cell(0, 2, 9), cell(2, 1, 9), cell(0, 1, 9), cell(1, 2, 0)]
    assert worst_pairs(cells, 4) == [cells[3], cells[1], cells[2], cells[0]]
    assert worst_pairs(cells, 99)[-1] == cells[4]


def test_pairs_of_a_hundred_classes_are_counted_where_they_were_tried() -> None:
    source, target = torch.tensor([99, 99, 0]), torch.tensor([98, 98, 99])
    cells = pair_table(source, target, torch.tensor([True, False, True]), CLASSES)
    assert cells == [cell(0, 99, 1, 1), cell(99, 98, 1, 2)]
