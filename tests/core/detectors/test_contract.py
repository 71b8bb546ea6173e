"""The clauses of the contract that every detector holds, whatever it looks at."""

import pytest
import torch

from core.attacks import ReconstructivePGD
from core.detectors import DETECTORS, Detector, MinimumPValue, PCADetector, ReconstructionDetector
from core.metrics import rate, threshold_at
from core.models.packing import pack, unpack
from core.replay import OnTheDevice
from core.runtime import untouched


class Smoothed(ReconstructionDetector):
    """A random score: the distance of an image with noise."""

    random = True

    def measure(self, x, draw):
        return super().evasion_loss((x + 0.1 * draw.normal(x)).clamp(0, 1))


def together(model) -> MinimumPValue:
    return MinimumPValue({"a": ReconstructionDetector(model), "b": PCADetector()})


KINDS = {**DETECTORS, "together": together, "random": Smoothed}


def fitted(kind, model, train, held_out) -> Detector:
    """A detector that has learnt what it can."""
    detector = kind(model)
    if not isinstance(detector, MinimumPValue):
        return detector.fit(train)
    for member in detector.members().values():
        member.fit(train)
    return detector.fit(held_out)


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def watching(kind, tiny, train, held_out) -> Detector:
    return fitted(kind, tiny, train, held_out)


def test_scores_have_no_gradient_and_leave_all_as_it_was(watching, tiny, test):
    tiny.train()
    watching.train()
    x = test.x().requires_grad_()
    state = torch.get_rng_state()
    score = watching.score(x)
    assert score.shape == (24,)
    assert not score.requires_grad
    assert score.isfinite().all()
    assert score.std() > 0
    assert tiny.training
    assert all(module.training for module in watching.modules())
    assert all(weights.requires_grad for weights in tiny.parameters())
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(watching.score(x), score), "dropout was active"


