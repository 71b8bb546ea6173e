import copy

import pytest
import torch
from torch.nn import functional as F

from core.models.fast import frequency_conv
from core.models.fast.frequency_conv import FrequencyConv2d


def wide(in_channels, out_channels, kernel=5, *, dtype=torch.float64):
    torch.manual_seed(0)
    return FrequencyConv2d(in_channels, out_channels, kernel).to(dtype).requires_grad_(False)


@pytest.fixture
def through_frequencies(monkeypatch):
    """Frequencies also for the small convolutions of these tests; yields how often they were used."""
    used = []
    whole = FrequencyConv2d.through_frequencies

    def counted(self, input):
        used.append(len(input))
        return whole(self, input)

    monkeypatch.setattr(frequency_conv, "MIN_CHANNELS", 1)
    monkeypatch.setattr(FrequencyConv2d, "through_frequencies", counted)
    return used


@pytest.mark.parametrize("kernel", [4, 5, 9])
@pytest.mark.parametrize("sides", [(20, 20), (13, 18), (12, 11)])
def test_products_of_spectra_are_the_convolution(kernel, sides, through_frequencies):
    conv = wide(3, 4, kernel)
    x = torch.randn(3, 3, *sides, dtype=torch.float64, requires_grad=True)
    plain = F.conv2d(x, conv.weight, conv.bias, stride=2)
    ours = conv(x)
    assert torch.allclose(ours, plain, atol=1e-10)
    pull = torch.randn_like(plain)
    theirs = torch.autograd.grad(plain, x, pull)[0]
    gradient = torch.autograd.grad(ours, x, pull)[0]
    assert torch.allclose(gradient, theirs, atol=1e-10)
    assert torch.equal(gradient == 0, theirs == 0), "where no window reaches, a sign step must stand still"
    assert through_frequencies == [3]


def test_frequencies_round_no_more_than_twice_as_much(through_frequencies):
    """In either precision, in the values and in the gradient, against the convolution in float64."""
    conv = wide(64, 32, 9, dtype=torch.float32)
    x = torch.rand(8, 64, 20, 20)
    pull = torch.randn(8, 32, 6, 6)

    def run(function, dtype, *arguments):
        point = x.to(dtype).requires_grad_()
        y = function(point, *arguments)
        return y.detach().double(), torch.autograd.grad(y, point, pull.to(dtype))[0].double()

    exact = run(F.conv2d, torch.float64, conv.weight.double(), conv.bias.double(), 2)
    for dtype in (torch.float32, torch.bfloat16):
        direct = run(F.conv2d, dtype, conv.weight.to(dtype), conv.bias.to(dtype), 2)
        ours = run(conv.through_frequencies, dtype)
        for mine, theirs, truth in zip(ours, direct, exact, strict=True):
            assert (mine - truth).norm() < 2 * (theirs - truth).norm() + 1e-6 * truth.norm()


def test_a_change_of_the_weights_changes_the_spectrum(through_frequencies):
    conv = wide(3, 4)
    x = torch.randn(3, 3, 12, 12, dtype=torch.float64)
    conv(x)
    conv.weight.mul_(2)
    assert torch.allclose(conv(x), F.conv2d(x, conv.weight, conv.bias, stride=2))
    conv.load_state_dict({"weight": torch.ones_like(conv.weight), "bias": conv.bias})
    assert torch.allclose(conv(x), F.conv2d(x, conv.weight, conv.bias, stride=2))
    assert len(through_frequencies) == 3
    copied = copy.deepcopy(conv)
    assert not copied._derived._kept
    assert torch.equal(copied(x), conv(x))
    assert list(conv.state_dict()) == ["weight", "bias"]


def test_frequencies_are_for_several_images_of_many_channels_at_rest(through_frequencies, monkeypatch):
    conv = wide(3, 4)
    x = torch.randn(3, 3, 12, 12, dtype=torch.float64)
    conv(x[:2])
    assert through_frequencies == []
    conv.requires_grad_(True)
    assert torch.autograd.grad(conv(x).sum(), conv.weight)[0].abs().sum() > 0
    assert through_frequencies == []
    conv.requires_grad_(False)
    monkeypatch.setattr(frequency_conv, "MIN_CHANNELS", 5)
    conv(x)
    assert through_frequencies == []
