"""DeepFool against closed forms, a plain reference, foolbox, and what other libraries get wrong."""

from dataclasses import replace
from itertools import pairwise

import foolbox
import pytest
import torch
from torch import Tensor, nn

from core.attacks import DeepFool
from core.geometry import norms
from core.models import build

pytestmark = pytest.mark.slow

PLAIN = DeepFool(steps=50, max_step=float("inf"), overshoot=0.02)
SHORT = DeepFool(steps=400, max_step=0.02)
NORMS = pytest.mark.parametrize("norm", ["l2", "linf"])


@NORMS
@pytest.mark.parametrize("longest", [0.01, 0.05, float("inf")])
def test_distance_to_a_hyperplane(linear, norm, longest: float):
    x = 0.4 + 0.2 * torch.rand(8, 3, 5, 7, generator=torch.Generator().manual_seed(0))
    label = linear(x).argmax(1).detach()
    weight = linear.weight.detach()
    expected = linear.margin(x).abs().detach() / (weight.norm() if norm == "l2" else weight.abs().sum())
    attack = DeepFool(norm=norm, max_step=longest)
    result = attack(linear, x, label)
    assert result.success.all()
    assert torch.equal(result.distance, norms(result.x_adv - x, norm))
    assert (result.distance >= expected * 0.999).all()
    assert (result.distance <= expected * 1.002).all()
    # Of two classes one is the other's target.
    assert torch.allclose(attack(linear, x, label, target=1 - label).x_adv, result.x_adv, atol=1e-5)
    moved = norms(result.x_adv - x, "l2")
    assert torch.allclose(result.steps.double(), (moved / longest).double().ceil().clamp(min=1), atol=1)


