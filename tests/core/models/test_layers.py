import pytest
import torch
from torch import nn
from torch.nn import functional as F

from core.models.layers import PatchConv2d, Routing, length_logit, squash


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
    grads = [torch.autograd.grad((s * pull).sum(), [u, routing.weight]) for s in (ours, theirs)]
    for a, b in zip(*grads, strict=True):
        assert torch.allclose(a, b, atol=1e-5), "a stop-gradient inside routing would show here"


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
def test_patch_convolution_is_the_convolution(channels):
    torch.manual_seed(0)
    conv = PatchConv2d(channels, 5, 9).double()
    x = torch.randn(2, channels, 13, 17, dtype=torch.float64, requires_grad=True)
    plain = F.conv2d(x, conv.weight, conv.bias)
    assert torch.allclose(conv(x), plain)
    pull = torch.randn_like(plain)
    ours, theirs = (torch.autograd.grad((y * pull).sum(), [x, conv.weight]) for y in (conv(x), plain))
    for a, b in zip(ours, theirs, strict=True):
        assert torch.allclose(a, b)
    assert isinstance(conv, nn.Conv2d)
