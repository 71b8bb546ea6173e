"""The PCA detector beside scikit-learn's whitening and closed forms."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from core.data import Split
from core.detectors import PCADetector
from core.detectors.pca import ROUNDING
from tests.core.detectors.conftest import natural


def test_coefficients_are_those_of_scikit_learn(train, test):
    detector = PCADetector(first=0.0).fit(train)
    theirs = PCA(svd_solver="full").fit(train.x().flatten(1).double().numpy())
    projected = theirs.transform(test.x().flatten(1).double().numpy())
    expected = (projected / np.sqrt(theirs.explained_variance_ + ROUNDING))[:, ::-1]
    ours = detector.coefficients(test.x()).double().numpy()
    assert np.abs(np.abs(ours) - np.abs(expected)).max() < 2e-3, "but for their signs"
    assert ours.var(1, ddof=1) == pytest.approx(detector.score(test.x()).numpy(), rel=1e-4)


def test_the_strongest_components_do_not_count(train, test):
    whole, half = PCADetector(first=0.0).fit(train), PCADetector(first=0.5).fit(train)
    kept = half.coefficients(test.x()).shape[1]
    assert kept == 53
    assert torch.allclose(half.coefficients(test.x()), whole.coefficients(test.x())[:, :kept], atol=1e-4)


def test_clean_images_have_a_variance_of_about_one_and_noise_a_larger_one(test):
    detector = PCADetector().fit(natural(3000, 3))
    clean = detector.score(test.x())
    assert 0.85 < float(clean.mean()) < 1.2
    noise = 0.1 * torch.randn(24, 3, 5, 7, generator=torch.Generator().manual_seed(0))
    noisy = detector.score((test.x() + noise).clamp(0, 1))
    assert (noisy > 4 * clean.max()).all()


def test_pixels_that_never_vary_do_not_outweigh_all_others(train):
    images = train.images.clone()
    images[:, 0] = 0
    detector = PCADetector().fit(Split(images, train.labels))
    level = torch.zeros(1, 3, 5, 7)
    level[:, 0, 0, 0] = 1 / 255
    here = train.x(slice(0, 1))
    here[:, 0] = 0
    moved = detector.coefficients(here + level) - detector.coefficients(here)
    assert float(moved.norm()) == pytest.approx((1 / 255) / ROUNDING**0.5, rel=1e-2)


def test_batches_of_the_fit_do_not_matter(train, test, monkeypatch):
    whole = PCADetector().fit(train).score(test.x())
    monkeypatch.setattr("core.detectors.pca.BATCH", 7)
    assert torch.allclose(PCADetector().fit(train).score(test.x()), whole, rtol=1e-3)


@pytest.mark.parametrize("first", [-0.1, 1.0])
def test_bad_shares_are_named(first):
    with pytest.raises(ValueError, match=f"expected first as a share of 0 or more and below 1, got {first}"):
        PCADetector(first=first)


def test_one_image_is_too_few(train):
    with pytest.raises(ValueError, match="expected two images or more to fit on, got 1"):
        PCADetector().fit(Split(train.images[:1], train.labels[:1]))
