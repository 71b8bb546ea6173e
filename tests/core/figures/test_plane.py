import pytest

from core.figures.colours import GREY, colour_of, marker_of
from core.figures.embedding import PART_COLOURS
from core.figures.plane import FADED, Dot, plane_chart

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


def test_points_have_words_and_the_plane_is_square(dots, layers):
    chart = plane_chart(dots, "t-SNE")
    (points,) = layers(chart)
    assert points["rows"][3]["words"] == "CNN+R, part 2, number 2, length 4.00"
    assert points["encoding"]["shape"]["scale"]["range"] == [marker_of(title) for title in TITLES]
    assert chart.width == chart.height


def test_those_that_are_not_picked_out_fade(dots, layers):
    (points,) = layers(plane_chart(dots, "t-SNE"))
    strength = [row["strength"] for row in points["rows"]]
    assert strength[3] == FADED < min(strength[:3])
    assert points["encoding"]["opacity"]["field"] == "strength"


@pytest.mark.parametrize(
    ("by", "field", "colours"),
    [
        ("model", "model", [colour_of(title) for title in TITLES]),
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
    grey = points["encoding"]["shape"]["legend"].get("symbolFillColor")
    assert grey == (None if by == "model" else GREY), "black would not be seen on a dark page"
    if by == "fooling":
        assert "domain" not in colour["scale"], "rates lie close together, so that colours span theirs"
        assert colour["legend"]["title"] == "fooling rate on CapsNet"


def test_rows_of_a_file_count_from_one_and_leave_the_thumbnail_out(dots):
    row = dots[3].record()
    assert (row["part"], row["number"], row["picked"]) == (2, 2, False)
    assert "image" not in row
