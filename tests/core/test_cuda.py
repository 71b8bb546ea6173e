"""What runs on a CUDA device gives what the CPU gives; without such a device there is nothing to ask."""

import copy

import pytest
import torch

from core import data
from core.attacks import ATTACKS, PGD, UNIVERSAL, GradientAttack, predict
from core.detectors import ReconstructionDetector
from core.geometry import norms
from core.models import MODELS, build
from core.models.fast.routing import RouteByAgreement
from core.models.routing import Routing
from core.replay import record
from core.runtime import configure
from core.training import Recipe, train
from tests.core.attacks.test_contract import small

if not torch.cuda.is_available():
    pytest.skip("no CUDA device", allow_module_level=True)
ALL = [pytest.param(kind, id=name) for name, kind in ATTACKS.items()]
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@pytest.fixture(autouse=True)
def configured():
    configure()


@pytest.mark.parametrize("kind", ALL)
def test_an_attack_ends_where_it_ends_on_the_cpu(kind, tiny, images, labels):
    keys = torch.tensor([7, 3, 11, 2, 5, 13])
    call = {"index": keys, "precision": torch.float32, "detector": ReconstructionDetector(tiny)}
    here = small(kind)(tiny, images, labels, **call)
    there = small(kind)(tiny.cuda(), images.cuda(), labels.cuda(), batch_size=4, **call)
    assert there.x_adv.is_cuda
    assert torch.equal(there.success.cpu(), here.success)
    assert torch.allclose(there.x_adv.cpu(), here.x_adv, atol=1e-4)


@pytest.fixture
def recorded(monkeypatch) -> list[bool]:
    """Whether each attempt to record came to its end."""
    tried: list[bool] = []

    def watched(function, inputs):
        tried.append(False)
        recording = record(function, inputs)
        tried[-1] = True
        return recording

    monkeypatch.setattr("core.replay.record", watched)
    return tried


@pytest.mark.parametrize("kind", [kind for kind in ALL if not ATTACKS[kind.id].one_step])
def test_an_attack_is_recorded(kind, tiny, images, labels, recorded):
    detector = ReconstructionDetector(tiny.cuda())
    small(kind)(tiny, images.cuda(), labels.cuda(), detector=detector, precision=torch.bfloat16)
    assert recorded
    assert all(recorded)


