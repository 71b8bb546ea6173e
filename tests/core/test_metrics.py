import pytest
import torch
from scipy.stats import binomtest

from core.metrics import (
    Rate,
    pair_counts,
    success_rate,
    threshold_at,
    undetected_curve,
    undetected_rate,
    wilson,
)


@pytest.mark.parametrize(("k", "n"), [(0, 10), (1, 10), (5, 10), (10, 10), (337, 1000), (1, 1)])
def test_wilson_agrees_with_scipy(k, n):
    theirs = binomtest(k, n).proportion_ci(confidence_level=0.95, method="wilson")
    assert wilson(k, n) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_rate_refuses_impossible_counts():
    assert Rate(3, 4).value == 0.75
    for k, n in [(5, 4), (-1, 4), (0, 0)]:
        with pytest.raises(ValueError, match="expected 0 <= k <= n and n of 1 or more, got"):
            Rate(k, n)


def test_rates_by_hand():
    prediction = torch.tensor([1, 1, 2, 0, 3, 1])
    label = torch.tensor([0, 1, 0, 0, 0, 0])
    target = torch.tensor([1, 2, 1, 2, 3, 1])
    distance = torch.tensor([1.0, 1.0, 1.0, 1.0, 2.0, 3.0])
    assert success_rate(prediction, label, target) == Rate(3, 6)
    assert success_rate(prediction, label) == Rate(4, 6)
    assert undetected_rate(prediction, distance, 2.0, label, target) == Rate(2, 6), "d = theta is not flagged"
    assert undetected_rate(prediction, distance, 1.5, label) == Rate(2, 6)


def test_threshold_flags_at_most_the_rate_asked_for():
    scores = torch.randperm(200, generator=torch.Generator().manual_seed(0)).float()
    assert threshold_at(scores, 0.05) == 189
    for fpr in (0.0, 0.001, 0.05, 0.3, 0.999, 1.0):
        flagged = float((scores > threshold_at(scores, fpr)).double().mean())
        assert flagged <= fpr + 1e-9
        assert flagged > fpr - 1 / 200 - 1e-9
    assert float((torch.ones(10) > threshold_at(torch.ones(10), 0.5)).float().mean()) == 0
    for bad in (-0.1, 1.1):
        with pytest.raises(ValueError, match="between 0 and 1"):
            threshold_at(scores, bad)
    with pytest.raises(ValueError, match="got 0 scores"):
        threshold_at(torch.empty(0))


def test_undetected_curve_falls_with_the_false_positive_rate():
    generator = torch.Generator().manual_seed(0)
    clean, distance = torch.rand(500, generator=generator), torch.rand(300, generator=generator) + 0.3
    success = torch.rand(300, generator=generator) < 0.8
    curve = undetected_curve(clean, distance, success, [0.0, 0.05, 0.5, 1.0])
    values = [rate.value for _, _, rate in curve]
    assert values == sorted(values, reverse=True)
    assert values[0] > values[-1]
    fpr, threshold, rate = curve[1]
    assert rate == Rate(int((success & (distance <= threshold)).sum()), 300)
    assert threshold == threshold_at(clean, fpr)


def test_pair_counts_by_hand():
    source, target = torch.tensor([0, 0, 1, 2, 2, 2]), torch.tensor([1, 1, 0, 0, 1, 1])
    hits = torch.tensor([True, False, True, False, True, True])
    k, n = pair_counts(source, target, hits, 3)
    assert k.tolist() == [[0, 1, 0], [1, 0, 0], [0, 2, 0]]
    assert n.tolist() == [[0, 2, 0], [1, 0, 0], [1, 2, 0]]
