"""Rounding, and what an attack sees of it."""

import pytest
import torch

from core.attacks import BIM
from core.purification import GRADIENTS, BitDepthReduction, Purified


def test_rounding_is_that_of_the_formula(images):
    for bits in (1, 3, 8):
        steps = 2**bits - 1
        expected = torch.tensor([round(float(v) * steps) / steps for v in images.flatten()]).view_as(images)
        assert torch.equal(BitDepthReduction(bits)(images), expected)
    with pytest.raises(ValueError, match="expected from 1 to 8 bits, got 9"):
        BitDepthReduction(9)


def test_masked_gradients_stop_the_exact_attack_alone(tiny, images):
    """athalye2018's point: the exact gradient makes a weak defence look perfect."""
    purifier = BitDepthReduction(2)
    models = {gradient: Purified(tiny, purifier, gradient) for gradient in GRADIENTS}
    labels = models["exact"](images).argmax(1)
    attack = BIM(epsilon=0.3, step_size=0.03, steps=30)
    blind, through = (attack(models[gradient], images, labels) for gradient in GRADIENTS)
    assert torch.equal(blind.x_adv, images)
    assert not blind.success.any()
    assert through.success.all()
    assert (models["exact"](through.x_adv).argmax(1) != labels).all(), "whichever gradient is asked for"
