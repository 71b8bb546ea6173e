import pytest
import torch

from core.geometry import norms, per_example, project, random_in_ball, steepest

SHAPE = (4, 3, 5, 7)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_projection_is_inside_and_leaves_inner_points(norm):
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(SHAPE, generator=generator)
    far = x + 3 * torch.randn(SHAPE, generator=generator)
    epsilon = per_example(torch.tensor([0.01, 0.1, 0.5, 2.0]), x)
    inside = project(far, x, epsilon, norm)
    assert (norms(inside - x, norm) <= epsilon.flatten() + 1e-6).all()
    assert inside.min() >= 0
    assert inside.max() <= 1
    assert torch.allclose(project(inside, x, epsilon, norm), inside, atol=1e-6)


def test_linf_projection_is_the_nearest_point():
    x, far = torch.tensor([[[[0.5, 0.95]]]]), torch.tensor([[[[0.9, 2.0]]]])
    assert torch.allclose(project(far, x, torch.tensor(0.1), "linf"), torch.tensor([[[[0.6, 1.0]]]]))


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_random_points_fill_the_ball_and_have_their_own_radius(norm):
    # As many examples as columns, where a careless broadcast would mix up radii.
    x = torch.zeros(7, 3, 5, 7)
    radii = torch.tensor([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    offsets = random_in_ball(x, per_example(radii, x), norm, seed=0, index=torch.arange(7))
    found = norms(offsets, norm)
    assert (found <= radii + 1e-6).all()
    assert (found >= 0.9 * radii).all()
    assert offsets.mean().abs() < 0.05


def test_uniform_radius_in_a_ball_of_one_dimension():
    x = torch.zeros(4000, 1, 1, 1)
    offsets = random_in_ball(x, torch.tensor(2.0), "l2", seed=1, index=torch.arange(4000)).flatten()
    assert abs(float(offsets.abs().mean()) - 1.0) < 0.03
    assert abs(float((offsets > 0).float().mean()) - 0.5) < 0.03


def test_steepest_raises_a_linear_loss_most():
    gradient = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0))
    gain = {norm: (steepest(gradient, norm) * gradient).flatten(1).sum(1) for norm in ("linf", "l2")}
    assert torch.allclose(gain["linf"], gradient.abs().flatten(1).sum(1))
    assert torch.allclose(gain["l2"], gradient.flatten(1).norm(dim=1))


def test_no_gradient_or_a_broken_one_gives_no_step():
    gradient = torch.zeros(2, 1, 2, 2)
    gradient[1] = float("nan")
    for norm in ("linf", "l2"):
        assert torch.equal(steepest(gradient, norm), torch.zeros(2, 1, 2, 2))
