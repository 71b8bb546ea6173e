import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from core.models import frequency
from core.models.frequency import FrequencyConv2d
from core.models.layers import length_logit, squash
from core.models.patches import PatchConv2d
from core.models.routing import GROUP, Routing


def plain_squash(s):
    norm = s.norm(dim=-1, keepdim=True)
    return norm**2 / (1 + norm**2) * s / norm


def plain_routing(u, weight, bias, iterations):
    """Procedure 1 of sabour2017 with every vote stored, one image, one pair of capsules at a time."""
    outputs, _, dim = weight.shape
    batch, inputs, input_dim = u.shape
    w = weight.view(outputs, inputs, input_dim, dim)
    results = []
    for x in u:
        votes = torch.stack([torch.stack([x[i] @ w[j, i] for j in range(outputs)]) for i in range(inputs)])
        b = torch.zeros(inputs, outputs, dtype=u.dtype)
        for iteration in range(iterations):
            c = b.softmax(1)  # over the outputs of one input
            s = (c.unsqueeze(-1) * votes).sum(0) + bias[:, 0]
            if iteration < iterations - 1:
                v = plain_squash(s)
                b = b + (votes * v).sum(-1)
        results.append(s)
    return torch.stack(results)


@pytest.mark.parametrize("iterations", [1, 2, 3])
def test_routing_matches_the_procedure_with_stored_votes(iterations):
    torch.manual_seed(0)
    routing = Routing(7, 3, 5, 4, iterations).double()
    u = torch.randn(2, 7, 3, dtype=torch.float64, requires_grad=True)
    ours, theirs = routing(u), plain_routing(u, routing.weight, routing.bias, iterations)
    assert torch.allclose(ours, theirs, atol=1e-6)
    pull = torch.randn_like(ours)
    inputs = [u, routing.weight, routing.bias]
    grads = [torch.autograd.grad((s * pull).sum(), inputs) for s in (ours, theirs)]
    for a, b in zip(*grads, strict=True):
        assert torch.allclose(a, b, atol=1e-5), "a stop-gradient inside routing would show here"


@pytest.mark.parametrize("classes_at_once", [1, 2, 5])
def test_routing_by_groups_of_classes_is_routing(classes_at_once, monkeypatch):
    torch.manual_seed(1)
    routing = Routing(7, 3, 5, 4).double()
    u = torch.randn(2, 7, 3, dtype=torch.float64, requires_grad=True)
    monkeypatch.setitem(GROUP, "cpu", classes_at_once * u.numel())
    theirs = plain_routing(u, routing.weight, routing.bias, 3)
    assert torch.allclose(routing(u), theirs, atol=1e-6)
    pull = torch.randn_like(theirs)
    inputs = [u, routing.weight, routing.bias]
    grads = [torch.autograd.grad((s * pull).sum(), inputs) for s in (routing(u), theirs)]
    for a, b in zip(*grads, strict=True):
        assert torch.allclose(a, b, atol=1e-5)


def test_routing_keeps_its_precision_under_autocast():
    routing = Routing(7, 3, 5, 4)
    u = torch.rand(2, 7, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    plain = routing(u)
    with torch.autocast("cpu", torch.bfloat16):
        same = routing(u)
    assert torch.equal(same, plain)
    assert torch.equal(torch.autograd.grad(same.sum(), u)[0], torch.autograd.grad(plain.sum(), u)[0])


def test_routing_treats_images_apart():
    torch.manual_seed(0)
    routing = Routing(7, 3, 5, 4).double()
    u = torch.randn(3, 7, 3, dtype=torch.float64)
    assert torch.allclose(routing(u)[1:2], routing(u[1:2]), atol=1e-12)


def test_squash_lengths_and_logits():
    s = torch.randn(50, 16, dtype=torch.float64)
    squared = s.square().sum(-1)
    length = squash(s).norm(dim=-1)
    assert torch.allclose(length, squared / (1 + squared))
    assert torch.allclose(length_logit(s), torch.logit(length), atol=1e-6)


def test_zero_capsules_have_finite_values_and_gradients():
    s = torch.zeros(2, 16, requires_grad=True)
    total = squash(s).sum() + length_logit(s).sum()
    (gradient,) = torch.autograd.grad(total, s)
    assert torch.isfinite(total.detach())
    assert torch.isfinite(gradient).all()


def test_a_long_capsule_still_has_a_gradient():
    s = torch.full((1, 16), 1e4, requires_grad=True)
    assert float(squash(s.detach()).norm()) == pytest.approx(1.0)
    assert float(torch.autograd.grad(length_logit(s).sum(), s)[0].abs().min()) > 0


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("kernel", "width"), [(9, 20), (9, 17), (9, 10), (9, 9), (5, 14), (3, 9), (1, 4)])
def test_patch_convolution_is_the_convolution(kernel, width, channels):
    torch.manual_seed(0)
    conv = PatchConv2d(channels, 5, kernel).double()
    x = torch.randn(2, channels, 13, width, dtype=torch.float64, requires_grad=True)
    plain = F.conv2d(x, conv.weight, conv.bias)
    assert torch.allclose(conv(x), plain)
    pull = torch.randn_like(plain)
    inputs = [x, conv.weight, conv.bias]
    ours, theirs = (torch.autograd.grad((y * pull).sum(), inputs) for y in (conv(x), plain))
    for a, b in zip(ours, theirs, strict=True):
        assert torch.allclose(a, b)
    assert isinstance(conv, nn.Conv2d)


@pytest.mark.parametrize("needed", ["x", "weight", "bias"])
def test_patch_convolution_gives_each_gradient_alone(needed):
    torch.manual_seed(0)
    conv = PatchConv2d(1, 5, 9).double().requires_grad_(False)
    x = torch.randn(2, 1, 13, 20, dtype=torch.float64)
    one = {"x": x, "weight": conv.weight, "bias": conv.bias}[needed].requires_grad_()
    pull = torch.randn(2, 5, 5, 12, dtype=torch.float64)
    ours, theirs = conv(x), F.conv2d(x, conv.weight, conv.bias)
    gradients = [torch.autograd.grad((y * pull).sum(), one)[0] for y in (ours, theirs)]
    assert torch.allclose(*gradients)


@pytest.mark.parametrize("width", [7, 8])
def test_patch_convolution_wants_images_no_smaller_than_its_kernel(width):
    with pytest.raises(RuntimeError, match="maximum size|size"):
        PatchConv2d(1, 5, 9)(torch.rand(2, 1, 12, width))


def test_what_was_first_asked_in_inference_mode_serves_gradients_too():
    conv = PatchConv2d(1, 5, 9).requires_grad_(False)
    x = torch.rand(2, 1, 12, 12)
    with torch.inference_mode():
        conv(x)
    (gradient,) = torch.autograd.grad(conv(x.requires_grad_()).sum(), x)
    assert gradient.abs().sum() > 0


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

    monkeypatch.setattr(frequency, "MIN_CHANNELS", 1)
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
    monkeypatch.setattr(frequency, "MIN_CHANNELS", 5)
    conv(x)
    assert through_frequencies == []
