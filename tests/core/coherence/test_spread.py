import numpy as np
import pytest

from core.coherence import compare_dispersions, dispersion
from core.coherence.pairs import PairOutcomes

OFF = ~np.eye(10, dtype=bool)


def uneven_cells(low: float, high: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(low, high, (10, 10)) * OFF


def test_with_two_images_a_class_it_is_the_covariance_of_the_two(draw):
    outcomes = draw(np.full((10, 10), 0.5), 2, 3)
    generator = np.random.default_rng(9)
    found = dispersion(outcomes, seed=9).value
    # The same halves once more, by hand.
    covariances = []
    orders = [generator.random((200, 2)).argsort(1) for _ in range(10)]
    for split in range(200):
        first, second = (
            np.stack([outcomes.hits[outcomes.source == j][orders[j][split, side]] for j in range(10)])
            for side in (0, 1)
        )
        covariances.append(np.cov(first[OFF].astype(float), second[OFF].astype(float))[0, 1])
    assert found == pytest.approx(np.mean(covariances))


def test_chance_is_not_taken_for_dispersion(draw, fewer):
    found = [dispersion(draw(np.full((10, 10), 0.5), 10, seed), seed=seed) for seed in range(40)]
    assert abs(np.mean([f.value for f in found])) < 0.002
    assert sum(f.low == 0 for f in found) >= 36
    observed = np.mean([draw(np.full((10, 10), 0.5), 10, seed).rates[OFF].var() for seed in range(5)])
    assert observed > 0.02


@pytest.mark.parametrize(("per_class", "uneven"), [(10, 0.0), (10, 0.15), (40, 0.15)])
def test_the_interval_holds_the_true_variance_about_as_often_as_it_says(draw, fewer, per_class, uneven):
    truth = uneven_cells(0.15, 0.85)
    variance = truth[OFF].var(ddof=1)
    found = [dispersion(draw(truth, per_class, seed, uneven), seed=seed) for seed in range(40)]
    assert np.mean([f.value for f in found]) == pytest.approx(variance, rel=0.06)
    assert sum(f.low <= variance <= f.high for f in found) >= 35
    assert all(f.low > 0 and f.high < 3 * variance for f in found)


def test_the_deviation_is_the_root_and_never_of_a_negative_number():
    from core.coherence import Dispersion

    assert Dispersion(0.04, 0.01, 0.09, 100).deviation == pytest.approx((0.2, 0.1, 0.3))
    assert Dispersion(-0.001, 0.0, 0.0025, 100).deviation == pytest.approx((0, 0, 0.05))


def test_a_model_with_more_uneven_pairs_is_found_and_its_mirror_image_too(draw):
    wide, narrow = draw(uneven_cells(0.05, 0.95), 20, 1), draw(uneven_cells(0.4, 0.6, 5), 20, 2)
    found = compare_dispersions(wide, narrow)
    expected = uneven_cells(0.05, 0.95)[OFF].var(ddof=1) - uneven_cells(0.4, 0.6, 5)[OFF].var(ddof=1)
    assert found.low < expected < found.high
    assert found.low > 0
    assert found.p_value < 0.001
    back = compare_dispersions(narrow, wide)
    assert (back.value, back.p_opposite) == pytest.approx((-found.value, found.p_value))
    assert found.record()["metric"] == "dispersion"


def test_models_with_the_same_dispersion_over_other_pairs_are_seldom_told_apart(draw, fewer):
    p_values = [
        compare_dispersions(
            draw(uneven_cells(0.1, 0.9), 10, seed),
            draw(uneven_cells(0.1, 0.9).T, 10, 500 + seed),
            seed=seed,
        ).p_value
        for seed in range(40)
    ]
    assert np.mean(np.array(p_values) < 0.05) <= 0.12
    assert 0.3 < np.mean(p_values) < 0.7


def test_attacks_on_other_images_are_refused(draw):
    one = draw(np.full((10, 10), 0.5), 4, 0)
    other = PairOutcomes(one.image + 1, one.source, one.hits)
    with pytest.raises(ValueError, match="expected two attacks on the same images"):
        compare_dispersions(one, other)
