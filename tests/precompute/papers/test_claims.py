import math

import pytest
from scipy.stats import hypergeom

from core.metrics import Rate
from precompute.papers.claims import Claim, evaluate, holm
from precompute.papers.comparisons import Below, Positive, Under, rate_below

A, B, C = ({"model": name, "metric": "success_rate"} for name in "abc")


def row(where, k, n, dataset="mnist"):
    return {**where, "dataset": dataset, "k": k, "n": n}


def find(comparisons, rows, table="rates", datasets=("mnist",), only=None):
    claim = Claim("key", "It is so.", "Table 0", table, tuple(comparisons), only)
    return evaluate([claim], {"rates": rows, "coherence": rows}, datasets)


def test_two_rates_are_compared_by_fishers_exact_test():
    # The lady tasting tea: 3 of 4 right against 1 of 4, p = 17/70.
    assert rate_below(Rate(1, 4), Rate(3, 4)) == pytest.approx(17 / 70)
    assert rate_below(Rate(3, 4), Rate(1, 4)) == pytest.approx(69 / 70)
    assert rate_below(Rate(3, 200), Rate(15, 180)) == pytest.approx(hypergeom(380, 18, 200).cdf(3))
    assert rate_below(Rate(0, 50), Rate(0, 50)) == 1


def test_holms_method_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.5]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.parametrize(
    ("k", "verdict"), [((2, 50, 60), "holds"), ((60, 50, 40), "contradicted"), ((48, 50, 90), "undecided")]
)
def test_a_claim_holds_when_all_of_it_does_and_falls_with_one_part(k, verdict):
    rows = [row(where, count, 100) for where, count in zip((A, B, C), k, strict=True)]
    (found,) = find([Below(A, B), Below(A, C)], rows)
    assert found.verdict == verdict
    assert [c.verdict for c in found.compared][1] == ("contradicted" if k[2] == 40 else "holds")


def test_several_comparisons_are_corrected_for():
    rows = [row(A, 50, 100), row(B, 63, 100), row(C, 63, 100)]
    (alone,) = find([Below(A, B)], rows)
    (both,) = find([Below(A, B), Below(A, C)], rows)
    assert alone.verdict == "holds"
    assert both.verdict == "undecided"
    assert both.compared[0].p_value == pytest.approx(2 * alone.compared[0].p_value)


def test_a_comparison_says_both_rates_with_n_and_p():
    (found,) = find([Below(A, B)], [row(A, 1, 4), row(B, 3, 4)])
    (record,) = found.records()
    assert record["lower_what"] == "a, success_rate"
    assert (record["lower_value"], record["lower_n"]) == (0.25, 4)
    assert (record["higher_value"], record["higher_n"]) == (0.75, 4)
    assert record["lower_low"] == pytest.approx(Rate(1, 4).low)
    assert (record["p_value"], record["p_opposite"]) == pytest.approx((17 / 70, 69 / 70))
    assert (record["verdict"], record["dataset"], record["claim"]) == ("undecided", "mnist", "key")


def test_a_constant_is_a_side_without_n():
    (found,) = find([Under(A, 0.05)], [row(A, 0, 100)])
    assert found.verdict == "holds"
    assert (found.compared[0].higher.what, found.compared[0].higher.n) == ("0.05", None)
    assert found.compared[0].p_value == pytest.approx(0.95**100)
    assert found.compared[0].p_opposite == 1
    (above,) = find([Under(A, 0.05)], [row(A, 20, 100)])
    assert above.verdict == "contradicted"


@pytest.mark.parametrize(
    ("p_value", "p_opposite", "verdict"),
    [(0.01, 0.99, "holds"), (0.99, 0.01, "contradicted"), (0.4, 0.6, "undecided")],
)
def test_a_figure_with_a_test_of_its_own_is_compared_with_zero(p_value, p_opposite, verdict):
    stored = {"value": 0.4, "low": 0.1, "high": 0.6, "n": 100, "p_value": p_value, "p_opposite": p_opposite}
    rows = [{**A, "dataset": "mnist", **stored}]
    (found,) = find([Positive(A)], rows, table="coherence")
    assert found.verdict == verdict
    assert (found.compared[0].lower.value, found.compared[0].higher.value) == (0, 0.4)


def test_what_was_not_measured_is_named():
    (found,) = find([Below(A, B), Below(A, C)], [row(A, 1, 100), row(B, 60, 100)])
    assert found.verdict == "not measured"
    assert found.missing == ("c, success_rate",)
    assert [c.verdict for c in found.compared] == ["holds"]
    (nothing,) = find([Below(A, B)], [])
    assert nothing.records() == [
        {
            "claim": "key", "sentence": "It is so.", "source": "Table 0", "dataset": "mnist",
            "verdict": "not measured", "missing": "a, success_rate; b, success_rate",
        }
    ]  # fmt: skip


def test_one_contradiction_is_enough_though_other_rows_are_missing():
    (found,) = find([Below(A, B), Below(A, C)], [row(A, 60, 100), row(B, 1, 100)])
    assert found.verdict == "contradicted"


def test_data_sets_are_tested_apart_unless_the_claim_names_another():
    rows = [row(A, 1, 100), row(B, 60, 100), row(A, 60, 100, "svhn"), row(B, 1, 100, "svhn")]
    found = find([Below(A, B)], rows, datasets=("mnist", "svhn"))
    assert [(f.dataset, f.verdict) for f in found] == [("mnist", "holds"), ("svhn", "contradicted")]
    (across,) = find([Below(A, {"dataset": "svhn", **A})], rows, datasets=("mnist", "svhn"), only=("mnist",))
    assert across.verdict == "holds"


def test_columns_without_a_value_fit_none_and_several_fitting_rows_are_refused():
    white = {**A, "access": None}
    rows = [row(A, 1, 100), {**row(B, 60, 100), "access": math.nan}]
    (found,) = find([Below(white, {**B, "access": None})], rows)
    assert found.verdict == "holds"
    (missing,) = find([Below({**A, "access": "black_box"}, B)], rows)
    assert missing.verdict == "not measured"
    with pytest.raises(ValueError, match="expected one row with .* got 2; give the rows of one profile"):
        find([Below(A, B)], [*rows, row(A, 2, 100)])
