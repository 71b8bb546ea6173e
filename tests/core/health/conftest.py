"""Models whose health is known, and a bench over them."""

from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor, nn

from core.attacks import BIM, FGSM, PGD, AttackState, ReconstructiveBIM, ReconstructiveFGSM, ReconstructivePGD
from core.detectors import ReconstructionDetector
from core.health import Bench, Clean
from core.metrics import threshold_at

SHAPE, CLASSES, COUNT = (3, 5, 7), 4, 20


class Linear(nn.Module):
    """Four classes, logits linear in the image around grey: whatever an attack can do, steps of signs do."""

    def __init__(self, seed: int = 0, scale: float = 1.0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        size = SHAPE[0] * SHAPE[1] * SHAPE[2]
        self.weight = nn.Parameter(scale * torch.randn(CLASSES, size, generator=generator) / size**0.5)

    def forward(self, x: Tensor) -> Tensor:
        return (x - 0.5).flatten(1) @ self.weight.T

    def reconstruct(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        label = self(x).argmax(1) if label is None else label
        return (0.5 + 0.2 * self.weight[label]).clamp(0, 1).view(-1, *SHAPE)


class Rounded(Linear):
    """Gradient masking: pixels are rounded to 8 levels, so that no gradient passes."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward((x * 8).round() / 8)


class Saturated(Linear):
    """Gradient masking: logits so far apart that softmax is exactly 0 and 1."""

    def forward(self, x: Tensor) -> Tensor:
        return 1e6 * super().forward(x)


class Rugged(Linear):
    """A loss that a change nobody can see throws about."""

    def forward(self, x: Tensor) -> Tensor:
        wave = (3e4 * x.flatten(1).sum(1, keepdim=True)).sin()
        return super().forward(x) + 5 * wave * torch.tensor([1.0, -1, 1, -1])


class Random(Linear):
    """Adds another linear function at every pass, whose gradient hides the model's own."""

    def __init__(self, noise: float) -> None:
        super().__init__()
        self.noise, self.generator = noise, torch.Generator().manual_seed(5)

    def forward(self, x: Tensor) -> Tensor:
        weight = torch.randn(self.weight.shape, generator=self.generator) * self.weight.std()
        return super().forward(x) + self.noise * (x - 0.5).flatten(1) @ weight.T


class Flat(Linear):
    """Nothing an attack does has an effect."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(0 * x + 0.5) + torch.tensor([1.0, 0, 0, 0])


@dataclass(frozen=True)
class Idle(PGD):
    """An attack that does nothing."""

    def path(self, model, problem, seed, precision):
        for step in range(self.steps + 1):
            yield AttackState(step, self.steps, problem.x)


@dataclass(frozen=True)
class OnlyAimed(PGD):
    """An attack that does nothing without a target."""

    def path(self, model, problem, seed, precision):
        kind = Idle if problem.target is None else PGD
        return kind.path(self, model, problem, seed, precision)


@dataclass(frozen=True)
class Returning(PGD):
    """An attack that goes back to the image in its last step."""

    def path(self, model, problem, seed, precision):
        for state in super().path(model, problem, seed, precision):
            last = state.step == self.steps
            yield replace(state, x_adv=problem.x) if last else state


@dataclass(frozen=True)
class Halved(PGD):
    """An attack that does nothing to images with an odd index."""

    def path(self, model, problem, seed, precision):
        for state in super().path(model, problem, seed, precision):
            odd = (problem.index % 2 == self.odd).view(-1, 1, 1, 1)
            yield replace(state, x_adv=torch.where(odd, problem.x, state.x_adv))

    odd = 1


@dataclass(frozen=True)
class OtherHalf(Halved):
    odd = 0


BOUNDED = {
    "fgsm": FGSM,
    "bim": BIM,
    "pgd": PGD,
    "r-fgsm": ReconstructiveFGSM,
    "r-bim": ReconstructiveBIM,
    "r-pgd": ReconstructivePGD,
}


def make_bench(model: nn.Module, **changes) -> Bench:
    """A bench over images that the model reads rightly, with a detector and two other models."""
    generator = torch.Generator().manual_seed(1)
    x = 0.3 + 0.4 * torch.rand(COUNT, *SHAPE, generator=generator)
    with torch.no_grad():
        label = Linear.forward(model, x).argmax(1)
    detector = ReconstructionDetector(model)
    score = detector.score(x)
    values = {
        "epsilon": 0.1,
        "step_size": 0.02,
        "steps": 12,
        "fgsm_step": 0.05,
        "n_classes": CLASSES,
        "detector": detector,
        "threshold": threshold_at(score),
        "clean": Clean(score, score, label, label),
        "others": {"first": Linear(1), "second": Linear(2)},
        "attacks": BOUNDED,
        **changes,
    }
    return Bench(model, x, label, (label + 1) % CLASSES, torch.arange(COUNT), **values)


@pytest.fixture
def bench():
    """Makes a bench, by default over a healthy model."""

    def make(model: nn.Module | None = None, **changes) -> Bench:
        return make_bench((Linear() if model is None else model).eval(), **changes)

    return make
