import numpy as np
import pytest
from scipy import stats

from core.figures.norms import Lengths, norm_chart, reach, reach_chart
from core.metrics import Rate

FULL = Lengths("CW-L2", "Michels ConvNet", (1.0, 2.0, 4.0), 1, 2, 1.4)
EMPTY = Lengths("CW-L2", "Michels CapsNet", (), 0, 5, 1.82)
OTHER = Lengths("DeepFool", "Michels ConvNet", (3.0, 3.5), 0, 0)
GROUPS = [FULL, EMPTY, OTHER]


def test_the_mean_counts_what_was_misread_before_as_zero_and_leaves_failures_out():
    row = FULL.row()
    assert row["n"] == 6
    assert row["mean"] == pytest.approx((0 + 1 + 2 + 4) / 4)
    assert row["mean_moved"] == pytest.approx(7 / 3)
    assert row["median_moved"] == 2
    low, high = stats.t.interval(0.95, 2, 7 / 3, stats.sem([1, 2, 4]))
    assert row["mean_moved_high"] == pytest.approx(high)
    assert low < 0
    assert row["mean_moved_low"] == 0, "no length is below 0"
    assert FULL.words.endswith("n = 4), published 1.4")


def test_of_nothing_there_is_no_mean():
    row = EMPTY.row()
    assert (row["mean"], row["mean_moved"], row["median_moved"]) == (None, None, None)
    assert EMPTY.words == "CW-L2 on Michels CapsNet: too few to have a mean"
    assert set(row) == set(FULL.row()), "all rows of a file have the same columns"


def test_the_chart_has_a_point_an_image_a_mean_and_the_published_mean(layers):
    rules, points, bars, means, ticks = layers(norm_chart(GROUPS, "Lengths", "length"))
    assert [row["norm"] for row in points["rows"]] == [1.0, 2.0, 4.0, 3.0, 3.5]
    assert [row["mean"] for row in means["rows"]] == [1.75, 3.25]
    assert [row["published"] for row in ticks["rows"]] == [1.4, 1.82]
    assert [row["place"] for row in ticks["rows"]] == [0, 1]
    assert means["rows"][1]["place"] == 2
    assert [row["place"] for row in rules["rows"]] == [1.5], "a line between attacks"
    assert all(abs(row["place"] - round(row["place"])) < 0.5 for row in points["rows"])
    assert bars["encoding"]["x2"]["field"] == "mean_high"


def test_a_chart_of_nothing_but_failures_is_still_drawn(layers):
    drawn = layers(norm_chart([EMPTY], "Lengths", "length"))
    assert drawn[-1]["rows"][0]["published"] == 1.82


def test_reach_begins_with_what_is_misread_and_ends_below_one_where_some_failed():
    assert reach(FULL) == [(0.0, Rate(1, 6)), (1.0, Rate(2, 6)), (2.0, Rate(3, 6)), (4.0, Rate(4, 6))]
    values = [rate.value for _, rate in reach(OTHER)]
    assert np.all(np.diff(values) > 0)
    assert values[-1] == 1


def test_curves_go_on_to_the_end_of_the_axis(layers):
    (lines,) = layers(reach_chart(GROUPS, "Misread", "length", {"DeepFool": (2, 3)}))
    last = [row for row in lines["rows"] if row["attack"] == "DeepFool"][-1]
    assert (last["norm"], last["value"]) == (4.0, 1.0)
    dash = lines["encoding"]["strokeDash"]["scale"]
    assert dict(zip(dash["domain"], dash["range"], strict=True)) == {"CW-L2": [], "DeepFool": [2, 3]}
