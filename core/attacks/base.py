"""The contract every attack holds: checked input, an untouched model, a result verified in float32."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from core.images import check_images
from core.objectives import Classifier


@dataclass(frozen=True)
class Progress:
    """How far an attack has come, in iterations over all its batches."""

    step: int
    total: int


OnStep = Callable[[Progress], bool | None]
"""Called after every iteration; returning True stops the attack, which then returns what it has."""


@dataclass(frozen=True)
class AttackState:
    """One point of an attack's path: the images (B, C, H, W) after `step` of `total` iterations."""

    step: int
    total: int
    x_adv: Tensor


@dataclass(frozen=True)
class AttackResult:
    """What an attack returns, whether it finished or was stopped.

    Attributes:
        x_adv: Images (B, C, H, W) in [0, 1], inside the ball: the last iterate.
        prediction: Class of each, (B,), from a float32 forward pass of its own.
        success: Target hit, or label left, (B,) bool.
        steps: Iterations done, (B,).
        queries: Gradient evaluations spent, (B,).
        stopped: Whether a callback ended it early.
    """

    x_adv: Tensor
    prediction: Tensor
    success: Tensor
    steps: Tensor
    queries: Tensor
    stopped: bool = False


def knob(default: Any, label: str, help: str, **limits: Any) -> Any:
    """A dataclass field that also says how a page shows it: label, help, min, max, step."""
    return field(default=default, metadata={"label": label, "help": help, **limits})


@contextmanager
def untouched(model: Classifier) -> Generator[None]:
    """Evaluation mode and frozen parameters inside; every module and parameter as it was afterwards."""
    if not isinstance(model, nn.Module):
        yield
        return
    modes = [(module, module.training) for module in model.modules()]
    needed = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        model.eval()
        for parameter in needed:
            parameter.requires_grad_(False)
        yield
    finally:
        for module, training in modes:
            module.training = training
        for parameter in needed:
            parameter.requires_grad_(True)


def check_labels(name: str, value: int | Tensor, x: Tensor) -> Tensor:
    """Class numbers (B,) int64 on the images' device, from a scalar or one per example."""
    label = torch.as_tensor(value, device=x.device)
    if label.dtype.is_floating_point or label.dtype == torch.bool:
        raise ValueError(f"expected {name} as integers, got {label.dtype}")
    if label.ndim == 0:
        label = label.expand(x.shape[0])
    if label.shape != (x.shape[0],):
        raise ValueError(
            f"expected one {name} for each of {x.shape[0]} images, got shape {tuple(label.shape)}"
        )
    if int(label.min()) < 0:
        raise ValueError(f"expected {name} of 0 or more, got {int(label.min())}")
    return label.long()


@dataclass(frozen=True)
class Problem:
    """What is attacked: checked images, labels, targets or None, and the key of each example's randomness."""

    x: Tensor
    label: Tensor
    target: Tensor | None
    index: Tensor

    @classmethod
    def check(
        cls, x: Tensor, label: int | Tensor, target: int | Tensor | None, index: Tensor | None
    ) -> "Problem":
        """Validate what a caller passed.

        Raises: ValueError: naming what was expected and what came.
        """
        x = check_images(x)
        label = check_labels("label", label, x)
        if target is not None:
            target = check_labels("target", target, x)
            same = int((target == label).sum())
            if same:
                raise ValueError(f"expected targets that differ from the labels, got {same} equal ones")
        keys = torch.arange(x.shape[0]) if index is None else check_labels("index", index, x).cpu()
        return cls(x, label, target, keys)

    def __getitem__(self, rows: slice) -> "Problem":
        target = None if self.target is None else self.target[rows]
        return Problem(self.x[rows], self.label[rows], target, self.index[rows])

    def succeeded(self, prediction: Tensor) -> Tensor:
        """Target hit, or label left, (B,) bool. Source: qin2020, section 4.3."""
        return prediction != self.label if self.target is None else prediction == self.target


@torch.no_grad()
def predict(model: Classifier, x: Tensor, batch_size: int = 256) -> Tensor:
    """Winning classes (B,), in float32 and evaluation mode."""
    with untouched(model):
        return torch.cat([model(part).argmax(1) for part in x.split(batch_size)])
