import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core import data


@pytest.fixture(scope="session")
def digits() -> tuple[nn.Module, Tensor, Tensor]:
    """A small network that reads digits, and 32 images that it reads correctly."""
    split = data.load("digits")
    torch_state = torch.get_rng_state()
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 48), nn.Tanh(), nn.Linear(48, 10))
    torch.set_rng_state(torch_state)
    x, y = split.train.x(), split.train.labels
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(60):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    x, y = split.test.x(torch.arange(80)), split.test.labels[:80]
    right = model(x).argmax(1) == y
    assert right.sum() > 60
    return model.eval().requires_grad_(False), x[right][:32], y[right][:32]
