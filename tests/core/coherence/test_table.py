import numpy as np
import pytest
import torch

from core.coherence import MEASURES, class_distances, coherence_table, correlation, dispersion


def test_distances_come_by_every_measure():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(3).repeat(50)
    images = torch.rand(150, 1, 4, 5, generator=generator) / 2 + labels[:, None, None, None] / 10
    found = class_distances(images, labels, 3)
    assert list(found) == list(MEASURES)
    for distances in found.values():
        assert distances.shape == (3, 3)
        assert distances[0, 2] > distances[0, 1] > 0


def test_the_table_has_a_row_for_every_figure_and_comparison(draw, fewer):
    distances = np.abs(np.subtract.outer(np.arange(10.0), np.arange(10.0)))
    near = 0.9 - 0.08 * distances
    outcomes = {
        "a": draw(near, 10, 0),
        "b": draw(np.random.default_rng(0).permutation(near.ravel()).reshape(10, 10), 10, 1),
        "c": draw(np.full((10, 10), 0.5), 10, 2),
    }
    rows = coherence_table(outcomes, {"means": distances}, seed=4)
    by = {(row["model"], row["other"], row["metric"]): row for row in rows}
    assert len(by) == len(rows) == 2 * (3 + 3)
    own = by["a", None, "rank_correlation"]
    assert own["value"] == correlation(outcomes["a"], distances, seed=4).value > 0.8
    assert (own["measure"], own["n"]) == ("means", 100)
    assert by["b", None, "dispersion"]["value"] == dispersion(outcomes["b"], seed=4).value
    assert by["a", "b", "rank_correlation"]["p_value"] < 0.02
    assert by["b", "c", "dispersion"]["p_value"] < 0.02
    assert by["a", "b", "dispersion"]["measure"] is None
    needed = {"value", "low", "high", "n"}
    assert all(needed <= row.keys() for row in rows)
    assert all({"p_value", "p_opposite"} <= row.keys() for row in rows if row["other"])


def test_models_on_different_images_are_refused(draw):
    outcomes = {"a": draw(np.full((10, 10), 0.5), 4, 0), "b": draw(np.full((10, 10), 0.5), 5, 0)}
    with pytest.raises(ValueError, match="expected two attacks on the same images"):
        coherence_table(outcomes, {})


def test_twelve_classes_are_as_good_as_ten(draw, fewer):
    generator, n_classes = np.random.default_rng(0), 12
    labels = torch.arange(n_classes).repeat_interleave(10)
    centre = generator.random((n_classes, 1, 4, 4))
    images = centre[labels.numpy()] + generator.normal(0, 0.02, (len(labels), 1, 4, 4))
    distances = class_distances(torch.from_numpy(images).float().clamp(0, 1), labels, n_classes)["means"]
    assert distances.shape == (n_classes, n_classes)
    outcomes = {"a": draw(0.95 - 0.9 * distances / distances.max(), 10, 0)}
    (rho, *_) = (
        row for row in coherence_table(outcomes, {"means": distances}) if row["metric"] == "rank_correlation"
    )
    assert rho["value"] > 0.8
    assert rho["n"] == 10 * n_classes
