import pytest
import torch

from core.data import Split
from core.images import to_uint8


def natural(count: int, seed: int) -> Split:
    """Images (3, 5, 7) that vary along five directions, and hardly along all others."""
    generator = torch.Generator().manual_seed(9)
    directions = torch.randn(5, 105, generator=generator) / 5
    generator = torch.Generator().manual_seed(seed)
    weights = torch.randn(count, 5, generator=generator) * torch.tensor([1.0, 0.8, 0.6, 0.4, 0.2])
    noise = 0.02 * torch.randn(count, 105, generator=generator)
    x = (0.5 + 0.3 * weights @ directions + noise).clamp(0, 1).view(-1, 3, 5, 7)
    return Split(to_uint8(x), torch.arange(count) % 4)


@pytest.fixture(scope="session")
def train() -> Split:
    return natural(200, 0)


@pytest.fixture(scope="session")
def held_out() -> Split:
    return natural(60, 1)


@pytest.fixture(scope="session")
def test() -> Split:
    return natural(24, 2)
