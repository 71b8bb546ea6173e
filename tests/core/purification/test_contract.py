"""The clauses of the contract that every purifier holds, alone and before a classifier."""

import pytest
import torch

from core.attacks import ReconstructivePGD
from core.data import Split
from core.detectors import PCADetector
from core.images import to_uint8
from core.models.packing import pack, unpack
from core.purification import GRADIENTS, PURIFIERS, Purified


@pytest.fixture
def split() -> Split:
    x = torch.rand(64, 3, 5, 7, generator=torch.Generator().manual_seed(2))
    return Split(to_uint8(x), torch.arange(64) % 4)


@pytest.fixture(params=PURIFIERS.values(), ids=PURIFIERS)
def kind(request):
    return request.param


def test_images_become_images(kind, images, split):
    purifier = kind().fit(split).eval()
    purified = purifier(images)
    assert purified.shape == images.shape
    assert purified.dtype == torch.float32
    assert 0 <= purified.min() < purified.max() <= 1
    assert not torch.equal(purified, images)
    assert kind.title


def test_alone_equals_in_a_batch(kind, images, split):
    purifier = kind().fit(split).eval()
    together = purifier(images)
    assert all(
        torch.allclose(purifier(images[row : row + 1])[0], together[row], atol=1e-6) for row in range(6)
    )


def test_what_it_learnt_is_packed_and_comes_back(kind, images, split):
    first, second = kind(), kind()
    first.load_state_dict(unpack(pack(kind().fit(split).state_dict())))
    second.load_state_dict(unpack(pack(first.state_dict())))
    assert torch.equal(first.eval()(images), second.eval()(images))


def test_answers_are_the_same_bits_with_every_gradient(kind, tiny, images, split):
    purifier = kind().fit(split).eval()
    expected = tiny(purifier(images))
    for gradient in GRADIENTS:
        assert torch.equal(Purified(tiny, purifier, gradient)(images), expected)


def test_straight_through_is_the_classifiers_gradient_at_the_purified_image(kind, tiny, images, split):
    purifier = kind().fit(split).eval()
    x, purified = images.clone().requires_grad_(), purifier(images).detach().requires_grad_()
    (found,) = torch.autograd.grad(Purified(tiny, purifier, "straight-through")(x).square().sum(), x)
    (expected,) = torch.autograd.grad(tiny(purified).square().sum(), purified)
    assert torch.equal(found, expected)
    assert found.abs().max() > 0


def test_a_purified_classifier_is_attacked_and_left_as_it_was(kind, tiny, images, split):
    model = Purified(tiny, kind().fit(split), "straight-through").train()
    labels = tiny.eval()(kind()(images)).argmax(1)
    model.train()
    attack = ReconstructivePGD(epsilon=0.3, step_size=0.05, steps=10, beta=0.8)
    result = attack(model, images, labels, detector=PCADetector().fit(split))
    assert result.success.any()
    assert all(module.training for module in model.modules())
    assert all(weights.requires_grad and weights.grad is None for weights in model.parameters())
    assert torch.equal(result.prediction, model.eval()(result.x_adv).argmax(1))


def test_other_gradients_are_named(kind, tiny):
    with pytest.raises(ValueError, match="expected gradient among exact, straight-through, got 'sideways'"):
        Purified(tiny, kind(), "sideways")
