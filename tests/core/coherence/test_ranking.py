from itertools import permutations

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.isotonic import IsotonicRegression

from core.coherence import compare_correlations, correlation, monotone_fit
from core.coherence.ranking import _mantel, _ranks

pytestmark = pytest.mark.slow

OFF = ~np.eye(10, dtype=bool)


def class_distances(seed: int, n_classes: int = 10) -> np.ndarray:
    points = np.random.default_rng(seed).normal(size=(n_classes, 3))
    return np.linalg.norm(points[:, None] - points[None], axis=-1)


def following(distances: np.ndarray, low: float = 0.05, high: float = 0.95) -> np.ndarray:
    """Success that falls with distance, from `high` to `low`."""
    reach = np.where(distances > 0, distances, np.nan)
    part = (reach - np.nanmin(reach)) / (np.nanmax(reach) - np.nanmin(reach))
    return np.nan_to_num(high - (high - low) * part)


def test_success_made_from_similarity_follows_it(draw):
    distances = class_distances(0)
    outcomes = draw(following(distances), 50, seed=1)
    found = correlation(outcomes, distances)
    assert found.value > 0.98
    assert found.low > 0.9
    assert found.p_value == pytest.approx(1e-4)
    assert found.p_opposite > 0.99
    assert found.observed == pytest.approx(spearmanr(outcomes.rates[OFF], -distances[OFF]).statistic)
    assert found.n == 500
    away = correlation(outcomes, distances.max() - distances)
    assert away.value == pytest.approx(-found.value)
    assert away.p_opposite == pytest.approx(1e-4)


def test_success_that_follows_something_else_is_not_taken_for_similarity(draw, fewer):
    held, p_values = 0, []
    for seed in range(40):
        outcomes = draw(following(class_distances(1000 + seed)), 10, seed)
        found = correlation(outcomes, class_distances(seed), seed=seed)
        # What holds is 0 on average over seeds; for one pair of random matrices it may be a little off.
        held += found.low <= 0.3 and found.high >= -0.3
        p_values.append(found.p_value)
    assert held >= 36
    assert 0.35 < np.mean(p_values) < 0.65
    assert np.mean(np.array(p_values) < 0.05) <= 0.15


def half_following() -> tuple[np.ndarray, np.ndarray, float]:
    """Distances, success that also has other reasons, and the true rank correlation of the two."""
    distances = class_distances(0)
    other = np.random.default_rng(5).uniform(-0.15, 0.15, (10, 10))
    truth = (following(distances, 0.2, 0.75) + other).clip(0, 1)
    return distances, truth, float(spearmanr(truth[OFF], -distances[OFF]).statistic)


def test_few_images_lower_what_is_observed_and_not_the_estimate(draw, fewer):
    distances, truth, rho = half_following()
    found = [correlation(draw(truth, 8, seed), distances, seed=seed) for seed in range(40)]
    assert np.mean([f.observed for f in found]) < rho - 0.07
    assert np.mean([f.value for f in found]) == pytest.approx(rho, abs=0.03)


@pytest.mark.parametrize(("per_class", "uneven"), [(10, 0.0), (10, 0.2), (40, 0.2)])
def test_the_interval_holds_the_true_correlation_about_as_often_as_it_says(draw, fewer, per_class, uneven):
    distances, truth, rho = half_following()
    assert 0.5 < rho < 0.95
    held, inside = 0, 0
    for seed in range(40):
        found = correlation(draw(truth, per_class, seed, uneven), distances, seed=seed)
        held += found.low <= rho <= found.high
        inside += found.low <= 0 <= found.high
    assert 35 <= held <= 40
    assert inside == 0, "an interval from -1 to 1 would hold everything"


def test_mantels_p_value_is_the_share_of_relabellings(monkeypatch):
    monkeypatch.setattr("core.coherence.ranking.PERMUTATIONS", 20000)
    generator = np.random.default_rng(0)
    rates, distances = generator.random((4, 4)), class_distances(3, 4)
    off = ~np.eye(4, dtype=bool)

    def rho(order: tuple[int, ...]) -> float:
        return spearmanr(rates[np.ix_(order, order)][off], -distances[off]).statistic

    all_orders = [rho(order) for order in permutations(range(4))]
    observed = rho((0, 1, 2, 3))
    above = np.mean([value >= observed - 1e-9 for value in all_orders])
    below = np.mean([value <= observed + 1e-9 for value in all_orders])
    found = _mantel(rates, _ranks(-distances), np.random.default_rng(1))
    assert found == pytest.approx((above, below), abs=0.01)