def test_of_several_borders_the_nearest_is_crossed():
    """Three classes with known distances: 0.30 and 0.12 in l2, 0.075 and 0.12 in linf."""
    w = torch.zeros(3, 1, 4, 4)
    w[1, 0], w[2, 0, 0, 0] = 1.0, 1.0  # all pixels, or the first alone
    bias = torch.tensor([0.0, -9.2, -0.62])  # at 0.5: 8 - 9.2 = -1.2 and 0.5 - 0.62 = -0.12

    class Three(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.einsum("bchw,jchw->bj", x, w) + bias

    x = torch.full((1, 1, 4, 4), 0.5)
    for norm, goal, distance in (("l2", 2, 0.12), ("linf", 1, 0.075)):
        result = DeepFool(norm=norm, max_step=float("inf"))(Three(), x, 0)
        assert result.prediction.tolist() == [goal]
        assert float(result.distance[0]) == pytest.approx(distance, rel=0.01)
    aimed = DeepFool(max_step=float("inf"))(Three(), x, 0, target=1)
    assert float(aimed.distance[0]) == pytest.approx(1.2 / 4, rel=0.01)
    few = DeepFool(norm="linf", max_step=float("inf"), candidates=2)(Three(), x, 0)
    assert few.prediction.tolist() == [2], "looked at more classes than it was told"


def reference(model, x: Tensor, label: int, longest: float, norm: str) -> Tensor:
    """The walk as it is printed, for one image, a forward and a backward pass for every class."""
    x_adv = x.clone()
    for _ in range(400):
        values, slopes = [], []
        logits = model(x_adv[None])[0]
        if logits.argmax() != label:
            return x_adv
        for k in range(len(logits)):
            if k != label:
                point = x_adv.clone().requires_grad_()
                out = model(point[None])[0]
                (slope,) = torch.autograd.grad(out[k] - out[label], point)
                slopes.append(slope)
                values.append((out[k] - out[label]).abs().detach())
        away = [
            float(f / (w.norm() if norm == "l2" else w.abs().sum()))
            for f, w in zip(values, slopes, strict=True)
        ]
        k = away.index(min(away))
        step = away[k] * (slopes[k] / slopes[k].norm() if norm == "l2" else slopes[k].sign())
        step = step * min(1.0, longest / float(step.norm()))
        x_adv = (x_adv + step).clamp(0, 1)
    return x_adv


@NORMS
def test_walks_where_the_plain_reference_walks(tiny, images, norm):
    label = tiny(images).argmax(1)
    result = DeepFool(norm=norm, max_step=0.004)(tiny, images, label)
    for row in range(len(images)):
        expected = reference(tiny, images[row], int(label[row]), 0.004, norm)
        # The reference stops at the border, within a step; ours just behind it.
        assert float((result.x_adv[row] - expected).norm()) <= 0.004
        assert float((expected - images[row]).norm()) > 0.02


@NORMS
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_at_most_a_twentieth_farther_than_foolbox(digits, norm, precision):
    model, x, y = digits
    peers = {"l2": foolbox.attacks.L2DeepFoolAttack, "linf": foolbox.attacks.LinfDeepFoolAttack}
    wrapped = foolbox.PyTorchModel(model, bounds=(0, 1))
    x_adv = peers[norm](steps=50).run(wrapped, x, foolbox.criteria.Misclassification(y))
    assert (model(x_adv).argmax(1) != y).float().mean() > 0.9
    theirs = norms(x_adv - x, norm).where(model(x_adv).argmax(1) != y, torch.inf)
    for attack in (PLAIN, SHORT):
        result = replace(attack, norm=norm)(model, x, y, precision=precision)
        assert result.success.float().mean() > 0.95
        ours = result.distance.where(result.success, torch.inf)
        assert float(ours.median()) <= 1.05 * float(theirs.median())
        assert float(ours.min()) > 0


@NORMS
def test_every_success_survives_another_batch(digits, norm):
    model, x, y = digits
    result = replace(PLAIN, norm=norm, overshoot=0.0)(model, x, y, batch_size=5)
    assert result.success.float().mean() > 0.95
    for copy in (model, model.double()):
        dtype = next(copy.parameters()).dtype
        alone = torch.cat([copy(image[None].to(dtype)) for image in result.x_adv]).argmax(1)
        assert (alone != y)[result.success].all()
    model.float()


def test_a_failure_is_the_clean_image_and_stops_nobody(tiny, images):
    class Stubborn(nn.Module):
        def forward(self, x):
            stubborn = (x.flatten(1).mean(1) < 0.2).view(-1, 1)
            return torch.where(stubborn, torch.tensor([1.0, 0, 0, 0], dtype=torch.float64), tiny(x))

    x = images.clone()
    x[2] = 0.05 * images[2]
    label = Stubborn()(x).argmax(1)
    result = SHORT(Stubborn(), x, label)
    assert result.success.tolist() == [True, True, False, True, True, True]
    assert torch.equal(result.x_adv[2], x[2])
    assert result.distance[2] == 0
    assert result.steps[2] == 0, "went on although nothing could move"
    assert torch.equal(result.x_adv[3:], SHORT(tiny, images[3:], label[3:]).x_adv)
    none = SHORT(lambda z: torch.zeros(len(z), 3) * z.sum() + torch.tensor([1.0, 0, 0]), x, 0)
    assert not none.success.any()
    assert torch.equal(none.x_adv, x)


def test_what_is_a_success_already_stays_as_it_is(tiny, images):
    label = tiny(images).argmax(1)
    wrong = label.clone()
    wrong[::2] = (label[::2] + 1) % 4
    result = SHORT(tiny, images, wrong)
    assert result.success.all()
    assert torch.equal(result.x_adv[::2], images[::2])
    assert result.already.tolist() == [True, False] * 3
    assert result.steps[::2].tolist() == result.queries[::2].tolist() == [0, 0, 0]
    assert (result.queries[1::2] >= 3 * result.steps[1::2]).all()
    assert len(list(SHORT.iterate(tiny, images, (label + 1) % 4))) == 1


def test_no_step_is_longer_than_it_may_be(digits):
    model, x, y = digits
    longest = torch.tensor([0.01, 0.02, 0.05, 0.1])
    for norm in ("l2", "linf"):
        path = list(DeepFool(steps=60, norm=norm, max_step=longest).iterate(model, x[:4], y[:4]))
        moved = torch.stack([norms(b.x_adv - a.x_adv, "l2") for a, b in pairwise(path)])
        assert (moved <= longest + 1e-6).all()
        assert moved.amax(0)[0] > 0.007


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"steps": 0}, "expected steps as 1 or more, got 0"),
        ({"candidates": 1}, "expected candidates as 2 or more, got 1"),
        ({"norm": "l1"}, "expected norm among l2, linf, got 'l1'"),
        ({"max_step": 0.0}, "expected max_step above 0, got 0.0"),
        ({"overshoot": -0.1}, "expected overshoot finite and 0 or more, got -0.1"),
        ({"overshoot": torch.ones(4)}, "expected a scalar or one value for each of 6 images, got shape"),
    ],
)
def test_bad_fields_are_named(fields, message: str, tiny, images, labels):
    with pytest.raises(ValueError, match=message):
        DeepFool(**fields)(tiny, images, labels)


@pytest.mark.parametrize("name", ["capsnet", "cnn_cr", "michels_convnet"])
def test_nothing_to_do_is_an_answer(name):
    """A network that cannot take an empty batch is not given one."""
    model = build(name, (1, 28, 28), 10).eval()
    x = torch.rand(2, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    result = DeepFool(steps=5)(model, x, (model(x).argmax(1) + 1) % 10)
    assert result.already.all()
    assert torch.equal(result.x_adv, x)
    assert result.queries.tolist() == [0, 0]
