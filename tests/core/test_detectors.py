import pytest
import torch

from core.attacks import untouched
from core.detectors import Detector, ReconstructionDetector


@torch.no_grad()
def test_scores_are_distances_to_the_winners_reconstruction(tiny, images):
    detector: Detector = ReconstructionDetector(tiny)
    expected = [float((tiny.reconstruct(x[None]) - x).norm()) for x in images]
    assert detector.score(images).tolist() == pytest.approx(expected, abs=1e-6)
    assert ReconstructionDetector(tiny).score(images, batch_size=4).tolist() == pytest.approx(
        expected, abs=1e-6
    )


@torch.no_grad()
def test_class_scores_hold_every_class_and_the_winner_among_them(tiny, images):
    detector = ReconstructionDetector(tiny)
    by_class = detector.class_scores(images, n_classes=4)
    assert by_class.shape == (6, 4)
    winner = tiny(images).argmax(1)
    assert torch.allclose(by_class[torch.arange(6), winner], detector.score(images))
    assert by_class.std(1).min() > 0


def test_calibration_meets_the_rate_and_flags_above_theta(tiny):
    detector = ReconstructionDetector(tiny)
    with pytest.raises(RuntimeError, match="expected a calibrated detector"):
        detector.flagged(torch.ones(2))
    scores = torch.arange(1, 101).float()
    assert detector.calibrate(scores) == 95
    assert detector.flagged(torch.tensor([95.0, 95.1])).tolist() == [False, True]
    assert detector.calibrate(scores, fpr=0.2) == 80


def test_the_evasion_loss_can_be_attacked(tiny, images):
    detector = ReconstructionDetector(tiny)
    x = images.clone().requires_grad_()
    with untouched(tiny):
        (gradient,) = torch.autograd.grad(detector.evasion_loss(x).sum(), x)
    lower = detector.score((images - 0.01 * gradient.sign()).clamp(0, 1))
    assert (lower < detector.score(images)).all()
