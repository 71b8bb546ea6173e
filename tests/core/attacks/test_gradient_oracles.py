"""Attacks against what is known without them: closed forms, a slow plain reference, a peer library."""

import foolbox
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from core.attacks import (
    BIM,
    FGSM,
    PGD,
    GradientAttack,
    ReconstructiveBIM,
    ReconstructiveFGSM,
    ReconstructivePGD,
)
from core.geometry import norms, random_in_ball
from core.models import build


@pytest.mark.parametrize("attack", [FGSM(epsilon=0.05), BIM(epsilon=0.05), PGD(epsilon=0.05)])
def test_linf_lowers_a_linear_margin_by_epsilon_times_the_l1_norm(linear, attack: GradientAttack):
    x = torch.full((2, 3, 5, 7), 0.5)
    result = attack(linear, x, torch.tensor([1, 1]))
    drop = linear.margin(x) - linear.margin(result.x_adv)
    assert torch.allclose(drop, 0.05 * linear.weight.abs().sum().expand(2), rtol=1e-4)


def test_l2_lowers_a_linear_margin_by_epsilon_times_the_l2_norm(linear):
    x = torch.full((2, 3, 5, 7), 0.5)
    result = PGD(epsilon=0.4, step_size=0.05, norm="l2")(linear, x, torch.tensor([1, 1]))
    drop = linear.margin(x) - linear.margin(result.x_adv)
    assert torch.allclose(drop, 0.4 * linear.weight.norm().expand(2), rtol=1e-3)


def test_targeted_raises_the_targets_logit(linear):
    x = torch.full((1, 3, 5, 7), 0.5)
    result = BIM(epsilon=0.05)(linear, x, torch.tensor([0]), target=1)
    assert torch.allclose(
        linear.margin(result.x_adv) - linear.margin(x), 0.05 * linear.weight.abs().sum(), rtol=1e-4
    )


def reference(
    model, x: Tensor, y: Tensor, target: Tensor | None, eps: float, c: float, beta: float, steps: int
):
    """qin2020's Eqs. 1 and 2 as they are printed, one image at a time."""
    rows = []
    for i in range(len(x)):
        clean, delta = x[i : i + 1], torch.zeros_like(x[i : i + 1])
        goal = y[i : i + 1] if target is None else target[i : i + 1]
        for _ in range(steps):
            d = delta.clone().requires_grad_()
            loss = F.cross_entropy(model(clean + d), goal)
            sign = 1 if target is None else -1
            delta = delta + sign * c * beta * torch.autograd.grad(loss, d)[0].sign()
            delta = (clean + delta.clamp(-eps, eps)).clamp(0, 1) - clean
            d = delta.clone().requires_grad_()
            from_class = model(clean + d).argmax(1) if target is None else goal
            distance = (model.reconstruct(clean + d, from_class) - (clean + d)).norm()
            delta = delta - c * (1 - beta) * torch.autograd.grad(distance, d)[0].sign()
            delta = (clean + delta.clamp(-eps, eps)).clamp(0, 1) - clean
        rows.append(clean + delta)
    return torch.cat(rows)


@pytest.mark.parametrize("targeted", [True, False])
@pytest.mark.parametrize("beta", [0.0, 0.3, 0.6, 1.0])
def test_two_stages_match_the_papers_equations(tiny, images, labels, targeted: bool, beta: float):
    target = (labels + 1) % 4 if targeted else None
    attack = ReconstructiveBIM(epsilon=0.1, step_size=0.02, steps=10, beta=beta)
    expected = reference(tiny, images, labels, target, 0.1, 0.02, beta, 10)
    assert (attack(tiny, images, labels, target=target).x_adv - expected).abs().max() < 1e-6
    assert (expected - images).abs().max() > 0.05


