import time

import foolbox
import pytest
import torch
from torch import nn

from core.models import MODELS, SIZES, ReconstructingNet, build
from core.models.capsnet import CapsNet
from core.models.cnn import ConvNet
from core.models.packing import pack, unpack
from core.objectives import reconstruction_distance

pytestmark = pytest.mark.slow

RECONSTRUCTING = ("capsnet", "cnn_cr", "cnn_r")
DEEPER = ("capsnet_deeper", "capsnet_all", "deepcaps")
SHAPES = [(1, 28, 28), (3, 32, 32)]


def parameters(model) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shape", SHAPES)
def test_three_models_have_equal_parameter_counts(size, shape):
    counts = {parameters(build(name, shape, 10, size=size)) for name in RECONSTRUCTING}
    assert len(counts) == 1


def test_sizes_are_the_papers_and_the_budgets():
    paper = build("capsnet", (1, 28, 28), 10, size="paper")
    assert parameters(paper) == 8_215_728
    assert paper.head.weight.numel() == 1152 * 10 * 8 * 16
    three = 3 * 2 * parameters(build("capsnet", (1, 28, 28), 10))
    assert three < 8 * 2**20, "three float16 models of one data set fit in 8 MiB"


def test_svhn_sized_models_have_the_papers_layers_and_fit_the_budget():
    paper = build("capsnet", (3, 32, 32), 10, size="paper")
    assert isinstance(paper, CapsNet)
    assert paper.capsules == 2048
    convolutions = 256 * (81 * 3 + 1) + 256 * (81 * 256 + 1)
    decoder = 161 * 512 + 513 * 1024 + 1025 * 3072
    assert parameters(paper) == convolutions + 2048 * 8 * 160 + 160 + decoder == 11_749_280
    compact = 32 * (81 * 3 + 1) + 32 * (81 * 32 + 1) + 256 * 8 * 160 + 160
    compact += 161 * 16 * 8 * 8 + 2 * 16 + 145 * 32 + 289 * 16 + 145 * 8 + 73 * 3
    assert parameters(build("capsnet", (3, 32, 32), 10)) == compact


@pytest.mark.parametrize("name", MODELS)
def test_foolbox_takes_every_model_as_it_is(name):
    model = build(name, (1, 28, 28), 10).eval()
    x = torch.rand(3, 1, 28, 28)
    peer = foolbox.PyTorchModel(model, bounds=(0, 1))
    assert torch.allclose(peer(x), model(x), atol=1e-6)
    assert model(x).shape == (3, 10)
    advs, _, _ = foolbox.attacks.LinfFastGradientAttack()(peer, x, model(x).argmax(1), epsilons=0.1)
    assert not torch.equal(advs, x)


@pytest.mark.parametrize("name", RECONSTRUCTING + DEEPER)
@pytest.mark.parametrize("shape", SHAPES)
def test_reconstruct_takes_the_winner_unless_told(name, shape):
    torch.manual_seed(0)
    model = build(name, shape, 10, seed=4).eval()
    x = torch.rand(4, *shape)
    winner = model(x).argmax(1)
    assert model.poses(x).shape == (4, 10, 16)
    assert model.reconstruct(x).shape == x.shape
    assert torch.equal(model.reconstruct(x), model.reconstruct(x, winner))
    other = model.reconstruct(x, (winner + 1) % 10)
    assert torch.equal(other, model.reconstruct(x)) != model.conditional
    assert model.conditional == (name not in ("cnn_r", "capsnet_all")), "these two alone ignore the class"
    distance = (model.reconstruct(x) - x).flatten(1).norm(dim=1)
    assert torch.allclose(reconstruction_distance(model, x), distance)


@pytest.mark.parametrize("name", RECONSTRUCTING + DEEPER)
@pytest.mark.parametrize("shape", SHAPES)
def test_input_gradients_are_finite_and_reach_every_pixel(name, shape):
    model = build(name, shape, 10, seed=1).eval().requires_grad_(False)
    seen = slice(None) if name in DEEPER else slice(-1)  # the stride of 9x9 windows ends before the last row
    x = torch.rand(3, *shape, generator=torch.Generator().manual_seed(0))
    label = torch.tensor([1, 5, 8])
    for loss in (lambda p: model(p).gather(1, label[:, None]), lambda p: model.reconstruct(p, label)):
        for point in (x, torch.full_like(x, 0.25)):
            point = point.clone().requires_grad_()
            (gradient,) = torch.autograd.grad(loss(point).square().sum(), point)
            assert torch.isfinite(gradient).all()
            assert (gradient[..., seen, seen].abs().amax((0, 1)) > 0).all()


