"""The registry: what it says of a model is so, whoever asks."""

import pytest
import torch

from core.data import SPECS
from core.figures.colours import ACCESS_MARKERS
from core.models import MODELS, SIZES, ReconstructingNet, build, spec, title_of
from core.training import Recipe, losses

pytestmark = pytest.mark.slow

OTHER_DATA = {"grey": (1, 28, 28), "photographs": (3, 32, 32)}
"""Shapes that no data set of a paper stands behind: there, the sizes are those of every model."""
SHAPES = {name: known.shape for name, known in SPECS.items()} | OTHER_DATA
MARKERS = {
    "circle", "square", "cross", "diamond",
    "triangle-up", "triangle-down", "triangle-right", "triangle-left",
}  # fmt: skip


def built(name, dataset, size="compact", n_classes=10):
    return build(name, SHAPES[dataset], n_classes, spec(name).size_for(dataset, size), seed=1)


@pytest.mark.parametrize("n_classes", [10, 100])
@pytest.mark.parametrize("dataset", SHAPES)
@pytest.mark.parametrize("name", MODELS)
def test_a_model_reads_every_data_set_and_as_many_classes_as_it_has(name, dataset, n_classes):
    model = built(name, dataset, n_classes=n_classes).eval()
    x = torch.rand(2, *SHAPES[dataset])
    assert model(x).shape == (2, n_classes)


@pytest.mark.parametrize("dataset", SHAPES)
@pytest.mark.parametrize("name", MODELS)
def test_every_size_builds_and_the_papers_is_the_larger(name, dataset):
    with torch.device("meta"):
        paper, compact = (sum(p.numel() for p in built(name, dataset, size).parameters()) for size in SIZES)
    assert paper > 2 * compact


@pytest.mark.parametrize("name", MODELS)
def test_no_size_is_out_of_reach(name):
    """A name such as "paper-svnh" would never be asked for."""
    reached = {spec(name).size_for(dataset, size) for dataset in SHAPES for size in SIZES}
    assert reached == set(MODELS[name].sizes)
    assert MODELS[name].rgb_sizes.keys() <= MODELS[name].sizes.keys()


def test_colour_images_have_the_sizes_made_for_them():
    widths = [build("capsnet", shape, 10).encoder.conv1.out_channels for shape in OTHER_DATA.values()]
    assert widths == [64, 32]
    assert build("capsnet", (3, 32, 32), 10, "paper").encoder.conv1.out_channels == 256


@pytest.mark.parametrize("dataset", SPECS)
@pytest.mark.parametrize("name", MODELS)
def test_conditional_is_what_the_network_does(name, dataset):
    conditional, model = MODELS[name].conditional, built(name, dataset).eval()
    assert isinstance(model, ReconstructingNet) == hasattr(model, "reconstruct") == (conditional is not None)
    if not isinstance(model, ReconstructingNet):
        return
    assert model.conditional is conditional
    x = torch.rand(2, *SHAPES[dataset])
    of_each = [model.reconstruct(x, torch.full((2,), label)) for label in (3, 4)]
    assert all(image.shape == x.shape for image in of_each)
    assert torch.equal(*of_each) != conditional


@pytest.mark.parametrize("name", MODELS)
def test_a_model_can_be_trained_with_its_loss(name):
    torch.manual_seed(0)
    model = built(name, "svhn")
    x, y = torch.rand(4, 3, 32, 32), torch.tensor([0, 3, 3, 9])
    loss, _ = losses(model, x, y, Recipe(loss=MODELS[name].loss))
    loss.backward()
    head = model.head if isinstance(model.head, torch.nn.Module) else model
    assert sum(float(p.grad.abs().sum()) for p in head.parameters() if p.grad is not None) > 0


@pytest.mark.parametrize("name", [name for name in MODELS if MODELS[name].conditional is not None])
@pytest.mark.parametrize("dataset", ["mnist", "cifar10"])
def test_logits_are_those_of_capsule_lengths_where_the_spec_says_so(name, dataset):
    model = built(name, dataset).eval().double()
    logits, poses = model.logits_and_poses(torch.rand(2, *SHAPES[dataset], dtype=torch.float64))
    assert torch.allclose(logits.sigmoid(), poses.norm(dim=2), atol=1e-6) == MODELS[name].capsules


def test_no_two_models_look_alike():
    specs = MODELS.values()
    assert len({model.title for model in specs}) == len({model.colour for model in specs}) == len(MODELS)
    assert {model.marker for model in specs} | set(ACCESS_MARKERS.values()) <= MARKERS
    for network in ({"capsnet", "cnn_cr", "cnn_r"}, {"capsnet_deeper", "capsnet_all", "deepcaps"}):
        of_one_paper = network | {"michels_convnet", "michels_capsnet"}
        assert len({MODELS[name].marker for name in of_one_paper}) == len(of_one_paper), "drawn together"


def test_models_are_listed_in_their_order():
    assert list(MODELS) == [
        *("capsnet", "cnn_cr", "cnn_r", "convnet", "residual"),
        *("capsnet_deeper", "capsnet_all", "deepcaps", "michels_convnet", "michels_capsnet"),
    ]
    assert title_of("capsnet_deeper") == "Deeper CapsNet"


def test_what_there_is_not_is_told():
    for ask in (spec, title_of, lambda name: build(name, (1, 28, 28), 10)):
        with pytest.raises(ValueError, match="expected a model among capsnet, .*, got 'resnet'; choose"):
            ask("resnet")
    with pytest.raises(ValueError, match="expected a size among paper, compact, got 'huge'; choose"):
        build("capsnet", (1, 28, 28), 10, "huge")
