"""The clauses of the contract that every attack holds, whatever it does."""

from dataclasses import fields

import pytest
import torch

from core import data
from core.attacks import (
    ATTACKS,
    BIM,
    PGD,
    Boundary,
    CarliniWagner,
    DeepFool,
    GradientAttack,
    Progress,
    ReconstructivePGD,
    attack_title,
)
from core.detectors import ReconstructionDetector
from core.geometry import norms

ALL = [pytest.param(kind, id=name) for name, kind in ATTACKS.items()]
BOUNDED = [pytest.param(kind, id=name) for name, kind in ATTACKS.items() if issubclass(kind, GradientAttack)]


@pytest.fixture(params=[torch.float32, torch.bfloat16], ids=["float32", "bfloat16"], autouse=True)
def precision(request, monkeypatch):
    """Every clause holds in both precisions of gradients, whichever this machine would choose."""
    monkeypatch.setattr("core.attacks.base.network_precision", lambda where: request.param)
    return request.param


def small(kind, **changes):
    """An attack that takes a few iterations, and that works on `tiny`."""
    if kind is CarliniWagner:
        return kind(**{"steps": 5, "searches": 3, "initial_c": 1.0, "learning_rate": 0.1, **changes})
    if kind is Boundary:
        return kind(**{"steps": 60, "halvings": 4, **changes})
    if kind is DeepFool:
        return kind(**{"steps": 40, "max_step": 0.1, **changes})
    steps = {} if kind.one_step else {"steps": 5}
    return kind(**{"epsilon": 0.1, **steps, **changes})


@pytest.mark.parametrize("kind", BOUNDED)
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_stays_in_the_ball(kind, norm, tiny, images, labels, detector):
    result = small(kind, norm=norm)(tiny, images, labels, detector=detector)
    assert norms(result.x_adv - images, norm).max() <= 0.1 + 1e-6
    assert torch.equal(result.distance, norms(result.x_adv - images, norm))


@pytest.mark.parametrize("kind", ALL)
def test_stays_in_the_box_and_decides_success_itself(kind, tiny, images, labels, detector):
    result = small(kind)(tiny, images, labels, detector=detector)
    assert result.x_adv.dtype == torch.float32
    assert result.x_adv.min() >= 0
    assert result.x_adv.max() <= 1
    assert not torch.equal(result.x_adv, images)
    prediction = tiny(result.x_adv).argmax(1)
    assert torch.equal(result.prediction, prediction)
    assert torch.equal(result.success, prediction != labels)


@pytest.mark.parametrize("kind", ALL)
def test_alone_equals_in_any_batch(kind, tiny, images, labels, detector):
    attack = small(kind)
    keys = torch.tensor([7, 3, 11, 2, 5, 13])
    together = attack(tiny, images, labels, detector=detector, index=keys).x_adv
    assert torch.equal(
        attack(tiny, images, labels, detector=detector, index=keys, batch_size=4).x_adv, together
    )
    order = torch.tensor([4, 0, 5, 1, 3, 2])
    assert torch.equal(
        attack(tiny, images[order], labels[order], detector=detector, index=keys[order]).x_adv,
        together[order],
    )
    for row in range(6):
        one = slice(row, row + 1)
        assert torch.equal(
            attack(tiny, images[one], labels[one], detector=detector, index=keys[one]).x_adv, together[one]
        )


