"""Several detectors as one, beside counted p-values."""

import math

import pytest
import torch

from core.detectors import Detector, MinimumPValue, PCADetector, ReconstructionDetector
from core.detectors.minimum_p_value import surprise
from core.metrics import rate, threshold_at


def counted(score: float, clean: list[float]) -> float:
    """-log of the empirical p-value."""
    return -math.log((1 + sum(c >= score for c in clean)) / (len(clean) + 1))


def test_at_clean_scores_it_is_the_counted_p_value():
    clean = (torch.randn(50, generator=torch.Generator().manual_seed(0)) ** 2).sort().values
    found = surprise(clean, clean)
    assert found.tolist() == pytest.approx([counted(float(c), clean.tolist()) for c in clean], abs=1e-5)


def test_between_them_it_is_at_most_the_staircase_and_within_one_stair():
    clean = torch.randn(50, generator=torch.Generator().manual_seed(1)).sort().values
    asked = torch.linspace(float(clean[0]), float(clean[-1]), 301)[1:-1]
    for value, found in zip(asked.tolist(), surprise(asked, clean).tolist(), strict=True):
        stair = counted(value, clean.tolist())
        below = max(c for c in clean.tolist() if c <= value)
        assert counted(below, clean.tolist()) - 1e-5 <= found <= stair + 1e-5


def test_it_rises_everywhere_also_beyond_the_ends():
    clean = torch.tensor([1.0, 2.0, 2.0, 3.0, 7.0])
    asked = torch.linspace(-5, 20, 501, requires_grad=True)
    found = surprise(asked, clean)
    (slope,) = torch.autograd.grad(found.sum(), asked)
    assert (slope > 0).all()
    assert slope.isfinite().all()
    assert (found.diff() > -1e-6).all()
    # Of the median, 2, at 6 / 2 = the third of five, p = 4/6, and of the largest p = 2/6.
    assert float(slope[-1]) == pytest.approx((math.log(6 / 2) - math.log(6 / 4)) / (7 - 2), rel=1e-5)


def test_equal_clean_scores_do_no_harm():
    clean = torch.full((9,), 2.0)
    found = surprise(torch.tensor([1.0, 2.0, 3.0]), clean)
    assert found.isfinite().all()
    assert found[0] < found[1] < found[2]


class Pixel(Detector):
    """The value of one pixel."""

    def __init__(self, at: int, title: str) -> None:
        super().__init__()
        self.at, self.title = at, title

    def evasion_loss(self, x, label=None):
        return x.flatten(1)[:, self.at] * 10**self.at


def test_the_least_likely_part_decides_whatever_its_scale(train, held_out):
    detector = MinimumPValue({"a": Pixel(0, "first"), "b": Pixel(1, "second")}).fit(held_out)
    x = train.x(slice(0, 3)).clone()
    x.flatten(1)[:, :2] = held_out.x().flatten(1)[:, :2].median(0).values
    x[1].flatten()[0] = x[2].flatten()[1] = 1.0
    parts = detector.parts(x)
    assert list(parts) == ["first", "second"]
    assert parts["first"].argmax() == 1
    assert parts["second"].argmax() == 2
    assert torch.equal(detector.score(x), torch.maximum(parts["first"], parts["second"]))
    assert (detector.score(x)[1:] > math.log(20)).all()


def test_one_threshold_on_it_is_one_on_each_part_for_the_same_share(tiny, train, held_out, test):
    members = {"a": ReconstructionDetector(tiny), "b": PCADetector().fit(train)}
    detector = MinimumPValue(members).fit(held_out)
    alpha = 0.1
    # Where -log p is exact, at clean scores, p <= alpha means that no more than so many score as high.
    for name, member in members.items():
        score = member.score(held_out.x())
        found = surprise(score, getattr(detector, f"clean_{name}")) > -math.log(alpha)
        assert abs(found.sum() - alpha * 60) <= 1
    score = detector.score(held_out.x())
    assert rate(score > threshold_at(score, alpha)).k == 6
    assert detector.score(test.x()).isfinite().all()


def test_it_needs_a_part():
    with pytest.raises(ValueError, match="expected one detector or more, got none"):
        MinimumPValue({})
