import numpy as np
import pytest
import torch

from core.coherence import pair_outcomes
from core.coherence.pairs import halves, tails

INDEX = torch.tensor([7, 7, 2, 2, 9, 9, 4, 4, 5, 5, 6, 6])
LABEL = torch.tensor([1, 1, 0, 0, 2, 2, 0, 0, 1, 1, 2, 2])
TARGET = torch.tensor([0, 2, 2, 1, 0, 1, 1, 2, 0, 2, 0, 1])
HITS = torch.tensor([1, 0, 1, 0, 1, 1, 0, 1, 1, 0, 0, 1]).bool()


def test_outcomes_by_hand_in_any_order():
    found = pair_outcomes(INDEX, LABEL, TARGET, HITS, 3)
    assert found.image.tolist() == [2, 4, 5, 6, 7, 9]
    assert found.source.tolist() == [0, 0, 1, 2, 1, 2]
    np.testing.assert_allclose(found.rates, [[0, 0, 1], [1, 0, 0], [0.5, 1, 0]])
    order = torch.randperm(len(INDEX), generator=torch.Generator().manual_seed(0))
    again = pair_outcomes(INDEX[order], LABEL[order], TARGET[order], HITS[order], 3)
    np.testing.assert_array_equal(again.hits, found.hits)


def test_rows_that_are_no_matrix_are_refused():
    message = "expected one attack on every image towards each of the other 2 classes, got"
    with pytest.raises(ValueError, match=message):
        pair_outcomes(INDEX[1:], LABEL[1:], TARGET[1:], HITS[1:], 3)
    with pytest.raises(ValueError, match=message):
        pair_outcomes(INDEX, LABEL, TARGET.where(TARGET != 2, 1), HITS, 3)
    with pytest.raises(ValueError, match="expected at least 2 images of every class, got 1 of one"):
        pair_outcomes(INDEX[2:], LABEL[2:], TARGET[2:], HITS[2:], 3)


def test_halves_share_no_image_and_make_up_the_whole(draw):
    outcomes = draw(np.full((4, 4), 0.5), 6, 0)
    one, other = halves(outcomes, 30, np.random.default_rng(0), resample=False)
    np.testing.assert_allclose((one + other) / 2, np.broadcast_to(outcomes.rates, one.shape), atol=1e-12)
    assert len({half.tobytes() for half in one}) > 20
    pair = pair_outcomes(INDEX, LABEL, TARGET, torch.ones(12, dtype=torch.bool), 3)
    alone = pair.hits & (pair.image == 2)[:, None]
    one, other = halves(
        type(pair)(pair.image, pair.source, alone), 20, np.random.default_rng(0), resample=True
    )
    assert set(one[:, 0, 1]) == {0.0, 1.0}
    np.testing.assert_array_equal(one * other, 0)


def test_equal_generators_put_the_same_images_into_the_halves_of_two_models(draw):
    first, second = draw(np.full((4, 4), 0.5), 6, 0), draw(np.full((4, 4), 0.5), 6, 1)
    both = type(first)(first.image, first.source, first.hits | second.hits)
    one, _ = halves(first, 10, np.random.default_rng(3), resample=True)
    all_of, _ = halves(both, 10, np.random.default_rng(3), resample=True)
    assert (one <= all_of + 1e-12).all()


def test_tails_are_what_the_interval_says():
    chance = np.random.default_rng(0).normal(size=4000)
    above, below = tails(1.645, chance)
    assert above == pytest.approx(0.05, abs=0.01)
    assert below == pytest.approx(0.95, abs=0.01)
    assert tails(50.0, chance)[0] == 1 / 4001
