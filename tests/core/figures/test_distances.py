import numpy as np
import pytest
import torch

from core.figures.distances import CLASS_COLOURS, by_class, common_edges, distance_chart, histogram

COLOURS = {"clean": "#000000", "attacked": "#ffffff"}


def rows_with(layers: list[dict], field: str) -> list[dict]:
    """The rows of the first layer whose data have a field."""
    return next(layer["rows"] for layer in layers if layer["rows"] and field in layer["rows"][0])


def test_edges_reach_from_zero_to_the_largest_distance_of_all() -> None:
    edges = common_edges([torch.tensor([1.0, 2.0]), torch.tensor([8.0]), torch.empty(0)], bins=4)
    assert edges.tolist() == [0, 2, 4, 6, 8]


def test_no_distances_are_refused() -> None:
    with pytest.raises(ValueError, match="expected distances, got none above 0"):
        common_edges([torch.empty(0)])


def test_bars_count_every_distance_once() -> None:
    edges = np.array([0.0, 1.0, 2.0])
    bars = histogram({"clean": torch.tensor([0.0, 0.5, 1.0, 2.0])}, edges)
    assert [(bar.left, bar.right, bar.count, bar.share) for bar in bars] == [(0, 1, 2, 0.5), (1, 2, 2, 0.5)]
    assert bars[0].record() == {"group": "clean", "left": 0.0, "right": 1.0, "count": 2, "share": 0.5}


def test_a_distance_that_rounding_put_beyond_the_last_edge_is_counted() -> None:
    bars = histogram({"clean": torch.tensor([2.0000002])}, np.array([0.0, 1.0, 2.0]))
    assert [bar.count for bar in bars] == [0, 1]


def test_shares_can_be_of_another_total() -> None:
    edges = np.array([0.0, 1.0])
    bars = histogram(
        {"worked": torch.tensor([0.5]), "failed": torch.empty(0)}, edges, {"worked": 4, "failed": 4}
    )
    assert [bar.share for bar in bars] == [0.25, 0.0]


def test_distances_by_class_are_those_of_the_true_class_and_all_others() -> None:
    distances = torch.tensor([[1.0, 5.0, 6.0], [7.0, 8.0, 2.0]])
    groups = by_class(distances, torch.tensor([0, 2]))
    assert list(groups) == list(CLASS_COLOURS)
    assert [group.tolist() for group in groups.values()] == [[1, 2], [5, 6, 7, 8]]


def test_the_threshold_is_a_line_with_its_value(layers) -> None:
    bars = histogram(
        {"clean": torch.tensor([1.0, 3.0]), "attacked": torch.tensor([4.0])}, np.linspace(0, 4, 5)
    )
    (line,) = rows_with(layers(distance_chart(bars, COLOURS, title="CapsNet", threshold=2.5)), "text")
    assert (line["left"], line["right"], line["text"]) == (2.5, 4, "θ = 2.50")
    (beyond,) = rows_with(layers(distance_chart(bars, COLOURS, title="CapsNet", threshold=9)), "text")
    assert (beyond["left"], beyond["text"]) == (4, "θ = 9.00")
    assert len(layers(distance_chart(bars, COLOURS, title="CapsNet"))) + 3 == len(
        layers(distance_chart(bars, COLOURS, title="CapsNet", threshold=1))
    )


def test_hovering_a_bin_tells_the_share_of_every_group(layers) -> None:
    bars = histogram(
        {"clean": torch.tensor([1.0, 3.0]), "attacked": torch.tensor([4.0])}, np.array([0.0, 2.0, 4.0])
    )
    first, second = rows_with(layers(distance_chart(bars, COLOURS, title="CapsNet")), "bin")
    assert first["words"] == "0.00–2.00: clean 50.0 % (1), attacked 0.0 % (0)"
    assert second["words"] == "2.00–4.00: clean 50.0 % (1), attacked 100.0 % (1)"


def test_lines_come_down_at_the_right_edge(layers) -> None:
    bars = histogram({"clean": torch.tensor([1.0, 3.0])}, np.array([0.0, 2.0, 4.0]))
    steps = [
        (step["left"], step["share"]) for step in layers(distance_chart(bars, COLOURS, title=""))[0]["rows"]
    ]
    assert steps == [(0, 0.5), (2, 0.5), (4, 0)]


def test_charts_with_one_top_can_be_compared(layers) -> None:
    bars = histogram({"clean": torch.tensor([1.0])}, np.array([0.0, 2.0]))
    y = layers(distance_chart(bars, COLOURS, title="", highest_share=2.0))[0]["encoding"]["y"]
    assert y["scale"]["domain"] == [0, 2.0]


def test_outlined_groups_have_hardly_any_fill(layers) -> None:
    bars = histogram({"clean": torch.tensor([1.0]), "attacked": torch.tensor([1.0])}, np.array([0.0, 2.0]))
    full, faint = layers(distance_chart(bars, COLOURS, title="", outlined=("attacked",)))[:2]
    assert {row["group"] for row in full["rows"]} == {"clean"}
    assert {row["group"] for row in faint["rows"]} == {"attacked"}
    assert faint["mark"]["fillOpacity"] < 0.1 < full["mark"]["fillOpacity"]
