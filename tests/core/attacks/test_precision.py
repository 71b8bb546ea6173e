"""The contract at every precision and bucket size, on a network that rounds and takes the fast paths."""

import pytest
import torch

from core.attacks import ATTACKS, PGD, Boundary, CarliniWagner, DeepFool, ReconstructivePGD
from core.detectors import ReconstructionDetector
from core.geometry import norms
from core.models import build
from core.models.fast import frequency_conv

pytestmark = pytest.mark.slow

ALL = [pytest.param(kind, id=name) for name, kind in ATTACKS.items()]
PRECISIONS = [torch.float32, torch.bfloat16]


@pytest.fixture(params=["direct", "through frequencies"])
def network(request, monkeypatch):
    if request.param == "through frequencies":
        monkeypatch.setattr(frequency_conv, "MIN_CHANNELS", 1)
    return build("capsnet", (1, 28, 28), 10, seed=1).eval()


@pytest.fixture
def few(network):
    x = torch.rand(5, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    return x, network(x).argmax(1)


def short(kind):
    if issubclass(kind, CarliniWagner):
        return kind(steps=4, searches=2, initial_c=1.0)
    if issubclass(kind, Boundary):
        return kind(steps=12, halvings=2)
    if issubclass(kind, DeepFool):
        return kind(steps=3)
    return kind(epsilon=0.1) if kind.one_step else kind(epsilon=0.1, steps=3)


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("bucket", [2, 4, 128])
def test_ball_box_verdict_and_model(kind, precision, bucket, network, few):
    x, y = few
    before = {name: value.clone() for name, value in network.state_dict().items()}
    attack = short(kind)
    detector = ReconstructionDetector(network)
    result = attack(network, x, y, detector=detector, batch_size=bucket, precision=precision)
    assert result.x_adv.dtype == torch.float32
    assert 0 <= result.x_adv.min() <= result.x_adv.max() <= 1
    if (bound := attack.bound(x)) is not None:
        assert (norms(result.x_adv - x, "linf") <= bound.flatten() + 1e-6).all()
        assert not torch.equal(result.x_adv, x)
    assert torch.equal(result.prediction, network(result.x_adv).argmax(1))
    assert torch.equal(result.success, result.prediction != y)
    assert all(parameter.requires_grad and parameter.grad is None for parameter in network.parameters())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    again = attack(network, x, y, detector=detector, batch_size=bucket, precision=precision)
    assert torch.equal(again.x_adv, result.x_adv)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_buckets_change_no_more_than_rounding_does(precision, network, few):
    """The sign of a gradient that nearly vanishes may flip; that is a few pixels in a hundred."""
    x, y = few
    attack = PGD(epsilon=0.1, step_size=0.01, steps=3)
    whole, single, pairs = (
        attack(network, x, y, batch_size=size, precision=precision).x_adv for size in (128, 1, 2)
    )
    for other in (single, pairs):
        assert ((other - whole).abs() > 1e-6).float().mean() < 0.05


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_stop_between_and_inside_buckets(precision, network, few):
    x, y = few
    attack = ReconstructivePGD(epsilon=0.1, steps=3)
    result = attack(
        network,
        x,
        y,
        detector=ReconstructionDetector(network),
        batch_size=2,
        precision=precision,
        on_step=lambda progress: progress.step == 4,
    )
    assert result.stopped
    assert result.steps.tolist() == [3, 3, 1, 1, 0]
    assert torch.equal(result.x_adv[4:], x[4:])
    assert torch.equal(result.prediction, network(result.x_adv).argmax(1))
