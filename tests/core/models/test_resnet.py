import pytest
import torch
from torch.nn import functional as F

from core.models import build
from core.models.resnet import Block


def test_a_block_adds_to_what_it_is_given():
    torch.manual_seed(0)
    block = Block(8)
    x = torch.randn(2, 8, 5, 5)
    inner = F.conv2d(F.relu(F.group_norm(x, 4)), block.conv1.weight, block.conv1.bias, padding=1)
    added = F.conv2d(F.relu(F.group_norm(inner, 4)), block.conv2.weight, block.conv2.bias, padding=1)
    assert torch.allclose(block(x), x + added, atol=1e-5)
    torch.nn.init.zeros_(block.conv2.weight)
    torch.nn.init.zeros_(block.conv2.bias)
    assert torch.equal(block(x), x)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32)])
def test_an_image_is_read_alike_alone_and_beside_others(shape):
    model = build("residual", shape, 10, seed=3)
    x = torch.rand(5, *shape)
    together = model(x)
    assert together.shape == (5, 10)
    assert together.std(0).min() > 1e-4, "different images, different logits"
    assert torch.allclose(model(x[2:3]), together[2:3], atol=1e-5)


def test_sizes_grow_with_the_maps():
    count = {
        size: sum(p.numel() for p in build("residual", (1, 28, 28), 10, size=size).parameters())
        for size in ("compact", "paper")
    }
    assert count["compact"] < 100_000 < count["paper"]
    assert not list(build("residual", (1, 28, 28), 10).buffers()), "float16 rounds running means"