def test_seed_and_index_key_the_randomness(tiny, images, labels):
    attack = PGD(epsilon=0.1, steps=1, step_size=0.0)
    same = images[:1].expand(3, -1, -1, -1)
    first = attack(tiny, same, labels[:3], index=torch.tensor([1, 2, 1])).x_adv
    assert torch.equal(first[0], first[2])
    assert not torch.equal(first[0], first[1])
    assert torch.equal(attack(tiny, same, labels[:3], index=torch.tensor([1, 2, 1])).x_adv, first)
    assert not torch.equal(attack(tiny, same, labels[:3], index=torch.tensor([1, 2, 1]), seed=1).x_adv, first)
    state = torch.get_rng_state()
    attack(tiny, images, labels)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_sweep_in_one_batch_equals_single_runs(norm, tiny, images, labels, detector):
    epsilon = torch.tensor([0.02, 0.05, 0.1, 0.2, 0.3, 0.4])
    beta = torch.tensor([0.1, 0.3, 0.5, 0.6, 0.8, 1.0])
    step = torch.tensor([0.01, 0.02, 0.01, 0.03, 0.05, 0.1])
    target = (labels + torch.tensor([1, 2, 3, 1, 2, 3])) % 4
    attack = ReconstructivePGD(epsilon=epsilon, beta=beta, step_size=step, steps=4, norm=norm)
    swept = attack(tiny, images, labels, detector=detector, target=target, batch_size=4)
    for row in range(6):
        one = slice(row, row + 1)
        single = ReconstructivePGD(
            epsilon=float(epsilon[row]), beta=float(beta[row]), step_size=float(step[row]), steps=4, norm=norm
        )(tiny, images[one], labels[one], detector=detector, target=target[one], index=torch.tensor([row]))
        assert torch.allclose(single.x_adv, swept.x_adv[one], atol=1e-6)


class Broken(Exception):
    pass


@pytest.mark.parametrize("kind", ALL)
def test_model_is_untouched_also_after_an_exception(kind, tiny, images, labels, detector):
    tiny.train()
    tiny.first.requires_grad_(False)
    before = {name: value.clone() for name, value in tiny.state_dict().items()}

    def check():
        assert tiny.training
        assert tiny.dropout.training
        assert not tiny.first.requires_grad
        assert tiny.out.requires_grad
        assert tiny.first.grad is None
        assert tiny.out.grad is None
        assert all(torch.equal(value, before[name]) for name, value in tiny.state_dict().items())

    first = small(kind)(tiny, images, labels, detector=detector).x_adv
    check()
    assert torch.equal(small(kind)(tiny.eval(), images, labels, detector=detector).x_adv, first), (
        "dropout was active"
    )
    tiny.train()

    def fail(progress: Progress):
        raise Broken

    with pytest.raises(Broken):
        small(kind)(tiny, images, labels, detector=detector, on_step=fail)
    check()
    next(small(kind).iterate(tiny, images, labels, detector=detector))
    check()


@pytest.mark.parametrize("kind", ALL)
def test_a_stop_gives_partial_but_valid_results(kind, tiny, images, detector):
    labels = tiny(images).argmax(1)
    result = small(kind)(tiny, images, labels, detector=detector, on_step=lambda progress: True, batch_size=2)
    assert result.stopped
    assert result.steps[:2].max() == 1
    assert result.steps[2:].max() == 0
    assert torch.equal(result.x_adv[2:], images[2:])
    start, first, *_ = small(kind).iterate(tiny, images[:2], labels[:2], detector=detector)
    # Without a bound, what is no success yet is of no use to anyone but a spectator.
    useful = result.success[:2] | (small(kind).bound(images) is not None)
    assert torch.equal(result.x_adv[:2], torch.where(useful.view(-1, 1, 1, 1), first.x_adv, images[:2]))
    assert torch.equal(result.success, tiny(result.x_adv).argmax(1) != labels)
    assert not small(kind)(tiny, images, labels, detector=detector, on_step=lambda progress: None).stopped


@pytest.mark.parametrize("kind", ALL)
def test_progress_rises_to_its_total(kind, tiny, images, labels, detector):
    seen = []
    small(kind)(tiny, images, labels, detector=detector, on_step=seen.append, batch_size=2)
    steps = [progress.step for progress in seen]
    assert steps == sorted(set(steps))
    assert {progress.total for progress in seen} == {steps[-1]}


def test_a_stop_in_a_later_batch_keeps_the_earlier_ones(tiny, images, labels):
    seen = []

    def stop(progress: Progress):
        seen.append((progress.step, progress.total))
        return progress.step == 7

    result = BIM(epsilon=0.1, steps=5)(tiny, images, labels, on_step=stop, batch_size=2)
    assert seen == [(step, 15) for step in range(1, 8)]
    assert result.steps.tolist() == [5, 5, 2, 2, 0, 0]
    assert torch.equal(result.x_adv[2:4], BIM(epsilon=0.1, steps=2)(tiny, images[2:4], labels[2:4]).x_adv)


