import pytest
import torch

from core.models import build
from core.models.deeper_capsnet import DeeperCapsNet, DeeperEncoder

MAPS = {"paper": (16, 64, 32, 16), "compact": (16, 32, 16, 8)}
WIDTHS = {"paper": (128, 64), "compact": (32, 8)}
SHAPES = [(1, 28, 28), (3, 32, 32)]


def expected_parameters(shape, size):
    channels, height, _ = shape
    w, types = WIDTHS[size]
    convolutions = 9 * (channels * w + w * w + w * 2 * w + 2 * w * 2 * w) + 2 * (w + w + 2 * w + 2 * w)
    primary = (9 * 2 * w + 1) * 8 * types
    side = (height + 7) // 8
    routing = (types * side * side * 8 + 1) * 160
    a, b, c, d = MAPS[size]
    decoder = 161 * a * (height // 4) ** 2 + 2 * a
    decoder += (9 * a + 1) * b + (9 * b + 1) * c + (9 * c + 1) * d + (9 * d + 1) * channels
    return convolutions + primary + routing + decoder


@pytest.mark.parametrize("size", WIDTHS)
@pytest.mark.parametrize("shape", SHAPES)
def test_parameters_in_closed_form(shape, size):
    for name in ("capsnet_deeper", "capsnet_all"):
        model = build(name, shape, 10, size=size)
        assert sum(p.numel() for p in model.parameters()) == expected_parameters(shape, size)


def test_capsnet_all_decodes_every_capsule_and_the_conditional_one_the_chosen_alone():
    poses = torch.randn(2, 10, 16, generator=torch.Generator().manual_seed(0), requires_grad=True)
    label = torch.tensor([3, 7])
    reached = {}
    for name in ("capsnet_deeper", "capsnet_all"):
        model = build(name, (3, 32, 32), 10).eval()
        (gradient,) = torch.autograd.grad(model.decode(poses, label).square().sum(), poses)
        reached[name] = gradient.abs().sum(2) > 0
    assert reached["capsnet_all"].all()
    assert reached["capsnet_deeper"].nonzero().tolist() == [[0, 3], [1, 7]]


def test_the_two_share_everything_but_the_mask():
    x = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    masked, whole = (
        build(name, x.shape[1:], 10, seed=2).eval() for name in ("capsnet_deeper", "capsnet_all")
    )
    assert torch.equal(masked(x), whole(x))
    assert not torch.equal(masked.reconstruct(x), whole.reconstruct(x))


@pytest.mark.parametrize("shape", SHAPES)
def test_primary_capsules_start_neither_vanished_nor_saturated(shape):
    x = torch.rand(8, *shape, generator=torch.Generator().manual_seed(0))
    for size in WIDTHS:
        model = build("capsnet_deeper", shape, 10, size=size)
        assert isinstance(model, DeeperCapsNet)
        lengths = model.primary(x).norm(dim=2)
        assert 0.2 < lengths.mean() < 0.8


def test_a_primary_capsule_is_one_types_eight_maps_at_one_place():
    model = build("capsnet_deeper", (3, 32, 32), 10).eval()
    assert isinstance(model, DeeperCapsNet)
    assert isinstance(model.encoder, DeeperEncoder)
    x = torch.rand(1, 3, 32, 32)
    raw = model.encoder(x)[0, 16:24, 2, 1]  # type 2, row 2, column 1 of 4 x 4
    capsule = model.primary(x)[0, 2 * 16 + 2 * 4 + 1]
    assert torch.allclose(capsule / capsule.norm(), raw / raw.norm(), atol=1e-5)
