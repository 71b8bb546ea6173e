import numpy as np
import pytest
import torch
from sklearn.metrics import silhouette_samples

from core.embedding import Umap, directions, separation, silhouettes, tsne

pytestmark = pytest.mark.slow


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=[seed, 0]))


@pytest.fixture(scope="module")
def apart() -> tuple[np.ndarray, np.ndarray]:
    """Three well separated groups of 20 points."""
    group = np.repeat([0, 1, 2], 20)
    centres = 10 * np.eye(3, 12)
    return (centres[group] + rng().normal(size=(60, 12))).astype(np.float32), group


def test_directions_have_length_one_and_forget_strength():
    delta = torch.randn(4, 2, 3, 5, generator=torch.Generator().manual_seed(0))
    points = directions(delta)
    assert points.shape == (4, 30)
    assert np.allclose(np.linalg.norm(points, axis=1), 1, atol=1e-6)
    levels = (delta * 60).round().to(torch.int16)
    assert np.allclose(directions(levels * 2), directions(levels))
    assert not directions(torch.zeros(2, 1, 2, 2)).any()
    delta[1, 0, 0, 0] = float("nan")
    with pytest.raises(ValueError, match="expected 2 or more perturbations of finite numbers, got 4, 1 of"):
        directions(delta)


def test_silhouettes_are_those_of_scikit_learn(apart):
    points, group = apart
    for labels in (group, rng(1).permutation(group), np.where(group == 2, 7, group)):
        distances = np.linalg.norm(points[:, None] - points[None], axis=2)
        expected = silhouette_samples(points, labels)
        assert np.allclose(silhouettes(distances, labels), expected, atol=1e-5)
    alone = np.array([0, 0, 1])
    assert silhouettes(np.array([[0, 1, 4], [1, 0, 5], [4, 5, 0.0]]), alone).tolist() == [0.75, 0.8, 0.0]
    with pytest.raises(ValueError, match="expected two or more groups, got one"):
        silhouettes(distances, np.zeros(60))


def test_groups_that_are_apart_are_found_so(apart):
    found = separation(*apart, rounds=199)
    assert found.silhouette > 0.6
    assert found.low <= found.silhouette <= found.high
    assert found.p_value == 1 / 200
    assert found.p_opposite == 1
    assert (found.purity.k, found.purity.n) == (60, 60)
    assert found.chance == pytest.approx(19 / 59)


def test_shuffled_groups_are_near_chance(apart):
    points, group = apart
    p_values = []
    for seed in range(8):
        found = separation(points, rng(seed).permutation(group), rounds=99, seed=seed)
        assert abs(found.silhouette) < 0.2
        assert found.purity.low <= found.chance + 0.1
        assert found.purity.high >= found.chance - 0.1
        p_values.append(found.p_value)
    assert np.median(p_values) > 0.1


def test_what_belongs_together_is_shuffled_as_a_whole():
    """Four tight clusters, two a group: as single points they are far from chance, as clusters not."""
    cluster = np.repeat(np.arange(4), 10)
    points = 10 * np.eye(4)[cluster] + 0.1 * rng().normal(size=(40, 4))
    group = cluster % 2
    single, whole = separation(points, group, rounds=199), separation(points, group, cluster, rounds=199)
    assert single.silhouette == whole.silhouette
    assert single.p_value < 0.05 < whole.p_value
    with pytest.raises(ValueError, match="expected every cluster within one group"):
        separation(points, np.arange(40) % 2, cluster)


def test_separation_comes_with_its_rows_and_is_the_same_again(apart):
    one, again = (separation(*apart, rounds=49, seed=3) for _ in range(2))
    assert one == again
    silhouette, purity = one.records()
    assert silhouette["metric"] == "silhouette"
    assert {"value", "low", "high", "n", "p_value", "p_opposite"} <= silhouette.keys()
    assert (purity["k"], purity["n"], purity["value"]) == (60, 60, 1.0)


def test_tsne_keeps_groups_apart_and_is_the_same_again(apart):
    points, group = apart
    embedded = tsne(points, perplexity=10, seed=1)
    assert embedded.shape == (60, 2)
    assert separation(embedded, group, rounds=19).purity.value > 0.95
    assert np.array_equal(embedded, tsne(points, perplexity=10, seed=1))
    assert not np.array_equal(embedded, tsne(points, perplexity=20, seed=1))
    with pytest.raises(
        ValueError, match="expected a perplexity from 1 to below the number of points, 60, got"
    ):
        tsne(points, perplexity=60)


def test_umap_keeps_groups_apart_and_places_new_points(apart):
    points, group = apart
    embedded = Umap.fit(points, neighbours=8, seed=1)
    assert embedded.coordinates.shape == (60, 2)
    assert separation(embedded.coordinates, group, rounds=19).purity.value > 0.95
    new = (10 * np.eye(3, 12) + 0.5).astype(np.float32)
    placed = embedded.place(new)
    distances = np.linalg.norm(placed[:, None] - embedded.coordinates[None], axis=2)
    assert group[distances.argmin(1)].tolist() == [0, 1, 2]
    assert np.array_equal(embedded.coordinates, Umap.fit(points, neighbours=8, seed=1).coordinates)
    with pytest.raises(
        ValueError, match="expected 2 or more neighbours and fewer than the 60 points, got 60"
    ):
        Umap.fit(points, neighbours=60)
