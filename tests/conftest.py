import core  # noqa: F401, I001 - before torch, see there

import pytest
import torch
from torch import Tensor, nn

from core.detectors import ReconstructionDetector


class Linear(nn.Module):
    """Two classes with the margin w.x + b: everything about it is known in closed form."""

    def __init__(self, shape: tuple[int, int, int], *, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.weight = nn.Parameter(torch.randn(shape, generator=generator))
        self.bias = nn.Parameter(torch.zeros(()))

    def margin(self, x: Tensor) -> Tensor:
        return (x * self.weight).flatten(1).sum(1) + self.bias

    def forward(self, x: Tensor) -> Tensor:
        margin = self.margin(x)
        return torch.stack([-margin / 2, margin / 2], 1)


class TinyReconstructor(nn.Module):
    """A smooth classifier with a class-conditional reconstruction, in float64 so that signs are exact."""

    def __init__(self, shape: tuple[int, int, int] = (3, 5, 7), n_classes: int = 4) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        size = shape[0] * shape[1] * shape[2]
        self.shape = shape
        self.first = nn.Parameter(
            torch.randn(size, n_classes * 6, generator=generator, dtype=torch.float64) / 4
        )
        self.out = nn.Parameter(torch.randn(n_classes, 6, size, generator=generator, dtype=torch.float64) / 2)
        self.dropout = nn.Dropout(0.5)
        self.n_classes = n_classes

    def poses(self, x: Tensor) -> Tensor:
        hidden = torch.tanh(x.double().flatten(1) @ self.first)
        return self.dropout(hidden).view(len(x), self.n_classes, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.poses(x).sum(-1)

    def reconstruct(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        poses = self.poses(x)
        label = poses.sum(-1).argmax(1) if label is None else label
        winner = poses[torch.arange(len(x)), label]
        return torch.sigmoid(torch.einsum("bd,bdp->bp", winner, self.out[label])).view(-1, *self.shape)


@pytest.fixture
def linear() -> Linear:
    return Linear((3, 5, 7)).eval()


@pytest.fixture
def tiny() -> TinyReconstructor:
    return TinyReconstructor().eval()


@pytest.fixture
def detector(tiny: TinyReconstructor) -> ReconstructionDetector:
    """What watches `tiny`."""
    return ReconstructionDetector(tiny)


@pytest.fixture
def images() -> Tensor:
    return torch.rand(6, 3, 5, 7, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def labels() -> Tensor:
    return torch.tensor([0, 1, 2, 3, 0, 1])
