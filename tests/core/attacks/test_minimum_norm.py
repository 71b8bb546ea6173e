"""CW-L2 against closed forms, against foolbox, and in what other libraries' versions of it get wrong."""

import foolbox
import pytest
import torch
from torch import Tensor, nn

from core.attacks import CarliniWagner
from core.attacks.minimum_norm import from_box, lead, to_box
from core.geometry import norms

pytestmark = pytest.mark.slow

FAST = CarliniWagner(steps=60, searches=6, initial_c=0.01, learning_rate=0.02)


def test_variables_cover_the_box():
    x = torch.linspace(0, 1, 101)
    assert (to_box(from_box(x)) - x).abs().max() < 2e-6
    w = torch.linspace(-50, 50, 1001)
    assert to_box(w).min() >= 0
    assert to_box(w).max() <= 1


def test_distance_to_a_hyperplane(linear):
    x = 0.4 + 0.2 * torch.rand(8, 3, 5, 7, generator=torch.Generator().manual_seed(0))
    label = linear(x).argmax(1).detach()
    expected = linear.margin(x).abs().detach() / linear.weight.norm().detach()
    attack = CarliniWagner(steps=100, initial_c=0.01, learning_rate=0.005)
    result = attack(linear, x, label)
    assert result.success.all()
    assert torch.equal(result.distance, norms(result.x_adv - x, "l2"))
    assert (result.distance >= expected * 0.9999).all()
    assert (result.distance <= expected * 1.02).all()
    assert torch.equal(attack(linear, x, label, target=1 - label).x_adv, result.x_adv)


@pytest.mark.parametrize("edge", [0.0, 1.0])
def test_pixels_at_the_edge_of_the_box_move(linear, edge: float):
    """Only those pixels count whose way is free: the distance is |f| over the norm of their weights."""
    x = torch.full((1, 3, 5, 7), edge)
    weight = linear.weight.detach()
    linear.bias.data = -linear.margin(x)[0].detach() - 1.5
    free = weight.clamp(min=0) if edge == 0 else weight.clamp(max=0)
    result = FAST(linear, x, 0, target=1)
    assert result.success.all()
    assert float(result.distance[0]) == pytest.approx(1.5 / float(free.norm()), rel=0.03)
    assert ((result.x_adv - x).abs() > 1e-3).sum() > 30


class Shifted(nn.Module):
    def __init__(self, model: nn.Module, shift: float) -> None:
        super().__init__()
        self.model, self.shift = model, shift

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x) + self.shift


@pytest.mark.parametrize("targeted", [True, False])
def test_shifted_logits_change_nothing(tiny, images, targeted: bool):
    label = tiny(images).argmax(1)
    target = (label + 1) % 4 if targeted else None
    plain = FAST(tiny, images, label, target=target)
    shifted = FAST(Shifted(tiny, -100), images, label, target=target)
    assert plain.success.all()
    assert torch.equal(plain.success, shifted.success)
    assert torch.allclose(plain.x_adv, shifted.x_adv, atol=1e-4)


@pytest.mark.parametrize("targeted", [True, False])
def test_at_most_a_twentieth_farther_than_foolbox(digits, targeted: bool):
    model, x, y = digits
    target = (y + 1 + torch.arange(len(y)) % 9) % 10 if targeted else None
    criterion = foolbox.criteria.Misclassification(y)
    if target is not None:
        criterion = foolbox.criteria.TargetedMisclassification(target)
    peer = foolbox.attacks.L2CarliniWagnerAttack(binary_search_steps=9, steps=100)
    x_adv = peer.run(foolbox.PyTorchModel(model, bounds=(0, 1)), x, criterion)
    reached = model(x_adv).argmax(1) == target if targeted else model(x_adv).argmax(1) != y
    theirs = norms(x_adv - x, "l2").where(reached, torch.inf)
    precision = torch.bfloat16 if targeted else torch.float32
    result = CarliniWagner(searches=9, steps=100)(model, x, y, target=target, precision=precision)
    assert result.success.sum() >= max(30, reached.sum())
    ours = result.distance.where(result.success, torch.inf)
    assert float(ours.median()) <= 1.05 * float(theirs.median())
    assert float(ours.min()) > 0


def test_every_success_survives_another_batch(digits):
    model, x, y = (part[:12] if isinstance(part, Tensor) else part for part in digits)
    result = FAST(model, x, y, batch_size=5)
    assert result.success.all()
    alone = torch.cat([model(image[None]) for image in result.x_adv]).argmax(1)
    assert (alone != y).all()


def test_a_failure_is_the_clean_image_and_stops_nobody(tiny, images):
    class Constant(nn.Module):
        def forward(self, x):
            stubborn = (x.flatten(1).mean(1) < 0.2).view(-1, 1)
            return torch.where(stubborn, torch.tensor([1.0, 0, 0, 0], dtype=torch.float64), tiny(x))

    x = images.clone()
    x[2] = 0.05 * images[2]
    label = Constant()(x).argmax(1)
    result = FAST(Constant(), x, label)
    assert result.success.tolist() == [True, True, False, True, True, True]
    assert torch.equal(result.x_adv[2], x[2])
    assert result.distance[2] == 0
    assert result.prediction[2] == label[2] == 0
    assert torch.equal(result.x_adv[3:], FAST(tiny, images[3:], label[3:]).x_adv)


