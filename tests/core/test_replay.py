"""Recording and replaying, with a stand-in for CUDA's graphs that does the work again on the same memory."""

import random

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from core.attacks import ATTACKS, UNIVERSAL
from core.detectors import ReconstructionDetector
from core.models import MODELS, build
from core.replay import OnTheDevice, Recording, Replay, host_randomness
from tests.core.attacks.test_contract import small

ALL = [pytest.param(kind, id=name) for name, kind in ATTACKS.items()]


@pytest.fixture
def recorded(monkeypatch) -> list[int]:
    """The CPU can be recorded; yields the rows of every recording made."""
    made: list[int] = []

    def record(function, inputs):
        own = [given.detach().clone() for given in inputs]
        outputs = tuple(output.detach().clone() for output in function(*own))

        def again():
            with torch.enable_grad():
                for output, new in zip(outputs, function(*own), strict=True):
                    output.copy_(new.detach())

        made.append(len(own[0]))
        return Recording(again, own, outputs)

    monkeypatch.setattr("core.replay.recordable", lambda x: True)
    monkeypatch.setattr("core.replay.record", record)
    return made


class Counted:
    """Twice a, plus b; counts its calls."""

    def __init__(self):
        self.calls = 0

    def __call__(self, a, b):
        self.calls += 1
        return (2 * a + b, a > b)


def rows(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, generator=generator), torch.rand(count, 3, generator=generator)


def test_elsewhere_the_function_is_called():
    function = Counted()
    replay = Replay(function)
    for call in range(1, 4):
        a, b = rows(4, call)
        assert torch.equal(replay(a, b)[0], 2 * a + b)
        assert function.calls == call


def test_the_third_call_records_and_what_comes_back_stays_as_it_is(recorded):
    replay = Replay(Counted())
    given = [rows(4, seed) for seed in range(5)]
    found = [replay(*pair) for pair in given]
    assert recorded == [4]
    for (a, b), (double, larger) in zip(given, found, strict=True):
        assert torch.equal(double, 2 * a + b)
        assert torch.equal(larger, a > b)


def test_a_recording_serves_fewer_rows_but_not_far_fewer(recorded):
    replay = Replay(Counted())
    for count in (8, 8, 8, 7, 4, 8, 3, 3, 3, 2, 1, 1, 1, 9, 9, 9, 5):
        a, b = rows(count, count)
        assert torch.equal(replay(a, b)[0], 2 * a + b)
    assert recorded == [8, 3, 9]


def test_what_cannot_be_recorded_is_called(recorded, monkeypatch):
    def refuse(function, inputs):
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr("core.replay.record", refuse)
    function = Counted()
    replay = Replay(function)
    for call in range(1, 5):
        a, b = rows(4, call)
        assert torch.equal(replay(a, b)[0], 2 * a + b)
        assert function.calls == call


@pytest.mark.parametrize("draw", [random.random, np.random.rand, lambda: torch.rand(1)])
def test_numbers_drawn_on_the_host_are_noticed(draw):
    before = host_randomness()
    torch.rand(2, generator=torch.Generator().manual_seed(0))
    np.random.default_rng(0).random()
    assert host_randomness() == before
    draw()
    assert host_randomness() != before


@pytest.mark.parametrize(
    "look",
    [
        lambda x: x * x.max().item(),
        lambda x: x if bool(x[0, 0] > 0) else -x,
        lambda x: x[x[:, 0] > 0.5],
        lambda x: x.index_put((x > 0.5,), torch.tensor(0.0)),
        lambda x: x + torch.nonzero(x).sum(),
        lambda x: x.to("meta"),
        lambda x: x + 0 * random.random(),
        lambda x: x + torch.rand(3),
    ],
)
def test_what_no_recording_can_hold_is_refused(look):
    x = torch.rand(4, 3)
    with pytest.raises(RuntimeError, match="expected an iteration"), OnTheDevice():
        look(x)


@pytest.mark.parametrize("name", MODELS)
def test_what_an_attack_does_is_not_refused(name, monkeypatch):
    # On a CPU, and only there, torch's own looks at the values to check them.
    one_hot = "torch.nn.functional.one_hot"
    monkeypatch.setattr(one_hot, lambda label, count: (label.unsqueeze(1) == torch.arange(count)).long())
    shape = (3, 32, 32) if name in ("capsnet_deeper", "capsnet_all", "deepcaps") else (1, 28, 28)
    model = build(name, shape, 10).eval().requires_grad_(False)
    point, y = torch.rand(2, *shape).requires_grad_(), torch.tensor([1, 2])
    with OnTheDevice(), torch.autocast("cpu", torch.bfloat16):
        loss = F.cross_entropy(model(point), y)
        if hasattr(model, "reconstruct"):
            loss = loss + (model.reconstruct(point) - point).square().sum()
        (gradient,) = torch.autograd.grad(loss, point)
        kept = gradient[torch.arange(2), 0] * 0.5
    assert kept.shape == (2, *shape[1:])


@pytest.mark.parametrize("targeted", [False, True], ids=["untargeted", "targeted"])
@pytest.mark.parametrize("kind", ALL)
def test_attacks_end_where_they_end_unrecorded(kind, targeted, tiny, images, labels, request):
    call = {
        **{"precision": torch.float32, "batch_size": 4, "target": (labels + 1) % 4 if targeted else None},
        "detector": ReconstructionDetector(tiny),
    }
    plain = small(kind)(tiny, images, labels, **call)
    recorded = request.getfixturevalue("recorded")
    replayed = small(kind)(tiny, images, labels, **call)
    assert recorded or kind.one_step, "nothing was replayed"
    assert torch.equal(replayed.x_adv, plain.x_adv)
    assert torch.equal(replayed.queries, plain.queries)


@pytest.mark.parametrize("kind", UNIVERSAL.values(), ids=UNIVERSAL)
def test_universal_perturbations_end_where_they_end_unrecorded(kind, tiny, request):
    x = torch.rand(24, 3, 5, 7, generator=torch.Generator().manual_seed(5))
    y = tiny(x).argmax(1)
    attack, parts = kind(steps=6, images=6, accuracy=0.4), [torch.arange(0, 16), torch.arange(8, 24)]
    plain = attack(tiny, x, y, parts=parts, precision=torch.float32)
    assert plain.iterations.max() > 2
    recorded = request.getfixturevalue("recorded")
    replayed = attack(tiny, x, y, parts=parts, precision=torch.float32)
    assert recorded
    assert torch.allclose(replayed.perturbation, plain.perturbation, atol=1e-7)
