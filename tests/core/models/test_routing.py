import math

import pytest
import torch

from core.models.fast.routing import GROUP
from core.models.routing import Routing, dynamic_routing


def test_the_reference_is_the_procedure_by_hand():
    """One capsule below votes 2 and 1: s = (1, 1/2), v = (1/2, 1/5), so that b = (1, 1/5)."""
    u, W = torch.ones(1, 1, 1, dtype=torch.float64), torch.tensor([2.0, 1.0]).double().view(2, 1, 1, 1)
    bias = torch.zeros(2, 1, dtype=torch.float64)
    assert dynamic_routing(u, W, bias, 1).flatten().tolist() == [1, 0.5]
    first = 1 / (1 + math.exp(0.2 - 1))
    assert dynamic_routing(u, W, bias, 2).flatten().tolist() == pytest.approx([2 * first, 1 - first])


def test_one_capsule_above_is_the_sum_of_all_votes_however_often_it_is_routed():
    u, W, bias = torch.randn(2, 7, 3), torch.randn(1, 7, 3, 4), torch.randn(1, 4)
    every = torch.einsum("bip,ipd->bd", u, W[0]) + bias
    assert torch.allclose(dynamic_routing(u, W, bias, 3)[:, 0], every, atol=1e-5)


def test_two_capsules_above_with_the_same_transforms_share_alike():
    u, W, bias = torch.randn(2, 7, 3), torch.randn(1, 7, 3, 4).expand(2, 7, 3, 4), torch.zeros(2, 4)
    half = torch.einsum("bip,ipd->bd", u, W[0]) / 2
    assert torch.allclose(dynamic_routing(u, W, bias, 3), half[:, None].expand(2, 2, 4), atol=1e-5)


@pytest.mark.parametrize("iterations", [1, 2, 3])
def test_routing_matches_the_procedure_with_stored_votes(iterations):
    torch.manual_seed(0)
    routing = Routing(7, 3, 5, 4, iterations).double()
    u = torch.randn(2, 7, 3, dtype=torch.float64, requires_grad=True)
    ours, theirs = routing(u), routing.plainly(u)
    assert torch.allclose(ours, theirs, atol=1e-12)
    pull = torch.randn_like(ours)
    inputs = [u, routing.weight, routing.bias]
    grads = [torch.autograd.grad((s * pull).sum(), inputs) for s in (ours, theirs)]
    for a, b in zip(*grads, strict=True):
        assert torch.allclose(a, b, atol=1e-12), "a stop-gradient inside routing would show here"


@pytest.mark.parametrize("classes_at_once", [1, 2, 5])
def test_routing_by_groups_of_classes_is_routing(classes_at_once, monkeypatch):
    torch.manual_seed(1)
    routing = Routing(7, 3, 5, 4).double()
    u = torch.randn(2, 7, 3, dtype=torch.float64, requires_grad=True)
    monkeypatch.setitem(GROUP, "cpu", classes_at_once * u.numel())
    theirs = routing.plainly(u)
    assert torch.allclose(routing(u), theirs, atol=1e-12)
    pull = torch.randn_like(theirs)
    inputs = [u, routing.weight, routing.bias]
    grads = [torch.autograd.grad((s * pull).sum(), inputs) for s in (routing(u), theirs)]
    for a, b in zip(*grads, strict=True):
        assert torch.allclose(a, b, atol=1e-12)


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