def test_cells_of_a_class_are_not_taken_as_independent(draw, fewer):
    """Easy classes and far ones, without relation: cells that share a class repeat each other."""
    found = []
    for seed in range(40):
        far, easy = np.random.default_rng(seed).uniform(0, 0.45, (2, 10))
        distances = (far[:, None] + far[None]) * OFF
        outcomes = draw(easy[:, None] + easy[None], 10, seed)
        cells = spearmanr(outcomes.rates[OFF], -distances[OFF], alternative="greater").pvalue
        found.append((correlation(outcomes, distances, seed=seed).p_value < 0.05, cells < 0.05))
    right, naive = np.mean(found, 0)
    assert naive > 0.2
    assert right <= 0.12


def test_pairs_that_are_all_alike_have_no_order_to_follow(draw):
    found = correlation(draw(np.ones((10, 10)), 10, 0), class_distances(0))
    assert np.isnan(found.value)
    assert (found.low, found.high, found.observed, found.p_value) == (-1, 1, 0, 1)
    flat = correlation(draw(np.full((10, 10), 0.5), 10, 0), class_distances(0))
    assert np.isnan(flat.value)
    assert abs(flat.agreement) < 0.2


def test_models_are_compared_over_the_same_images(draw):
    distances = class_distances(0)
    one = draw(following(distances), 20, 1)
    other = draw(following(class_distances(7)), 20, 2)
    found = compare_correlations(one, other, distances)
    assert found.value == pytest.approx(
        correlation(one, distances).value - correlation(other, distances).value, abs=0.05
    )
    assert 0 < found.low < found.value < found.high
    assert found.p_value < 0.001 < 0.999 < found.p_opposite
    back = compare_correlations(other, one, distances)
    assert (back.value, back.p_opposite) == pytest.approx((-found.value, found.p_value))
    same = compare_correlations(one, one, distances)
    assert (same.value, same.low, same.high, same.p_value, same.p_opposite) == (0, 0, 0, 1, 1)
    nothing = compare_correlations(one, draw(np.ones((10, 10)), 20, 0), distances)
    assert np.isnan(nothing.value)
    assert (nothing.p_value, nothing.p_opposite) == (1, 1)


def test_seeds_decide(draw):
    distances = class_distances(0)
    outcomes = draw(following(distances), 10, 1)
    assert correlation(outcomes, distances, seed=3) == correlation(outcomes, distances, seed=3)
    assert correlation(outcomes, distances, seed=3).low != correlation(outcomes, distances, seed=4).low


def test_what_cannot_be_compared_is_refused(draw):
    outcomes = draw(np.full((10, 10), 0.5), 10, 0)
    with pytest.raises(
        ValueError, match=r"expected distances that differ .* shape \(10, 10\), got shape \(4, 4\)"
    ):
        correlation(outcomes, class_distances(0, 4))
    with pytest.raises(ValueError, match="expected distances that differ"):
        correlation(outcomes, np.ones((10, 10)))
    with pytest.raises(ValueError, match="expected two attacks on the same images, got 100 and 110"):
        compare_correlations(outcomes, draw(np.full((10, 10), 0.5), 11, 0), class_distances(0))


def test_the_fit_is_isotonic_regression_with_a_band_that_resampling_images_gives(draw):
    distances = class_distances(0)
    outcomes = draw(following(distances), 20, 1)
    fit = monotone_fit(outcomes, distances, resamples=200)
    x, y = distances[OFF], outcomes.rates[OFF]
    oracle = IsotonicRegression(increasing=False).fit(x, y).predict(np.array(fit.distance))
    np.testing.assert_allclose(fit.value, oracle, atol=1e-9)
    assert list(fit.distance) == sorted(set(x.tolist()))
    truth = [following(distances)[distances == d].mean() for d in fit.distance]
    inside = [low - 1e-9 <= t <= high + 1e-9 for low, t, high in zip(fit.low, truth, fit.high, strict=True)]
    assert np.mean(inside) > 0.85
    assert 0.02 < np.mean(np.array(fit.high) - np.array(fit.low)) < 0.3
