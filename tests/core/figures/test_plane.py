import pytest

from core.figures.embedding import PART_COLOURS
from core.figures.plane import FADED, Dot, inside, plane_chart
from core.figures.style import MODEL_COLOURS, MODEL_SHAPES

TITLES = ("CapsNet", "CNN+R")


@pytest.fixture
def dots():
    return [
        Dot(
            id=10 * number,
            x=float(number),
            y=-float(number),
            model=TITLES[number % 2],
            part=number // 2,
            number=number % 2,
            norm=1.0 + number,
            fooling=number / 4,
            fooling_text=f"{25 * number} %",
            image=f"data:image/png;base64,{number}",
            gain=2.5,
            picked=number != 3,
        )
        for number in range(4)
    ]


def test_points_tell_all_about_themselves(dots, layers):
    (points,) = layers(plane_chart(dots, "t-SNE"))
    assert [row["id"] for row in points["rows"]] == [0, 10, 20, 30]
    assert points["rows"][3]["words"] == "CNN+R, part 2, number 2, length 4.00"
    assert points["rows"][0]["gain_text"] == "2.5 times"
    told = {tip["field"] for tip in points["encoding"]["tooltip"]}
    assert {"image", "model", "part_text", "norm", "fooling_text", "gain_text"} == told
    assert points["encoding"]["shape"]["scale"]["range"] == [MODEL_SHAPES[title] for title in TITLES]


def test_those_that_are_not_picked_out_fade(dots, layers):
    (points,) = layers(plane_chart(dots, "t-SNE"))
    strength = [row["strength"] for row in points["rows"]]
    assert strength[3] == FADED < min(strength[:3])
    assert points["encoding"]["opacity"]["field"] == "strength"


@pytest.mark.parametrize(
    ("by", "field", "colours"),
    [
        ("model", "model", [MODEL_COLOURS[title] for title in TITLES]),
        ("part", "part_text", list(PART_COLOURS[:2])),
        ("norm", "norm", None),
        ("fooling", "fooling", None),
    ],
)
def test_colours_tell_what_is_asked_for(dots, layers, by, field, colours):
    (points,) = layers(plane_chart(dots, "UMAP", by=by, fooling_title="fooling rate on CapsNet"))
    colour = points["encoding"]["color"]
    assert colour["field"] == field
    assert colour["scale"].get("range") == colours
    if by == "fooling":
        assert colour["scale"]["domain"] == [0, 1]
        assert colour["legend"]["title"] == "fooling rate on CapsNet"


def test_clicks_and_brushes_are_named_and_the_chosen_one_is_ringed(dots, layers):
    chart = plane_chart(dots, "UMAP", chosen=20, revision="_7")
    params = {param["name"]: param["select"] for param in chart.to_dict()["params"]}
    assert params["dot_7"]["fields"] == ["id"]
    assert params["brush_7"]["encodings"] == ["x", "y"]
    assert [row["id"] for row in layers(chart)[1]["rows"]] == [20]
    assert len(layers(plane_chart(dots, "UMAP", chosen=99))) == 1, "one that is not shown has no ring"


def test_a_rectangle_holds_its_edges_and_may_be_drawn_from_any_corner(dots):
    assert inside(dots, (1, 2), (-2, -1)) == [10, 20]
    assert inside(dots, (2, 1), (-1, -2)) == [10, 20]
    assert inside(dots, (0.5, 0.9), (-9, 9)) == []


def test_rows_of_a_file_count_from_one_and_leave_the_thumbnail_out(dots):
    row = dots[3].record()
    assert (row["part"], row["number"], row["picked"]) == (2, 2, False)
    assert "image" not in row
