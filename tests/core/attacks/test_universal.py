"""Universal perturbations against closed forms and a slow plain loop, alone and in company."""

from dataclasses import fields

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.attacks import UNIVERSAL, AveragedUniversal, BoundedUniversal, perturb
from core.geometry import NORMS

KINDS = [pytest.param(kind, id=name) for name, kind in UNIVERSAL.items()]


@pytest.fixture
def crowd(tiny) -> tuple[Tensor, Tensor]:
    """Images, and as labels what the network reads, but for every tenth."""
    x = torch.rand(40, 3, 5, 7, generator=torch.Generator().manual_seed(5))
    y = tiny(x).argmax(1)
    y[::10] = (y[::10] + 1) % 4
    return x, y


PARTS = [torch.arange(0, 20), torch.arange(20, 40), torch.arange(0, 40, 2), torch.arange(7, 29)]
SEEDS = [3, 1, 4, 1]


def small(kind, **changes):
    usual = {"steps": 12, "images": 6, "step_size": 0.03, "accuracy": 0.4}
    usual |= {"epsilon": 0.2} if kind is BoundedUniversal else {}
    return kind(**(usual | changes))


def reference(model, x: Tensor, y: Tensor, seed: int, attack: AveragedUniversal) -> tuple[Tensor, int, float]:
    """The steps of the paper as they are printed, one perturbation and one image at a time."""
    delta, done = torch.zeros_like(x[0]), 0
    while True:
        right = [bool(model((x[i] + delta).clamp(0, 1)[None]).argmax() == y[i]) for i in range(len(x))]
        accuracy = sum(right) / len(x)
        if accuracy < attack.accuracy or done == attack.steps:
            return delta, done, accuracy
        drawn = np.random.Generator(np.random.Philox(key=[seed, done]))
        order = drawn.integers(len(x), size=20 * attack.images)
        chosen = [i for i in order if right[i]][: attack.images]
        steps = []
        for i in chosen:
            point = (x[i] + delta).clamp(0, 1)[None].requires_grad_()
            (gradient,) = torch.autograd.grad(F.cross_entropy(model(point), y[i : i + 1]), point)
            moved = (point + attack.step_size * gradient.sign()).clamp(0, 1)
            steps.append((moved - point)[0].detach())
        delta, done = delta + torch.stack(steps).mean(0), done + 1


