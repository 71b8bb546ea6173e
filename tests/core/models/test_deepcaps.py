import pytest
import torch
from torch.nn import functional as F

from core.models import build
from core.models.deepcaps import CapsuleConv2d, DeepCaps, Routing3d


def plain_squash(s):
    return s * s.norm() / (1 + s.norm() ** 2)


def plain_routing3d(u, kernel, bias, iterations):
    """3D routing of one image: every coupling and every vote by itself. u is (I, D, h, w)."""
    inputs, dim, height, width = u.shape
    outputs = len(bias)
    votes = torch.stack([F.conv2d(u[i][None], kernel, padding=1)[0] for i in range(inputs)])
    votes = votes.view(inputs, outputs, dim, height, width)
    b = torch.zeros(inputs, outputs, height, width, dtype=u.dtype)
    v = []
    for _ in range(iterations):
        k = torch.stack([b[i].exp() / b[i].exp().sum() for i in range(inputs)])
        v = []
        for j in range(outputs):
            s = bias[j].expand(dim, height, width)
            for i in range(inputs):
                s = s + k[i, j] * votes[i, j]
            v.append(plain_squash(s))
        rows = [[(votes[i, j] * v[j]).sum(0) for j in range(outputs)] for i in range(inputs)]
        b = b + torch.stack([torch.stack(row) for row in rows])
    return torch.stack(v)


@pytest.mark.parametrize("iterations", [1, 2, 3])
def test_3d_routing_matches_a_plain_reference(iterations):
    torch.manual_seed(0)
    routing = Routing3d(5, 3, 4, iterations).double()
    maps = 3 * torch.randn(2, 5 * 4, 3, 2, dtype=torch.float64)
    maps.requires_grad_()
    ours = routing(maps)
    plain = [
        plain_routing3d(u.view(5, 4, 3, 2), routing.votes.weight, routing.bias, iterations) for u in maps
    ]
    theirs = torch.stack(plain).flatten(1, 2)
    assert ours.shape == (2, 3 * 4, 3, 2)
    assert torch.allclose(ours, theirs, atol=1e-6)
    pull = torch.randn_like(ours)
    inputs = [maps, routing.votes.weight, routing.bias]
    mine, reference = (torch.autograd.grad((v * pull).sum(), inputs) for v in (ours, theirs))
    for a, b in zip(mine, reference, strict=True):
        assert torch.allclose(a, b, atol=1e-6), "a stop-gradient inside routing would show here"


def test_3d_routing_moves_coupling_to_where_votes_agree():
    torch.manual_seed(0)
    once, thrice = (Routing3d(5, 3, 4, n) for n in (1, 3))
    thrice.load_state_dict(once.state_dict())
    maps = 3 * torch.randn(2, 20, 3, 2)
    assert (once(maps) - thrice(maps)).abs().max() > 1e-3


def test_a_convolutional_capsule_is_the_neighbouring_maps_of_its_type():
    torch.manual_seed(0)
    layer = CapsuleConv2d(3, 5, 4, stride=2).double()
    x = torch.randn(2, 3, 7, 6, dtype=torch.float64)
    raw = F.conv2d(x, layer.weight, stride=2, padding=1)
    ours = layer(x)
    assert ours.shape == (2, 20, 4, 3)
    assert torch.allclose(ours[1, 8:12, 3, 1], plain_squash(raw[1, 8:12, 3, 1]))


def test_lengths_survive_many_layers():
    torch.manual_seed(0)
    x = F.normalize(torch.randn(4, 24, 8, 8, 4), dim=-1).permute(0, 1, 4, 2, 3).flatten(1, 2) / 2
    for _ in range(12):
        x = CapsuleConv2d(96, 24, 4)(x)
    assert 0.2 < x.unflatten(1, (24, 4)).norm(dim=2).mean() < 0.95


def expected_parameters(shape, width, types, dims, pose, maps, enlarge):
    channels, height, _ = shape
    first, dim = dims
    down = 9 * types * first * (width + 3 * types * first)
    down += 9 * types * dim * (types * first + 3 * types * dim)
    down += 9 * types * dim * 4 * types * dim
    down += (
        9 * types * dim * 3 * types * dim + (9 * dim + 1) * types * dim
    )  # the 3D routing: one kernel for all
    sides = [-(-height * enlarge // n) for n in (8, 16)]
    head = (types * (sides[0] ** 2 + sides[1] ** 2) * dim + 1) * 10 * pose
    a, b, c, d = maps
    decoder = (pose + 1) * a * (height // 4) ** 2 + 2 * a
    decoder += (9 * a + 1) * b + (9 * b + 1) * c + (9 * c + 1) * d + (9 * d + 1) * channels
    return (9 * channels + 1) * width + 2 * width + down + head + decoder


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32)])
def test_parameters_in_closed_form(shape):
    count = {
        size: sum(p.numel() for p in build("deepcaps", shape, 10, size=size).parameters()) for size in SIZES
    }
    assert count == {size: expected_parameters(shape, **fields) for size, fields in SIZES.items()}


SIZES = {
    "paper": {"width": 128, "types": 32, "dims": (4, 8), "pose": 32, "maps": (16, 64, 32, 16), "enlarge": 2},
    "compact": {"width": 32, "types": 6, "dims": (4, 8), "pose": 16, "maps": (16, 32, 16, 8), "enlarge": 1},
}


def test_paper_size_has_the_papers_layers():
    model = build("deepcaps", (3, 32, 32), 10, size="paper").eval()
    assert isinstance(model, DeepCaps)
    seen = []
    for module in (model.stem, *model.blocks):
        module.register_forward_hook(lambda _module, _args, out: seen.append(tuple(out.shape[1:])))
    poses = model.poses(torch.rand(1, 3, 32, 32))
    assert seen == [(128, 64, 64), (128, 32, 32), (256, 16, 16), (256, 8, 8), (256, 4, 4)]
    assert model.head.inputs == 32 * (8 * 8 + 4 * 4)
    assert poses.shape == (1, 10, 32)


def test_the_decoder_is_given_one_capsule_and_not_which():
    model = build("deepcaps", (3, 32, 32), 10).eval()
    poses = torch.randn(2, 10, 16)
    swapped = poses.flip(1)
    label = torch.tensor([3, 7])
    assert torch.equal(model.decode(poses, label), model.decode(swapped, 9 - label))
    assert not torch.equal(model.decode(poses, label), model.decode(poses, 9 - label))