@pytest.mark.parametrize("kind", ALL)
def test_iterate_hands_out_the_path_of_a_call(kind, tiny, images, labels, detector):
    attack = small(kind)
    whole = list(attack.iterate(tiny, images, labels, detector=detector))
    path = list(attack.iterate(tiny, images, labels, detector=detector, every=3))
    last = whole[-1].step
    assert [state.step for state in whole] == list(range(last + 1))
    assert [state.step for state in path] == [*range(0, last, 3), last]
    assert all(state.total == attack.iterations for state in path)
    assert torch.equal(path[-1].x_adv, attack(tiny, images, labels, detector=detector).x_adv)
    assert not torch.equal(whole[0].x_adv, whole[-1].x_adv)


def test_a_random_start_is_the_first_state(tiny, images, labels):
    start = next(PGD(epsilon=0.1, steps=7).iterate(tiny, images, labels))
    assert norms(start.x_adv - images, "linf").max() > 0.05


@pytest.mark.parametrize("kind", ALL)
def test_a_broken_example_does_not_spoil_the_batch(kind, tiny, images, labels, detector):
    class NaNForDark(torch.nn.Module):
        reconstruct = staticmethod(tiny.reconstruct)

        def forward(self, x):
            dark = (x.flatten(1).mean(1) < 0.06).view(-1, 1)
            return torch.where(dark, (x.flatten(1).sum(1, keepdim=True) - 1e9).log(), tiny(x))

    x = images.clone()
    x[2] = 0
    alone = small(kind)(tiny, images, labels, detector=detector).x_adv
    mixed = small(kind)(dark := NaNForDark(), x, labels, detector=ReconstructionDetector(dark))
    keep = [0, 1, 3, 4, 5]
    assert torch.equal(mixed.x_adv[keep], alone[keep])
    assert torch.isfinite(mixed.x_adv).all()


@pytest.mark.parametrize("kind", ALL)
def test_bfloat16_gradients_are_verified_in_float32(kind):
    from core.models import build

    model = build("capsnet", (1, 28, 28), 10, seed=1).eval()
    x = torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    y = model(x).argmax(1)
    result = small(kind)(model, x, y, detector=ReconstructionDetector(model), precision=torch.bfloat16)
    assert not torch.equal(result.x_adv, x)
    assert torch.equal(result.prediction, model(result.x_adv).argmax(1))
    assert torch.equal(result.success, result.prediction != y)
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": torch.full((6, 3, 5, 7), 5.0)}, "expected .*\\[0, 1\\].* got"),
        ({"x": torch.full((6, 3, 5, 7), float("nan"))}, "expected .* got"),
        ({"x": torch.zeros(6, 3, 5, 7, dtype=torch.float64)}, "expected .*float32.* got"),
        ({"x": torch.zeros(6, 5, 7)}, "expected .* got"),
        ({"y": torch.zeros(5, dtype=torch.long)}, "expected one label for each of 6 images, got"),
        ({"y": torch.zeros(6)}, "expected label as integers, got torch.float32"),
        (
            {"target": torch.tensor([0, 2, 0, 0, 1, 0])},
            "expected targets that differ from the labels, got 1 equal",
        ),
        ({"target": -1}, "expected target of 0 or more, got -1"),
        ({"index": torch.zeros(3, dtype=torch.long)}, "expected one index for each of 6 images"),
    ],
)
@pytest.mark.parametrize("kind", ALL)
def test_bad_input_is_named(kind, change, message, tiny, images, labels, detector):
    call = {"x": images, "y": labels, "target": None, "index": None} | change
    with pytest.raises(ValueError, match=message):
        small(kind)(tiny, call["x"], call["y"], detector=detector, target=call["target"], index=call["index"])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"epsilon": -0.1}, "expected epsilon between 0 and inf, got -0.1"),
        ({"epsilon": float("nan")}, "expected epsilon"),
        ({"beta": 1.5}, "expected beta between 0 and 1.0, got 1.5"),
        ({"steps": 0}, "expected steps as 1 or more, got 0"),
        ({"norm": "l7"}, "expected norm among linf, l2, got 'l7'"),
        ({"epsilon": torch.ones(4)}, "expected a scalar or one value for each of 6 images, got shape"),
    ],
)
def test_bad_fields_are_named(fields, message, tiny, images, labels, detector):
    with pytest.raises(ValueError, match=message):
        ReconstructivePGD(**fields)(tiny, images, labels, detector=detector)