def test_many_at_once_are_what_the_plain_loop_makes_one_by_one(tiny, crowd):
    x, y = crowd
    attack = small(AveragedUniversal, accuracy=0.5, steps=20)
    result = attack(tiny, x, y, parts=PARTS, seeds=SEEDS, batch_size=17)
    assert len(set(result.iterations.tolist())) > 1, "all ended at once: retirement was not tried"
    for number, (part, seed) in enumerate(zip(PARTS, SEEDS, strict=True)):
        delta, done, accuracy = reference(tiny, x[part], y[part], seed, attack)
        assert torch.equal(result.perturbation[number], delta)
        assert int(result.iterations[number]) == done
        assert float(result.accuracy[number]) == pytest.approx(accuracy)
        assert bool(result.reached[number]) == (accuracy < 0.5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("every", [1, 3])
def test_alone_equals_in_any_company(kind, every: int, tiny, crowd):
    x, y = crowd
    attack = small(kind, every=every)
    result = attack(tiny, x, y, parts=PARTS, seeds=SEEDS)
    assert not torch.equal(result.perturbation[0], result.perturbation[1])
    for number, (part, seed) in enumerate(zip(PARTS, SEEDS, strict=True)):
        alone = attack(tiny, x[part], y[part], seeds=[seed], batch_size=5)
        assert torch.equal(alone.perturbation[0], result.perturbation[number])
        assert int(alone.iterations[0]) == int(result.iterations[number])
        assert float(alone.accuracy[0]) == float(result.accuracy[number])


def test_counting_less_often_draws_the_same_images(tiny, crowd):
    x, y = crowd
    often = small(AveragedUniversal, accuracy=0.0, steps=6)(tiny, x, y)
    seldom = small(AveragedUniversal, accuracy=0.0, steps=6, every=4)(tiny, x, y)
    assert torch.equal(often.perturbation, seldom.perturbation)
    assert torch.equal(often.accuracy, seldom.accuracy)


def test_averaged_steps_of_a_linear_network_add_up(linear):
    """All images of one class: every step is step_size * sign(w), until half have crossed the border."""
    x = 0.4 + 0.2 * torch.rand(31, 3, 5, 7, generator=torch.Generator().manual_seed(0))
    weight = linear.weight.detach()
    margin = linear.margin(x).detach()
    linear.bias.data = -margin.min() + 0.5
    margin = margin - margin.min() + 0.5
    result = AveragedUniversal(step_size=0.001, images=8)(linear, x, 1)
    per_step = 0.001 * weight.abs().sum()
    # More than half are wrong as soon as the 16th of 31 is.
    needed = int((margin.sort().values[15] / per_step).ceil())
    assert result.iterations.tolist() == [needed]
    assert torch.allclose(result.perturbation[0], -0.001 * needed * weight.sign(), atol=1e-5)
    assert bool(result.reached[0])
    assert float(result.accuracy[0]) == pytest.approx(float((margin > needed * per_step).double().mean()))
    assert float(result.size("linf")[0]) == pytest.approx(0.001 * needed, rel=1e-3)


@pytest.mark.parametrize("norm", NORMS)
def test_bounded_steps_of_a_linear_network_reach_the_steepest_point_of_the_ball(linear, norm):
    x = 0.4 + 0.2 * torch.rand(9, 3, 5, 7, generator=torch.Generator().manual_seed(0))
    weight = linear.weight.detach()
    attack = BoundedUniversal(steps=60, epsilon=0.1, step_size=0.01, norm=norm, images=4)
    result = attack(linear, x, 1)
    best = weight.sign() if norm == "linf" else weight / weight.norm()
    assert torch.allclose(result.perturbation[0], -0.1 * best, atol=1e-4)
    assert result.iterations.tolist() == [60]


@pytest.mark.parametrize("norm", NORMS)
def test_bounded_ones_stay_in_their_ball_and_fool(digits, norm):
    model, x, y = digits
    epsilon = 0.25 if norm == "linf" else 4.0
    attack = BoundedUniversal(steps=40, epsilon=epsilon, step_size=epsilon / 8, norm=norm)
    result = attack(model, x, y, parts=[torch.arange(32), torch.arange(16)])
    assert (result.size(norm) <= epsilon * (1 + 1e-6)).all()
    assert (result.size(norm) > 0.9 * epsilon).all()
    assert (result.accuracy < 0.6).all()
    noise = epsilon * torch.randn(1, 28, 28, generator=torch.Generator().manual_seed(0)).sign()
    noise = noise if norm == "linf" else noise / 28
    assert (model(perturb(x, noise)).argmax(1) == y).float().mean() > float(result.accuracy[0]) + 0.2


def test_what_cannot_be_reached_is_said(tiny, crowd):
    x, _ = crowd

    class Constant(nn.Module):
        def forward(self, x):
            return torch.tensor([1.0, 0, 0, 0]) + 0 * x.flatten(1).sum(1, keepdim=True)

    def outcome(attack, y) -> tuple[bool, int, float]:
        result = attack(Constant(), x, y)
        assert float(result.perturbation.abs().max()) == 0
        return bool(result.reached[0]), int(result.iterations[0]), float(result.accuracy[0])

    assert outcome(AveragedUniversal(steps=5), 0) == (False, 5, 1.0)
    assert outcome(AveragedUniversal(steps=5), 1) == (True, 0, 0.0)
    never = AveragedUniversal(steps=4, accuracy=0.0, images=30)
    assert outcome(never, torch.arange(40) % 2) == (False, 4, 0.5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_stop_gives_what_there_is(kind, tiny, crowd):
    x, y = crowd
    attack, seen = small(kind, accuracy=0.0), []

    def stop(progress) -> bool:
        seen.append((progress.step, progress.total))
        return progress.step == 3

    result = attack(tiny, x, y, parts=PARTS, on_step=stop)
    assert seen == [(1, 12), (2, 12), (3, 12)]
    assert result.stopped
    assert result.iterations.tolist() == [3] * 4
    shorter = small(kind, accuracy=0.0, steps=3)(tiny, x, y, parts=PARTS)
    assert torch.equal(result.perturbation, shorter.perturbation)
    assert torch.equal(result.accuracy, shorter.accuracy)
    right = tiny(perturb(x[PARTS[1]], result.perturbation[1])).argmax(1) == y[PARTS[1]]
    assert float(result.accuracy[1]) == pytest.approx(float(right.double().mean()))


@pytest.mark.parametrize("kind", KINDS)
def test_progress_rises_to_its_total_and_the_model_is_untouched(kind, tiny, crowd):
    x, y = crowd
    tiny.train()
    seen = []
    first = small(kind)(tiny, x, y, on_step=seen.append)
    steps = [progress.step for progress in seen]
    assert steps == sorted(set(steps))
    assert {progress.total for progress in seen} == {steps[-1]} == {12}

    def fail(progress):
        raise KeyError

    with pytest.raises(KeyError):
        small(kind)(tiny, x, y, on_step=fail)
    assert tiny.training
    assert all(p.requires_grad and p.grad is None for p in tiny.parameters())
    assert torch.equal(small(kind)(tiny.eval(), x, y).perturbation, first.perturbation), "dropout was active"
    state = torch.get_rng_state()
    small(kind)(tiny, x, y)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("kind", KINDS)
def test_bfloat16_gradients_lead_to_float32_accuracies(kind, digits):
    model, x, y = digits
    result = small(kind, steps=20)(model, x, y, precision=torch.bfloat16)
    right = model(perturb(x, result.perturbation[0])).argmax(1) == y
    assert float(result.accuracy[0]) == pytest.approx(float(right.double().mean()))
    assert float(result.accuracy[0]) < 0.6


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"x": torch.full((40, 3, 5, 7), 5.0)}, "expected .*\\[0, 1\\].* got"),
        ({"y": torch.zeros(5, dtype=torch.long)}, "expected one label for each of 40 images, got"),
        ({"parts": [torch.tensor([40])]}, "expected rows from 0 to 39, got 40 to 40"),
        ({"parts": [torch.tensor([0.5])]}, "expected a part as row numbers"),
        ({"parts": [torch.arange(0)]}, "expected a part as row numbers"),
        ({"parts": []}, "expected one seed for each of 0 parts, got 0"),
        ({"seeds": [1, 2]}, "expected one seed for each of 1 parts, got 2"),
        ({"fields": {"steps": 0}}, "expected steps as 1 or more, got 0"),
        ({"fields": {"images": 0}}, "expected images as 1 or more, got 0"),
        ({"fields": {"accuracy": 1.5}}, "expected accuracy between 0 and 1, got 1.5"),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_bad_input_is_named(kind, call, message: str, tiny, crowd):
    x, y = crowd
    given = {"x": x, "y": y, "parts": None, "seeds": None, "fields": {}} | call
    with pytest.raises(ValueError, match=message):
        kind(**given["fields"])(tiny, given["x"], given["y"], parts=given["parts"], seeds=given["seeds"])


def test_bad_fields_are_named(tiny, crowd):
    for attack, message in (
        (AveragedUniversal(step_size=0.0), "expected step_size above 0 and at most 1, got 0.0"),
        (BoundedUniversal(epsilon=-1.0), "expected epsilon finite and 0 or more, got -1.0"),
        (BoundedUniversal(norm="l1"), "expected norm among linf, l2, got 'l1'"),
    ):
        with pytest.raises(ValueError, match=message):
            attack(tiny, *crowd)


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_says_how_a_page_shows_it(kind):
    assert all(f.metadata["label"] and f.metadata["help"] for f in fields(kind))