class Looking(torch.nn.Module):
    """A classifier that looks at values on its way."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x) * (2.0 if x.max().item() > 0.5 else 1.0)


def test_what_cannot_be_recorded_is_attacked_all_the_same(tiny, images, labels, recorded):
    here = small(PGD)(Looking(tiny), images, labels, precision=torch.float32)
    there = small(PGD)(Looking(tiny.cuda()), images.cuda(), labels.cuda(), precision=torch.float32)
    assert torch.allclose(there.x_adv.cpu(), here.x_adv, atol=1e-4)
    assert recorded == [False]
    torch.cuda.empty_cache()


@pytest.mark.parametrize("precision", PRECISIONS.values(), ids=PRECISIONS)
@pytest.mark.parametrize("kind", ALL)
def test_an_attack_keeps_its_contract(kind, precision, tiny, images, labels):
    tiny, images, labels = tiny.cuda(), images.cuda(), labels.cuda()
    seen: list[int] = []
    call = {"precision": precision, "detector": ReconstructionDetector(tiny)}
    result = small(kind)(tiny, images, labels, on_step=lambda progress: seen.append(progress.step), **call)
    assert seen == sorted(seen)
    assert result.x_adv.dtype == torch.float32
    assert 0 <= float(result.x_adv.min()) <= float(result.x_adv.max()) <= 1
    assert torch.equal(result.success, tiny(result.x_adv).argmax(1) != labels)
    if issubclass(kind, GradientAttack):
        assert norms(result.x_adv - images, "linf").max() <= 0.1 + 1e-6
    stopped = small(kind)(tiny, images, labels, on_step=lambda progress: True, **call)
    assert stopped.stopped


@pytest.mark.parametrize("kind", UNIVERSAL.values(), ids=UNIVERSAL)
def test_universal_perturbations_are_those_of_the_cpu(kind, tiny):
    x = torch.rand(24, 3, 5, 7, generator=torch.Generator().manual_seed(5))
    y = tiny(x).argmax(1)
    attack = kind(steps=6, images=6, step_size=0.03, accuracy=0.4)
    parts = [torch.arange(0, 16), torch.arange(8, 24)]
    here = attack(tiny, x, y, parts=parts, seeds=[3, 1], precision=torch.float32)
    there = attack(tiny.cuda(), x.cuda(), y.cuda(), parts=parts, seeds=[3, 1], precision=torch.float32)
    assert torch.allclose(there.perturbation.cpu(), here.perturbation, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_reads_and_pulls_back_as_on_the_cpu(name):
    shape = (3, 32, 32) if name in ("capsnet_deeper", "capsnet_all", "deepcaps") else (1, 28, 28)
    here = build(name, shape, 10).eval().requires_grad_(False)
    there = copy.deepcopy(here).cuda()
    x = torch.rand(5, *shape, generator=torch.Generator().manual_seed(0))
    pull = torch.randn(5, 10, generator=torch.Generator().manual_seed(1))
    logits, gradients = [], []
    for model, where in ((here.double(), "cpu"), (there, "cuda")):
        point = x.to(where, next(model.parameters()).dtype).requires_grad_()
        out = model(point)
        logits.append(out.detach().cpu().double())
        (gradient,) = torch.autograd.grad(out, point, pull.to(out))
        gradients.append(gradient.cpu().double())
    assert (logits[0] - logits[1]).norm() < 1e-4 * logits[0].norm()
    assert (gradients[0] - gradients[1]).norm() < 1e-3 * gradients[0].norm()
    if hasattr(here, "reconstruct"):
        rebuilt = here.reconstruct(x.double()), there.reconstruct(x.cuda()).cpu().double()
        assert (rebuilt[0] - rebuilt[1]).abs().max() < 1e-4


@pytest.mark.parametrize("batch", [1, 9, 600])
def test_routing_is_the_formula_in_double_precision(batch):
    generator = torch.Generator().manual_seed(2)
    layer = Routing(216, 8, 10, 16)
    u = torch.rand(batch, 216, 8, generator=generator) * 0.3
    pull = torch.randn(batch, 10, 16, generator=generator)
    found = []
    for dtype, where in ((torch.float64, "cpu"), (torch.float32, "cuda")):
        point = u.to(where, dtype).requires_grad_()
        weight = layer.capsules_last().detach().to(where, dtype)
        bias = layer.bias.detach().squeeze(1).to(where, dtype)
        if where == "cuda":
            s = copy.deepcopy(layer).cuda().requires_grad_(False)(point)
        else:
            s = RouteByAgreement.apply(point.transpose(1, 2).contiguous(), weight, bias, 3)
        (gradient,) = torch.autograd.grad(s, point, pull.to(where, dtype))
        found.append((s.detach().cpu().double(), gradient.cpu().double()))
    for here, there in zip(*found, strict=True):
        assert (here - there).norm() < 1e-5 * here.norm()


def test_convolutions_are_in_single_precision():
    convolution = torch.nn.Conv2d(64, 64, 9).double()
    x = torch.rand(4, 64, 20, 20, dtype=torch.float64)
    exact = convolution(x)
    found = convolution.float().cuda()(x.float().cuda()).cpu()
    assert (found - exact).norm() < 1e-5 * exact.norm()


def test_training_learns():
    digits = data.load("digits")
    few = torch.arange(512)
    model = build("capsnet", (1, 28, 28), 10)
    recipe = Recipe(loss="margin", epochs=8, batch_size=32, warmup=10)
    history = train(
        model,
        data.Split(digits.train.images[few], digits.train.labels[few]),
        digits.validation,
        recipe,
        device="cuda",
    ).epochs
    assert history[-1]["squared_error"] < 0.8 * history[0]["squared_error"]
    x, y = digits.test.x(slice(0, 200)).cuda(), digits.test.labels[:200].cuda()
    assert (predict(model, x) == y).float().mean() > 0.8