@pytest.mark.parametrize("kind", ALL)
def test_who_needs_a_detector_says_so_and_others_leave_it_alone(kind, tiny, images, labels):
    class Unseen:
        """Whoever looks at it fails."""

        def evasion_loss(self, x, label=None):
            raise Broken

        def networks(self):
            return ()

    if "detector" in kind.needs:
        for call in (small(kind), small(kind).iterate):
            with pytest.raises(
                ValueError, match=f"expected a detector that {kind.title} evades, got none; pass"
            ):
                call(tiny, images, labels)
        with pytest.raises(Broken):
            small(kind)(tiny, images, labels, detector=Unseen())
    else:
        alone = small(kind)(tiny, images, labels).x_adv
        assert torch.equal(small(kind)(tiny, images, labels, detector=Unseen()).x_adv, alone)


class Noisy(ReconstructionDetector):
    """Has weights of its own, and dropout."""

    def __init__(self, model):
        super().__init__(model)
        self.scale = torch.nn.Parameter(torch.ones(7))
        self.dropout = torch.nn.Dropout(0.5)

    def evasion_loss(self, x, label=None):
        assert not self.dropout.training
        assert not self.scale.requires_grad
        return super().evasion_loss(self.dropout(x * self.scale), label)


@pytest.mark.parametrize("kind", [pytest.param(k, id=n) for n, k in ATTACKS.items() if "detector" in k.needs])
def test_the_detector_is_untouched_as_is_what_it_watches(kind, tiny, images, labels):
    other = type(tiny)().train()
    detector = Noisy(other).train()

    def check():
        assert detector.training
        assert detector.dropout.training
        assert other.training
        assert all(p.requires_grad and p.grad is None for p in (*other.parameters(), *detector.parameters()))

    first = small(kind)(tiny, images, labels, detector=detector).x_adv
    check()
    assert torch.equal(small(kind)(tiny, images, labels, detector=detector).x_adv, first), (
        "dropout was active"
    )

    def fail(progress: Progress):
        raise Broken

    with pytest.raises(Broken):
        small(kind)(tiny, images, labels, detector=detector, on_step=fail)
    check()


@pytest.mark.parametrize(
    ("name", "needs", "one_step", "unit"),
    [
        ("fgsm", {"gradients"}, True, "gradients"),
        ("pgd", {"gradients"}, False, "gradients"),
        ("r-fgsm", {"gradients", "detector"}, True, "gradients"),
        ("r-bim", {"gradients", "detector"}, False, "gradients"),
        ("r-pgd", {"gradients", "detector"}, False, "gradients"),
        ("boundary", {"starts"}, False, "answers"),
    ],
)
def test_facts_are_those_of_the_attacks(name, needs, one_step, unit):
    kind = ATTACKS[name]
    assert (kind.needs, kind.one_step, kind.unit) == (needs, one_step, unit)


def test_every_attack_has_a_title_of_its_own():
    assert len({kind.title for kind in ATTACKS.values()}) == len(ATTACKS)
    assert (attack_title("r-pgd"), attack_title("fog")) == ("R-PGD", "fog")


@pytest.mark.parametrize("kind", ALL)
def test_facts_agree_with_what_it_does(kind, tiny, images, labels, detector):
    usual = data.spec("svhn")
    attack = kind(**kind.defaults(usual))
    assert kind.minimises == (attack.bound(images) is None)
    assert kind.one_step == (attack.iterations == 1)
    if not kind.minimises:
        assert attack.epsilon == usual.epsilon
        assert attack.step_size == (usual.fgsm_step if kind.one_step else usual.step_size)
        assert attack.iterations == (1 if kind.one_step else usual.steps)

    class Answers(torch.nn.Module):
        """Answers without gradient."""

        def forward(self, x):
            return tiny(x).detach()

    try:
        worked = small(kind)(Answers(), images, Answers()(images).argmax(1), detector=detector).success.any()
    except RuntimeError:  # torch's, of what has no gradient
        worked = False
    assert worked != ("gradients" in kind.needs)


@pytest.mark.parametrize("kind", ALL)
def test_every_field_says_how_a_page_shows_it(kind):
    assert all(f.metadata["label"] and f.metadata["help"] for f in fields(kind))