def test_alone_equals_in_any_batch(watching, test):
    x, keys = test.x(), torch.arange(24) * 7 % 24
    score = watching.score(x, index=keys, seed=3)
    assert torch.allclose(watching.score(x, index=keys, seed=3, batch_size=5), score, atol=1e-5)
    order = torch.randperm(24, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(watching.score(x[order], index=keys[order], seed=3), score[order], atol=1e-5)
    for row in (0, 11, 23):
        one = slice(row, row + 1)
        assert torch.allclose(watching.score(x[one], index=keys[one], seed=3), score[one], atol=1e-5)
    assert torch.equal(watching.score(x, index=keys, seed=4), score) == (not watching.random)


def test_the_evasion_loss_is_differentiable_and_rises_with_the_score(watching, test):
    noise = torch.rand(24, 3, 5, 7, generator=torch.Generator().manual_seed(5)) - 0.5
    x = (test.x() + torch.linspace(0, 0.8, 24).view(-1, 1, 1, 1) * noise).clamp(0, 1).requires_grad_()
    loss = watching.evasion_loss(x)
    (gradient,) = torch.autograd.grad(loss.sum(), x)
    assert loss.shape == (24,)
    assert gradient.isfinite().all()
    assert (gradient.flatten(1).abs().amax(1) > 0).all()
    here = x.detach()
    if not watching.random:
        order = loss.detach().argsort()
        assert (watching.score(here)[order].diff() >= -1e-6).all()
    step = 1e-3 * gradient / gradient.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    below = watching.score((here - step).clamp(0, 1), draws=20)
    assert (below < watching.score(here, draws=20)).float().mean() > 0.9


def test_the_evasion_loss_agrees_with_finite_differences(watching, test):
    x, step = test.x(slice(0, 4)).double(), 1e-6
    watching = watching.double()
    point = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(watching.evasion_loss(point).sum(), point)
    direction = torch.randn(x.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with torch.no_grad():
        rise = watching.evasion_loss(x + step * direction) - watching.evasion_loss(x - step * direction)
    expected = (gradient * direction).flatten(1).sum(1)
    assert torch.allclose(rise / (2 * step), expected, rtol=1e-3, atol=1e-5)


def test_an_attack_on_it_can_be_recorded(watching, test):
    x = test.x().requires_grad_()
    with OnTheDevice(), untouched(*watching.networks()):
        torch.autograd.grad(watching.evasion_loss(x, test.labels).sum(), x)


def test_what_it_learnt_is_packed_and_comes_back(watching, kind, tiny, test):
    stored = pack(watching.state_dict())
    first, second = kind(tiny), kind(tiny)
    first.load_state_dict(unpack(stored))
    second.load_state_dict(unpack(pack(first.state_dict())))
    x = test.x()
    assert torch.equal(first.score(x), second.score(x)), "what ships is what was computed with"
    assert torch.allclose(first.score(x).double(), watching.score(x).double(), rtol=0.02, atol=0.02)


def test_the_classifier_is_no_part_of_it(watching, tiny):
    watched = {weights.data_ptr() for weights in tiny.parameters()}
    own = [*watching.state_dict().values(), *watching.parameters()]
    assert not watched & {tensor.data_ptr() for tensor in own}
    assert not any(module is tiny for module in watching.modules())
    if not isinstance(watching, PCADetector):
        assert any(network is tiny for network in watching.networks())


def test_it_says_when_it_is_not_fitted(kind, tiny, images):
    detector = kind(tiny)
    if not list(detector.buffers()):
        assert detector.score(images).isfinite().all()
        return
    with pytest.raises(RuntimeError, match="expected a fitted .*, got one that has learnt nothing; call fit"):
        detector.score(images)


def test_the_same_fit_gives_the_same_scores(watching, kind, tiny, train, held_out, test):
    again = fitted(kind, tiny, train, held_out)
    assert again.fit(held_out) is again
    assert torch.equal(fitted(kind, tiny, train, held_out).score(test.x()), watching.score(test.x()))


def test_a_threshold_is_the_askers_and_holds_its_rate(watching, held_out):
    score = watching.score(held_out.x())
    flagged = rate(score > threshold_at(score, 0.1))
    assert flagged.k == 6
    assert not hasattr(watching, "threshold")


def test_it_can_be_evaded(watching, tiny, test):
    """Attacks that know it end lower than those that do not, and than where they began."""
    x = test.x()
    label = tiny(x).argmax(1)
    fields = {"epsilon": 0.1, "step_size": 0.02, "steps": 10}
    aware, blind = (
        ReconstructivePGD(beta=beta, **fields)(tiny, x, label, detector=watching).x_adv for beta in (0.3, 1.0)
    )
    scores = [watching.score(images, draws=20).mean() for images in (aware, blind)]
    assert scores[0] < scores[1]


def test_parts_are_scores_with_names(watching, test):
    parts = watching.parts(test.x())
    assert parts
    assert all(name and part.shape == (24,) and not part.requires_grad for name, part in parts.items())
    largest = torch.stack(list(parts.values())).amax(0)
    assert torch.allclose(largest, watching.score(test.x()))


def test_bad_calls_are_named(watching, images):
    with pytest.raises(
        ValueError, match="expected draws as 1 or more and one index for each of 6 images, got 0"
    ):
        watching.score(images, draws=0)
    with pytest.raises(ValueError, match="one index for each of 6 images, got 1 and shape \\(2,\\)"):
        watching.score(images, index=torch.arange(2))


def test_draws_are_averaged(tiny, test):
    detector, x = Smoothed(tiny), test.x()
    many = detector.score(x, draws=5, seed=2)
    assert not torch.allclose(many, detector.score(x, draws=1, seed=2))
    spread = [
        torch.stack([detector.score(x, draws=n, seed=s) for s in range(20)]).std(0).mean() for n in (1, 16)
    ]
    assert 3 < float(spread[0] / spread[1]) < 5.3, "standard errors fall with the root of the draws"


@pytest.mark.parametrize("name", DETECTORS)
def test_every_detector_says_what_a_page_shows_and_what_it_needs(name):
    assert DETECTORS[name].title
    assert set(DETECTORS[name].needs) <= {"reconstruction", "fit", "attacked"}