def test_one_stage_steps_along_the_weighted_sum(tiny, images, labels):
    target = (labels + 1) % 4
    x = images.clone().requires_grad_()
    distance = (tiny.reconstruct(x, target) - x).flatten(1).norm(dim=1)
    loss = 0.3 * F.cross_entropy(tiny(x), target, reduction="none") + 0.7 * distance
    expected = (images - 0.02 * torch.autograd.grad(loss.sum(), x)[0].sign()).clamp(0, 1)
    attack = ReconstructiveBIM(epsilon=0.1, step_size=0.02, steps=1, beta=0.3, one_stage=True)
    assert (attack(tiny, images, labels, target=target).x_adv - expected).abs().max() < 1e-6


def test_beta_one_is_the_plain_attack(tiny, images, labels):
    plain = PGD(epsilon=0.1, steps=5)(tiny, images, labels).x_adv
    assert torch.equal(ReconstructivePGD(epsilon=0.1, steps=5, beta=1.0)(tiny, images, labels).x_adv, plain)


def test_reconstructive_fgsm_is_one_iteration(tiny, images, labels):
    one = ReconstructiveFGSM(epsilon=0.1, step_size=0.05)(tiny, images, labels)
    bim = ReconstructiveBIM(epsilon=0.1, step_size=0.05, steps=1)(tiny, images, labels)
    assert torch.equal(one.x_adv, bim.x_adv)
    assert one.steps.tolist() == [1] * 6
    assert one.queries.tolist() == [2] * 6


@pytest.fixture(scope="module")
def small_net():
    return build("cnn_cr", (1, 28, 28), 10, seed=5).eval().to(memory_format=torch.channels_last)


@pytest.mark.parametrize("targeted", [True, False])
@pytest.mark.parametrize("kind", ["fgsm", "bim", "pgd", "pgd-l2"])
def test_agrees_with_foolbox_step_for_step(small_net, kind: str, targeted: bool):
    generator = torch.Generator().manual_seed(2)
    x = torch.rand(4, 1, 28, 28, generator=generator)
    y = small_net(x).argmax(1).detach()
    target = (y + 3) % 10
    model = foolbox.PyTorchModel(small_net, bounds=(0, 1))
    criterion = (
        foolbox.criteria.TargetedMisclassification(target)
        if targeted
        else foolbox.criteria.Misclassification(y)
    )
    goal = target if targeted else None
    exact = torch.float32
    if kind == "fgsm":
        ours = FGSM(epsilon=0.03)(small_net, x, y, target=goal, precision=exact).x_adv
        peer = foolbox.attacks.LinfFastGradientAttack(random_start=False)
        if targeted:
            peer = foolbox.attacks.LinfBasicIterativeAttack(abs_stepsize=0.03, steps=1, random_start=False)
        eps = 0.03
    elif kind == "bim":
        ours = BIM(epsilon=0.1, step_size=0.013, steps=7)(small_net, x, y, target=goal, precision=exact).x_adv
        peer = foolbox.attacks.LinfBasicIterativeAttack(abs_stepsize=0.013, steps=7, random_start=False)
        eps = 0.1
    elif kind == "pgd":
        noise = random_in_ball(x, torch.tensor(0.1), "linf", seed=0, index=torch.arange(4))
        start = (x + noise).clamp(0, 1)
        ours = PGD(epsilon=0.1, step_size=0.013, steps=7)(small_net, x, y, target=goal, precision=exact).x_adv
        peer = foolbox.attacks.LinfProjectedGradientDescentAttack(
            abs_stepsize=0.013, steps=7, random_start=True
        )
        peer.get_random_start = lambda x0, epsilon: type(x0)(start)
        eps = 0.1
    else:
        ours = BIM(epsilon=1.0, step_size=0.2, steps=7, norm="l2")(
            small_net, x, y, target=goal, precision=exact
        ).x_adv
        peer = foolbox.attacks.L2BasicIterativeAttack(abs_stepsize=0.2, steps=7, random_start=False)
        eps = 1.0
    theirs = peer.run(model, x, criterion, epsilon=eps)
    difference = (ours - theirs).abs()
    # A gradient that vanishes may take either sign: all but a handful of pixels must agree to rounding.
    assert (difference > 1e-5).float().mean() < 0.002
    assert norms(ours - x, "l2").min() > 0.1
