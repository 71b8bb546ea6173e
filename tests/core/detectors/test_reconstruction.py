import pytest
import torch

from core.detectors import ReconstructionDetector
from core.runtime import untouched


@torch.no_grad()
def test_scores_are_distances_to_the_winners_reconstruction(tiny, images):
    detector = ReconstructionDetector(tiny)
    expected = [float((tiny.reconstruct(x[None]) - x).norm()) for x in images]
    assert detector.score(images).tolist() == pytest.approx(expected, abs=1e-6)
    assert detector.score(images, batch_size=4).tolist() == pytest.approx(expected, abs=1e-6)


@torch.no_grad()
def test_class_scores_hold_every_class_and_the_winner_among_them(tiny, images):
    detector = ReconstructionDetector(tiny)
    by_class = detector.class_scores(images)
    assert by_class.shape == (6, 4)
    winner = tiny(images).argmax(1)
    assert torch.allclose(by_class[torch.arange(6), winner], detector.score(images))
    assert by_class.std(1).min() > 0


def test_the_evasion_loss_can_be_attacked(tiny, images):
    detector = ReconstructionDetector(tiny)
    x = images.clone().requires_grad_()
    with untouched(tiny):
        (gradient,) = torch.autograd.grad(detector.evasion_loss(x).sum(), x)
    lower = detector.score((images - 0.01 * gradient.sign()).clamp(0, 1))
    assert (lower < detector.score(images)).all()


def test_it_asks_for_a_reconstructor(linear):
    with pytest.raises(ValueError, match="expected a model that reconstructs, got Linear; watch it with"):
        ReconstructionDetector(linear)
