import pytest
import torch

from core.models.capsules import length_logit, squash


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