@pytest.mark.parametrize("targeted", [True, False])
def test_what_is_a_success_already_stays_as_it_is(tiny, images, targeted: bool):
    label = tiny(images).argmax(1)
    wrong = label.clone()
    wrong[::2] = (label[::2] + 1) % 4
    target = torch.where(wrong != label, label, (label + 1) % 4) if targeted else None
    result = FAST(tiny, images, wrong, target=target)
    assert result.success.all()
    assert torch.equal(result.x_adv[::2], images[::2])
    assert result.distance[::2].tolist() == [0, 0, 0]
    assert result.steps[::2].tolist() == result.queries[::2].tolist() == [0, 0, 0]
    assert result.distance[1::2].min() > 0
    nothing = FAST(tiny, images, (label + 1) % 4)
    assert torch.equal(nothing.x_adv, images)
    assert len(list(FAST.iterate(tiny, images, (label + 1) % 4))) == 1


def test_fields_may_hold_one_value_for_each_example(tiny, images):
    label = tiny(images).argmax(1)
    fields = {
        "initial_c": torch.tensor([0.01, 0.1, 1.0, 0.01, 0.1, 1.0]),
        "learning_rate": torch.tensor([0.01, 0.02, 0.03, 0.04, 0.05, 0.06]),
        "kappa": torch.tensor([0.0, 0.5, 1.0, 0.0, 0.5, 1.0]),
    }
    swept = CarliniWagner(steps=20, searches=4, **fields)(tiny, images, label, batch_size=4)
    assert swept.distance.min() > 0
    for row in range(6):
        one = slice(row, row + 1)
        attack = CarliniWagner(steps=20, searches=4, **{name: float(v[row]) for name, v in fields.items()})
        assert torch.allclose(attack(tiny, images[one], label[one]).x_adv, swept.x_adv[one], atol=1e-6)


def test_kappa_is_the_lead_that_a_success_has(tiny, images):
    label = tiny(images).argmax(1)
    kappa = torch.tensor([0.0, 0.5, 1.0, 1.5, 2.0, 2.5])
    result = CarliniWagner(60, 6, kappa, 0.02, 0.01)(tiny, images, label)
    found = result.distance > 0
    assert found.sum() >= 5
    ahead = lead(tiny(result.x_adv), label, targeted=False)[found]
    assert (ahead >= kappa[found]).all()
    assert (ahead < kappa[found] + 0.3).all()


def test_the_form_of_michels2019_goes_kappa_beyond_the_border(linear):
    x = 0.4 + 0.2 * torch.rand(4, 3, 5, 7, generator=torch.Generator().manual_seed(0))
    label = linear(x).argmax(1).detach()
    attack = CarliniWagner(steps=400, searches=4, kappa=1.0, learning_rate=1e-3, initial_c=0.1)
    result = attack(linear, x, label, target=1 - label)
    expected = (linear.margin(x).abs().detach() + 1) / linear.weight.norm().detach()
    assert result.success.all()
    assert (result.distance >= expected * 0.9999).all()
    assert (result.distance <= expected * 1.05).all()
    assert (linear.margin(result.x_adv).abs() >= 1).all()


def test_a_capsules_logit_is_twice_the_atanh_of_michels2019():
    from core.models.capsules import length_logit, squash

    s = torch.randn(3, 10, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    length = squash(s).norm(dim=-1)
    assert torch.allclose(length_logit(s), 2 * torch.atanh(2 * length - 1), atol=1e-6)


def test_the_path_gets_closer_and_never_loses_a_success(digits):
    model, x, y = digits
    path = list(FAST.iterate(model, x[:4], y[:4], every=5))
    distances = torch.stack([norms(state.x_adv - x[:4], "l2") for state in path])
    success = torch.stack([model(state.x_adv).argmax(1) != y[:4] for state in path])
    assert distances[0].max() == 0
    assert success[-1].all()
    for row in range(4):
        found = distances[success[:, row], row]
        assert (found.diff() <= 0).all()
        assert (distances[~success[:, row], row] == 0).all()
    assert path[-1].step <= FAST.iterations


def test_searches_that_are_stuck_end_early(digits):
    model, x, y = (part[:8] if isinstance(part, Tensor) else part for part in digits)
    whole = CarliniWagner(steps=100, searches=3, initial_c=1.0, learning_rate=0.05, abort_early=False)
    early = CarliniWagner(steps=100, searches=3, initial_c=1.0, learning_rate=0.05)
    assert whole(model, x, y).steps.tolist() == [300] * len(x)
    result = early(model, x, y)
    assert result.steps.float().mean() < 200
    assert set((result.steps % 10).tolist()) == {0}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"steps": 0}, "expected steps as 1 or more, got 0"),
        ({"searches": 0}, "expected searches as 1 or more, got 0"),
        ({"kappa": -1.0}, "expected kappa finite and 0 or more, got -1.0"),
        ({"initial_c": 0.0}, "expected initial_c finite and above 0, got 0.0"),
        ({"initial_c": float("inf")}, "expected initial_c finite"),
        ({"learning_rate": float("nan")}, "expected learning_rate finite and above 0, got nan"),
        ({"kappa": torch.ones(4)}, "expected a scalar or one value for each of 6 images, got shape"),
    ],
)
def test_bad_fields_are_named(fields, message: str, tiny, images, labels):
    with pytest.raises(ValueError, match=message):
        CarliniWagner(**fields)(tiny, images, labels)
