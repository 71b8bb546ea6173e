import pytest
import torch

from core.models import build, spec
from core.models.capsules import squash
from core.models.dcnet import ConvRouting, DCNet
from core.models.michels import MichelsCapsNet
from core.objectives import margin_loss
from core.training import Recipe, losses

GREY, COLOUR = (1, 28, 28), (3, 32, 32)


def parameters(model) -> int:
    return sum(p.numel() for p in model.parameters())


def capsnet_parameters(shape, convolutions, types, decoder):
    """Of convolutions (kernel, maps), each with a normalisation, 9x9 capsules, routing and decoder."""
    maps, side, _ = shape
    count = 0
    for kernel, wide in convolutions:
        count += (kernel * kernel * maps + 1) * wide + 2 * wide
        maps, side = wide, side - kernel + 1
    grid = (side - 9) // 2 + 1
    count += (81 * maps + 1) * 8 * types + (grid * grid * types * 8 + 1) * 160
    first, second = decoder
    return count + 161 * first + (first + 1) * second + (second + 1) * shape[0] * shape[1] * shape[2]


@pytest.mark.parametrize(
    ("dataset", "shape", "expected"),
    [
        ("mnist", GREY, (GREY, [(9, 64)], 32, (512, 1024))),
        ("fashion_mnist", GREY, (GREY, [(3, 32), (3, 32)], 16, (512, 1024))),
        ("svhn", COLOUR, (COLOUR, [(5, 64), (5, 256)], 64, (2048, 4096))),
    ],
)
def test_capsule_networks_have_the_papers_sizes(dataset, shape, expected):
    size = spec("michels_capsnet").size_for(dataset, "paper")
    assert parameters(build("michels_capsnet", shape, 10, size=size)) == capsnet_parameters(*expected)


def test_convnets_have_the_papers_sizes():
    def count(channels, layers, places):
        maps, total = channels, 0
        for kernel, wide in layers:
            total += (kernel * kernel * maps + 1) * wide
            maps = wide
        return total + 2 * (32 + 64 + 128) + (128 * places + 1) * 1024 + 1025 * 10

    once, twice = [(5, 32), (3, 64), (3, 128)], [(5, 32), (5, 32), (3, 64), (3, 64), (3, 128)]
    assert parameters(build("michels_convnet", GREY, 10, size="paper")) == count(1, once, 9)
    size = spec("michels_convnet").size_for("cifar10", "paper")
    assert parameters(build("michels_convnet", COLOUR, 10, size=size)) == count(3, twice, 16)


@pytest.mark.parametrize("dataset", ["digits", "mnist", "fashion_mnist"])
@pytest.mark.parametrize("name", ["michels_convnet", "michels_capsnet"])
def test_compact_ones_are_small(name, dataset):
    assert parameters(build(name, GREY, 10, size=spec(name).size_for(dataset, "compact"))) < 250_000


def test_sizes_are_named_and_asked_for():
    assert spec("michels_capsnet").size_for("svhn", "paper") == "paper-svhn"
    assert spec("michels_capsnet").size_for("mnist", "compact") == "compact"
    assert spec("capsnet").size_for("svhn", "paper") == "paper"
    with pytest.raises(ValueError, match="expected a size among paper, paper-fashion_mnist, .*got 'huge'"):
        build("michels_capsnet", GREY, 10, size="huge")


@pytest.mark.parametrize("dataset", ["mnist", "fashion_mnist", "svhn"])
def test_primary_capsules_start_neither_vanished_nor_saturated(dataset):
    shape = COLOUR if dataset == "svhn" else GREY
    x = torch.rand(8, *shape, generator=torch.Generator().manual_seed(0))
    model = build("michels_capsnet", shape, 10, size=spec("michels_capsnet").size_for(dataset, "compact"))
    assert isinstance(model, MichelsCapsNet)
    assert 0.2 < model.primary(x).norm(dim=2).mean() < 0.8


@pytest.fixture
def dcnet() -> DCNet:
    model = build("michels_capsnet", COLOUR, 10, size="compact-cifar10")
    assert isinstance(model, DCNet)
    return model


def test_routing_between_types_is_that_of_a_plain_reference():
    routing = ConvRouting(3, 4, 5, 6, kernel=3, stride=2)
    maps = torch.randn(2, 12, 7, 7, generator=torch.Generator().manual_seed(0))
    got = routing(maps)
    assert got.shape == (2, 5, 6, 3, 3)
    weight = routing.votes.weight.view(3, 5, 6, 4, 3, 3)
    for row, column in ((0, 0), (1, 2)):
        patch = maps.view(2, 3, 4, 7, 7)[..., 2 * row : 2 * row + 3, 2 * column : 2 * column + 3]
        votes = torch.einsum("bipkl,ijdpkl->bijd", patch, weight)
        agreement = torch.zeros(2, 3, 5)
        for last in (False, False, True):
            s = torch.einsum("bij,bijd->bjd", agreement.softmax(2), votes) + 0.1
            if last:
                assert torch.allclose(got[..., row, column], s, atol=1e-5)
            agreement = agreement + torch.einsum("bijd,bjd->bij", votes, squash(s))


def test_none_of_the_above_counts_in_training_alone(dcnet):
    x, y = torch.rand(4, *COLOUR), torch.tensor([0, 3, 9, 5])
    assert dcnet.eval()(x).shape == (4, 10)
    assert dcnet.poses(x).shape == (4, 10, 12)
    trained, poses = dcnet.train().logits_and_poses(x)
    assert trained.shape == (4, 11)
    assert poses.shape == (4, 10, 12)
    assert dcnet.reconstruct(x, y).shape == x.shape


def test_the_margin_loss_keeps_the_extra_capsule_short(dcnet):
    x, y = torch.rand(4, *COLOUR), torch.tensor([0, 3, 9, 5])
    dcnet.train()
    torch.manual_seed(0)
    loss, _ = losses(dcnet, x, y, Recipe(absent=1.0))
    torch.manual_seed(0)  # of the dropout
    logits = dcnet(x)
    assert torch.allclose(loss, margin_loss(logits, y, absent=1.0).mean())
    shorter = torch.cat([logits[:, :10], logits[:, 10:] - 5], 1)
    assert margin_loss(shorter, y, absent=1.0).mean() < loss


def test_the_last_capsules_of_a_layer_are_dropped_before_the_next(dcnet):
    dcnet.eval()
    x = torch.rand(2, *COLOUR)
    before = dcnet(x)
    with torch.no_grad():
        # All transforms into the extra type of the middle layer: they only compete for the coupling.
        dcnet.middle.bias[-1] += 100
        dcnet.head.bias[-1] += 100
    assert torch.isfinite(dcnet(x)).all()
    assert not torch.equal(dcnet(x), before)
    assert dcnet.head.inputs == dcnet.middle.outputs - 1
    assert dcnet.head.outputs == 11


def test_a_recipe_keeps_its_record_where_later_fields_are_at_their_default():
    record = Recipe().record()
    assert "absent" not in record
    assert "weight_decay" not in record
    assert Recipe(absent=1.0).record() == {**record, "absent": 1.0}
    assert Recipe(weight_decay=0.1).digest() != Recipe().digest()


def test_absent_classes_weigh_what_the_recipe_says():
    logits, y = torch.zeros(1, 3), torch.tensor([1])  # lengths of one half
    assert margin_loss(logits, y, absent=1.0).item() == pytest.approx(0.4**2 * 3)
    assert margin_loss(logits, y).item() == pytest.approx(0.4**2 * 2)