@pytest.mark.parametrize("name", RECONSTRUCTING + DEEPER)
def test_images_do_not_see_each_other_in_evaluation(name):
    model = build(name, (3, 32, 32), 10, seed=1).eval()
    x = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(model(x)[2:3], model(x[2:3]), atol=1e-4)
    assert torch.allclose(model.reconstruct(x)[2:3], model.reconstruct(x[2:3]), atol=1e-4)


def test_colour_images_are_brought_about_zero_and_grey_ones_are_not():
    for shape, middle in zip(SHAPES, (0.0, 0.5), strict=True):
        model = build("convnet", shape, 10).eval()
        assert isinstance(model, ConvNet)
        nn.init.zeros_(model.encoder.conv1.bias)
        x = torch.full((1, *shape), middle)
        assert model.encoder(x)[0, :, 0, 0].tolist() == model.encoder.conv2.bias.tolist()
        assert model.encoder(x + 0.25)[0, :, 0, 0].tolist() != model.encoder.conv2.bias.tolist()


@pytest.mark.parametrize("name", DEEPER)
def test_weights_survive_float16(name):
    """As they ship: running means and variances of normalisation, and its counter, are rounded too."""
    model = build(name, (3, 32, 32), 10, seed=1)
    x = torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    model.reconstruct(x)  # in training mode, so that there are running means
    again = build(name, (3, 32, 32), 10, seed=2).eval()
    again.load_state_dict(unpack(pack(model.eval().state_dict())))
    assert torch.allclose(again(x), model(x), atol=0.05)
    assert torch.allclose(again.reconstruct(x), model.reconstruct(x), atol=0.01)


def test_masking_hides_the_other_groups():
    model = build("capsnet", (1, 28, 28), 10).eval()
    poses, label = torch.randn(2, 10, 16), torch.tensor([3, 7])
    changed = poses.clone()
    changed[0, [0, 9]] += 1
    changed[1, [0, 9]] += 1
    assert torch.equal(model.decode(poses, label), model.decode(changed, label))


def test_a_primary_capsule_is_one_types_eight_maps_at_one_place():
    model = build("capsnet", (1, 28, 28), 10)
    assert isinstance(model, CapsNet)
    x = torch.rand(1, 1, 28, 28)
    maps = model.encoder(x)[0]  # (48, 6, 6)
    capsule = model.primary(x)[0, 2 * 36 + 4 * 6 + 5]  # type 2, row 4, column 5
    raw = maps[16:24, 4, 5] / model.types
    assert torch.allclose(capsule / capsule.norm(), raw / raw.norm(), atol=1e-5)


def test_the_input_gradient_passes_through_all_routing_iterations():
    model = build("capsnet", (1, 28, 28), 10).eval().requires_grad_(False)
    x = torch.rand(2, 1, 28, 28, requires_grad=True)
    full = torch.autograd.grad(model(x).sum(), x)[0]
    model.head.iterations = 1
    assert not torch.allclose(torch.autograd.grad(model(x).sum(), x)[0], full)


def test_seeds_fix_the_weights_and_leave_the_global_state():
    state = torch.get_rng_state()
    first, again, other = (build("cnn_cr", (1, 28, 28), 10, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first.head.weight, again.head.weight)
    assert not torch.equal(first.head.weight, other.head.weight)


@pytest.mark.parametrize("name", RECONSTRUCTING)
def test_a_compact_reconstructive_step_is_six_times_cheaper(name):
    """One step is two input gradients; the best of alternating repeats, since machines are noisy."""
    x, label = torch.rand(8, 1, 28, 28), torch.arange(8)
    models: dict[str, ReconstructingNet] = {}
    for size in SIZES:
        models[size] = build(name, (1, 28, 28), 10, size=size).eval().requires_grad_(False)
        models[size].to(memory_format=torch.channels_last)

    def step(model) -> float:
        began = time.process_time()
        for loss in (lambda p: model(p)[:, 0], lambda p: reconstruction_distance(model, p, label)):
            point = x.clone().requires_grad_()
            torch.autograd.grad(loss(point).sum(), point)
        return time.process_time() - began

    times = [[step(models[size]) for size in SIZES] for _ in range(24)]
    paper, compact = (min(column) for column in zip(*times, strict=True))
    assert paper / compact >= 6
