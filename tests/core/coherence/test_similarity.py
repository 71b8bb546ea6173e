import numpy as np
import pytest
import torch

from core.coherence import discriminant_features, mean_distances, neighbour_distances, pixels


def test_pixels_of_8_bit_images_and_of_floats_are_the_same_points():
    images = torch.randint(
        0, 256, (5, 3, 2, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    assert pixels(images).shape == (5, 24)
    np.testing.assert_allclose(pixels(images), pixels(images.float() / 255), rtol=1e-6)
    assert pixels(torch.full((1, 1, 1, 1), 255, dtype=torch.uint8)) == 1


def test_distances_of_means_by_hand():
    points = np.array([[0, 0], [2, 0], [1, 3], [1, 5], [4, 0]], dtype=np.float32)
    labels = torch.tensor([0, 0, 1, 1, 2])
    found = mean_distances(points, labels, 3)
    np.testing.assert_allclose(found, [[0, 4, 3], [4, 0, 5], [3, 5, 0]], atol=1e-6)


def test_distances_to_nearest_neighbours_agree_with_loops():
    generator = np.random.default_rng(0)
    points = generator.random((40, 6)).astype(np.float32)
    labels = torch.tensor([0, 1, 2, 3] * 10)
    found = neighbour_distances(points, labels, 4)
    for s in range(4):
        for t in range(4):
            own, others = points[labels.numpy() == s], points[labels.numpy() == t]
            nearest = [min(float(np.linalg.norm(a - b)) for b in others) for a in own]
            assert found[s, t] == pytest.approx(0 if s == t else np.mean(nearest), rel=1e-5)


def test_a_narrow_class_is_nearer_to_a_wide_one_than_the_other_way_round():
    points = np.array([[0.0], [0.1], [0.0], [9.0]], dtype=np.float32)
    found = neighbour_distances(points, torch.tensor([0, 0, 1, 1]), 2)
    assert found[0, 1] == pytest.approx(0.05)
    assert found[1, 0] == pytest.approx(4.45)


def test_the_embedding_measures_distances_in_standard_deviations_of_the_classes():
    generator = np.random.default_rng(0)
    centres = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
    # The first coordinate varies ten times as much, so that it tells classes apart a tenth as well.
    points = np.concatenate([c + generator.normal(size=(2000, 2)) * [10, 1] for c in centres])
    labels = torch.arange(3).repeat_interleave(2000)
    found = mean_distances(discriminant_features(points.astype(np.float32), labels, 0.9999), labels, 3)
    assert found[0, 1] == pytest.approx(0.4, abs=0.15)
    assert found[0, 2] == pytest.approx(4, rel=0.05)
    plain = mean_distances(points.astype(np.float32), labels, 3)
    assert plain[0, 1] == pytest.approx(plain[0, 2], rel=0.2)


def test_pixels_that_never_change_do_no_harm():
    points = np.random.default_rng(0).random((60, 8)).astype(np.float32)
    points[:, 5:] = 0
    assert np.isfinite(discriminant_features(points, torch.tensor([0, 1, 2] * 20))).all()


@pytest.mark.parametrize("measure", [mean_distances, neighbour_distances])
def test_a_class_without_images_is_refused(measure):
    with pytest.raises(
        ValueError, match=r"expected images of every class from 0 to 3, got counts \[1, 1, 1, 0\]"
    ):
        measure(np.zeros((3, 2), dtype=np.float32), torch.tensor([0, 1, 2]), 4)
    with pytest.raises(ValueError, match="expected images of every class from 0 to 1"):
        measure(np.zeros((3, 2), dtype=np.float32), torch.tensor([0, 1, 2]), 2)
