import pytest

from core.figures.colours import marker_of
from core.figures.published import beside, beside_chart

TITLES = {"r-pgd": "R-PGD", "mnist": "MNIST", "svhn": "SVHN"}


def row(model="capsnet", dataset="mnist", attack="r-pgd", mode="targeted", ours=60.0, **changed):
    known = ours is not None
    return {
        "paper": "qin2020",
        "table": "3",
        "dataset": dataset,
        "model": model,
        "attack": attack,
        "mode": mode,
        "metric": "success_rate",
        "published": 50.7,
        "ours": ours,
        "low": 50.0 if known else None,
        "high": 69.0 if known else None,
        "n": 1200 if known else None,
        "profile": "demo" if known else None,
        "reason": None if known else "not built",
        **changed,
    }


def test_a_number_says_how_far_it_is_from_the_published_one():
    (number,) = beside([row()], TITLES)
    assert number.difference == pytest.approx(9.3)
    assert number.within is True
    assert number.words == (
        "CapsNet, targeted R-PGD: published 50.7 %, ours 60.0 % (50.0–69.0 %, n = 1,200), "
        "difference +9.3 points"
    )
    assert number.record()["difference"] == number.difference
    assert beside([row(low=51.0)], TITLES)[0].within is False


def test_a_missing_number_says_why():
    (number,) = beside([row(ours=None)], TITLES)
    assert (number.difference, number.within) == (None, None)
    assert number.words == "CapsNet, targeted R-PGD: published 50.7 %; ours missing: not built"


def test_rows_are_named_by_what_tells_them_apart():
    several = beside([row(), row(dataset="svhn")], TITLES)
    assert [number.row for number in several] == ["MNIST, targeted R-PGD", "SVHN, targeted R-PGD"]
    errors = beside([row(attack=None, mode=None)], TITLES)
    assert errors[0].row == "MNIST"
    corrupted = beside([row(attack="gaussian_noise", mode=None)], TITLES)
    assert corrupted[0].row == "gaussian noise"


def test_published_numbers_are_ticks_and_ours_points_with_intervals(layers):
    numbers = beside([row(), row(model="cnn_r", ours=None)], TITLES)
    gap, bars, ticks, points = layers(beside_chart(numbers, "Success"))
    assert [r["published"] for r in ticks["rows"]] == [50.7, 50.7]
    assert [(r["ours"], r["low"], r["high"]) for r in points["rows"]] == [(60, 50, 69)]
    assert (gap["encoding"]["x"]["field"], gap["encoding"]["x2"]["field"]) == ("published", "ours")
    assert (bars["encoding"]["x"]["field"], bars["encoding"]["x2"]["field"]) == ("low", "high")
    assert points["encoding"]["shape"]["scale"]["range"] == [marker_of("CapsNet"), marker_of("CNN+R")]
    assert ticks["rows"][1]["words"].endswith("ours missing: not built")
    assert points["rows"][0]["origin"] == "n = 1,200, demo"


def test_every_number_has_its_line():
    few = beside_chart(beside([row()], TITLES), "Success").to_dict()
    many = beside_chart(beside([row(), row(dataset="svhn")], TITLES), "Success").to_dict()
    assert many["height"] > few["height"]
    assert many["title"]["subtitle"] == "upright bar: published; symbol: ours with its 95 % interval"


def test_no_number_of_ours_at_all_can_be_drawn(layers):
    ticks = layers(beside_chart(beside([row(ours=None)], TITLES), "Success"))[2]
    assert len(ticks["rows"]) == 1
