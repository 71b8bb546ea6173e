"""Attacks against what is known without them: closed forms, a slow plain reference, a peer library."""

import hashlib

import foolbox
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from core.attacks import (
    ATTACKS,
    BIM,
    FGSM,
    MIM,
    PGD,
    GradientAttack,
    ReconstructiveBIM,
    ReconstructiveFGSM,
    ReconstructivePGD,
)
from core.detectors import ReconstructionDetector
from core.geometry import norms, random_in_ball
from core.models import build
from tests.conftest import TinyReconstructor


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
    assert (
        attack(tiny, images, labels, detector=ReconstructionDetector(tiny), target=target).x_adv - expected
    ).abs().max() < 1e-6
    assert (expected - images).abs().max() > 0.05


def test_one_stage_steps_along_the_weighted_sum(tiny, images, labels):
    target = (labels + 1) % 4
    x = images.clone().requires_grad_()
    distance = (tiny.reconstruct(x, target) - x).flatten(1).norm(dim=1)
    loss = 0.3 * F.cross_entropy(tiny(x), target, reduction="none") + 0.7 * distance
    expected = (images - 0.02 * torch.autograd.grad(loss.sum(), x)[0].sign()).clamp(0, 1)
    attack = ReconstructiveBIM(epsilon=0.1, step_size=0.02, steps=1, beta=0.3, one_stage=True)
    assert (
        attack(tiny, images, labels, detector=ReconstructionDetector(tiny), target=target).x_adv - expected
    ).abs().max() < 1e-6


def test_beta_one_is_the_plain_attack(tiny, images, labels):
    plain = PGD(epsilon=0.1, steps=5)(tiny, images, labels).x_adv
    attack = ReconstructivePGD(epsilon=0.1, steps=5, beta=1.0)
    assert torch.equal(attack(tiny, images, labels, detector=ReconstructionDetector(tiny)).x_adv, plain)


def test_reconstructive_fgsm_is_one_iteration(tiny, images, labels):
    detector = ReconstructionDetector(tiny)
    one = ReconstructiveFGSM(epsilon=0.1, step_size=0.05)(tiny, images, labels, detector=detector)
    bim = ReconstructiveBIM(epsilon=0.1, step_size=0.05, steps=1)(tiny, images, labels, detector=detector)
    assert torch.equal(one.x_adv, bim.x_adv)
    assert one.steps.tolist() == [1] * 6
    assert one.queries.tolist() == [2] * 6


FORMER = {
    ("r-fgsm", False, False): "003b90112f6ad2b3",
    ("r-fgsm", False, True): "fb797cee2b2a4592",
    ("r-fgsm", True, False): "36f329147894eb33",
    ("r-fgsm", True, True): "2b7d0c9be53f09fc",
    ("r-bim", False, False): "c3a5614fa6cd98d6",
    ("r-bim", False, True): "9cacb231230b685a",
    ("r-bim", True, False): "770a8de69db07085",
    ("r-bim", True, True): "01c0e798d225778b",
    ("r-pgd", False, False): "1c24a737d5be434a",
    ("r-pgd", False, True): "82f74ad9666a30a9",
    ("r-pgd", True, False): "55b575233ebb7927",
    ("r-pgd", True, True): "71b201e7d97900e5",
}
"""By attack, whether in one stage, and whether targeted: digests of what came out when these attacks knew no
detector but asked the classifier for its reconstruction."""


class Single(TinyReconstructor):
    """The same network in single precision."""

    def __init__(self):
        super().__init__()
        self.float()

    def poses(self, x: Tensor) -> Tensor:
        hidden = torch.tanh(x.flatten(1) @ self.first)
        return self.dropout(hidden).view(len(x), self.n_classes, 6)


@pytest.mark.parametrize("network", [TinyReconstructor, Single])
@pytest.mark.parametrize(("name", "one_stage", "targeted"), FORMER)
def test_evading_the_reconstruction_is_what_it_was(network, name, one_stage, targeted, images, labels):
    model, kind = network().eval(), ATTACKS[name]
    steps = {} if kind.one_step else {"steps": 12, "step_size": 0.02}
    result = kind(epsilon=0.1, beta=0.4, one_stage=one_stage, **steps)(
        model,
        images,
        labels,
        detector=ReconstructionDetector(model),
        target=(labels + 1) % 4 if targeted else None,
        seed=3,
        precision=torch.float32,
    )
    digest = hashlib.sha256(result.x_adv.numpy().tobytes()).hexdigest()[:16]
    assert digest == FORMER[name, one_stage, targeted]


def momentum(model, x: Tensor, y: Tensor, target: Tensor | None, eps: float, c: float, mu: float, norm: str):
    """dong2018's algorithm 1, and its targeted and l2 forms, one image and eight steps at a time."""
    rows = []
    for i in range(len(x)):
        clean, goal = x[i : i + 1], (y if target is None else target)[i : i + 1]
        x_adv, g = clean.clone(), torch.zeros_like(clean)
        for _ in range(8):
            point = x_adv.clone().requires_grad_()
            loss = F.cross_entropy(model(point), goal) * (1 if target is None else -1)
            (gradient,) = torch.autograd.grad(loss, point)
            g = mu * g + gradient / gradient.abs().sum()
            step = g.sign() if norm == "linf" else g / g.norm()
            delta = x_adv + c * step - clean
            delta = delta.clamp(-eps, eps) if norm == "linf" else delta * min(1, eps / float(delta.norm()))
            x_adv = (clean + delta).clamp(0, 1)
        rows.append(x_adv)
    return torch.cat(rows)


@pytest.mark.parametrize("targeted", [True, False])
@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("decay", [0.0, 0.6, 1.0])
def test_momentum_matches_the_papers_algorithm(tiny, images, labels, targeted: bool, norm: str, decay: float):
    target = (labels + 1) % 4 if targeted else None
    fields = {"epsilon": 0.1 if norm == "linf" else 0.6, "step_size": 0.02 if norm == "linf" else 0.12}
    attack = MIM(steps=8, norm=norm, decay=decay, **fields)
    expected = momentum(tiny, images, labels, target, *fields.values(), decay, norm)
    x_adv = attack(tiny, images, labels, target=target).x_adv
    assert (x_adv - expected).abs().max() < 1e-5
    plain = BIM(steps=8, norm=norm, **fields)(tiny, images, labels, target=target).x_adv
    assert ((plain - x_adv).abs().max() < 1e-6) == (decay == 0)


def test_decay_may_differ_from_image_to_image(tiny, images, labels):
    decay = torch.tensor([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    swept = MIM(epsilon=0.1, step_size=0.02, steps=8, decay=decay)(tiny, images, labels, batch_size=4).x_adv
    for row in range(6):
        one = slice(row, row + 1)
        attack = MIM(epsilon=0.1, step_size=0.02, steps=8, decay=float(decay[row]))
        assert torch.equal(attack(tiny, images[one], labels[one]).x_adv, swept[one])


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
