import numpy as np
import pytest
import torch
from sklearn.metrics import cohen_kappa_score

from core.coherence import MAJORITY, agreement, majority, neighbour_labels, opinions
from core.metrics import Rate

# Votes of 14 judges on 10 subjects in 5 categories, a textbook example of Fleiss' kappa, which is 0.210.
VOTES = (
    (0, 0, 0, 0, 14), (0, 2, 6, 4, 2), (0, 0, 3, 5, 6), (0, 3, 9, 2, 0), (2, 2, 8, 1, 1),
    (7, 7, 0, 0, 0), (3, 2, 6, 3, 0), (2, 5, 3, 2, 2), (6, 5, 2, 1, 0), (0, 2, 2, 3, 7),
)  # fmt: skip


def test_opinions_by_hand():
    source, target = torch.tensor([0, 0, 1, 2]), torch.tensor([1, 2, 2, 0])
    predictions = {
        "a": torch.tensor([1, 2, 1, 3]),
        "b": torch.tensor([1, 0, 1, 0]),
        "c": torch.tensor([0, 2, 2, 1]),
    }
    a, b, c, most = opinions(predictions, source, target)
    assert (a.target, a.source, a.other) == (Rate(2, 4), Rate(1, 4), Rate(1, 4))
    assert (b.target, b.source, b.other) == (Rate(2, 4), Rate(2, 4), Rate(0, 4))
    assert (c.target, c.source, c.other) == (Rate(2, 4), Rate(1, 4), Rate(1, 4))
    assert most.judge == MAJORITY
    assert list(most.parts().values()) == [Rate(2, 4), Rate(1, 4), Rate(0, 4), Rate(1, 4)]
    assert a.split == Rate(0, 4)
    assert most.records()[-1]["metric"] == "called_split"
    assert a.records()[0] == {
        "judge": "a", "metric": "called_target", "k": 2, "n": 4, "value": 0.5,
        "low": pytest.approx(Rate(2, 4).low), "high": pytest.approx(Rate(2, 4).high),
    }  # fmt: skip


def test_a_majority_is_more_than_half():
    predictions = torch.tensor([[1, 1, 0, 5], [1, 1, 1, 5], [1, 2, 2, 4], [1, 2, 3, 5]])
    assert majority(predictions).tolist() == [1, -1, -1, 5]


def test_too_few_judges_or_images_are_refused():
    two = {"a": torch.tensor([1]), "b": torch.tensor([1])}
    with pytest.raises(ValueError, match="expected at least 3 judges and 1 image, got 2 and 1"):
        opinions(two, torch.tensor([0]), torch.tensor([1]))
    none = {name: torch.empty(0, dtype=torch.long) for name in "abc"}
    with pytest.raises(ValueError, match="got 3 and 0; .* no attack went undetected"):
        opinions(none, torch.empty(0, dtype=torch.long), torch.empty(0, dtype=torch.long))


def test_fleiss_kappa_of_the_textbook():
    judged = torch.tensor([[j for j, n in enumerate(votes) for _ in range(n)] for votes in VOTES]).T
    found = agreement(judged, torch.arange(10), 5)
    assert found.kappa == pytest.approx(0.20993, abs=5e-5)
    assert found.low < found.kappa < found.high
    assert found.n == 10


def test_agreement_of_two_judges_is_near_cohens_kappa_when_they_name_classes_equally_often():
    generator = torch.Generator().manual_seed(0)
    a = torch.randint(0, 4, (4000,), generator=generator)
    b = torch.where(
        torch.rand(4000, generator=generator) < 0.7, a, a[torch.randperm(4000, generator=generator)]
    )
    found = agreement(torch.stack([a, b]), torch.arange(4000), 4)
    assert found.kappa == pytest.approx(cohen_kappa_score(a, b), abs=0.002)
    assert found.low < 0.7 < found.high
    assert 0.03 < found.high - found.low < 0.06
    shared = float((a == b).double().mean())
    np.testing.assert_allclose(found.pairwise, [[1, shared], [shared, 1]])


def test_adversarials_of_one_image_count_as_one_draw():
    generator = torch.Generator().manual_seed(0)
    judged = torch.randint(0, 3, (3, 40), generator=generator)
    alone = agreement(judged, torch.arange(40), 3)
    copied = agreement(judged.repeat(1, 9), torch.arange(40).repeat(9), 3)
    assert copied.kappa == pytest.approx(alone.kappa)
    assert (copied.low, copied.high) == pytest.approx((alone.low, alone.high))


def test_agreement_at_its_ends():
    same = torch.tensor([[0, 1, 2, 0, 1, 2]] * 3)
    assert agreement(same, torch.arange(6), 3).kappa == 1
    only = agreement(torch.zeros(3, 6, dtype=torch.long), torch.arange(6), 3)
    assert np.isnan(only.kappa)
    assert (only.low, only.high) == (-1, 1)


def test_the_nearest_clean_images_vote_near_ones_more():
    reference = np.array([[0.0], [1.0], [1.1], [1.2], [9.0]], dtype=np.float32)
    labels = torch.tensor([4, 2, 2, 2, 7])
    found = neighbour_labels(reference, labels, np.array([[0.01], [0.9], [0.0]], dtype=np.float32), 4)
    assert found.tolist() == [4, 2, 4]
    assert found.dtype == torch.int64
    assert neighbour_labels(reference, labels, np.array([[8.0]], dtype=np.float32), 1).tolist() == [7]
