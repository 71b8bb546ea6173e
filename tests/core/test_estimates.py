import numpy as np
import pytest
from scipy import stats

from core.estimates import Estimate, largest, mean, paired, unpaired, within

A = np.array([1.0, 2.5, 3.0, 4.5, 2.0])
B = np.array([0.5, 2.0, 3.5, 2.5, 1.0])


def test_a_mean_is_students():
    found = mean(A)
    low, high = stats.t.interval(0.95, 4, loc=A.mean(), scale=stats.sem(A))
    assert (found.value, found.low, found.high) == pytest.approx((A.mean(), low, high))
    assert found.p_value == pytest.approx(stats.ttest_1samp(A, 0, alternative="greater").pvalue)
    with pytest.raises(ValueError, match="expected one value or more, got none"):
        mean([])


def test_paired_and_unpaired_differences_are_those_of_scipy():
    found = paired(A, B)
    assert found.p_value == pytest.approx(stats.ttest_rel(A, B, alternative="greater").pvalue)
    assert found.p_opposite == pytest.approx(stats.ttest_rel(A, B, alternative="less").pvalue)
    apart = unpaired(A, B[:4])
    peer = stats.ttest_ind(A, B[:4], equal_var=False, alternative="greater")
    assert apart.p_value == pytest.approx(peer.pvalue)
    assert (apart.low, apart.high) == pytest.approx(
        tuple(stats.ttest_ind(A, B[:4], equal_var=False).confidence_interval())
    )


def test_values_without_spread_leave_no_doubt_and_one_alone_all_of_it():
    assert (paired(A + 1, A).p_value, paired(A, A).p_value) == (pytest.approx(0, abs=1e-9), 1.0)
    alone = mean([2.0])
    assert (alone.low, alone.high, alone.p_value) == (float("-inf"), float("inf"), 1.0)


def test_equivalence_needs_both_sides():
    rng = np.random.Generator(np.random.Philox(key=[0, 0]))
    near = mean(0.001 + 0.01 * rng.normal(size=400))
    assert within(near, 0.01).p_value < 0.001
    assert within(near, 0.01).value == pytest.approx(0.01 - abs(near.value))
    assert within(mean(0.02 + 0.01 * rng.normal(size=400)), 0.01).p_opposite < 0.001
    unknown = within(mean([-1.0, 1.0, 0.5]), 0.01)
    assert min(unknown.p_value, unknown.p_opposite) > 0.05


def test_the_largest_of_several_is_tested_as_such():
    some = [Estimate(0.1, 0, 0.2, 9, 0.01, 0.99), Estimate(-1, -2, 0, 9, 0.9, 0.1)]
    found = largest(some)
    assert (found.value, found.p_value, found.p_opposite) == (0.1, 0.02, 0.99)
