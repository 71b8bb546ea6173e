"""What every purifier is, and how a classifier and a purifier are one classifier."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

from core.objectives import Classifier, Examples

Gradient = Literal["exact", "straight-through"]
GRADIENTS: tuple[Gradient, ...] = ("exact", "straight-through")


class Purifier(nn.Module, ABC):
    """Maps images (B, C, H, W), float32 in [0, 1], to such images, from which what an attack added is gone.

    A subclass says `forward`; whatever its `fit` learns it keeps in parameters and buffers.

    Attributes:
        title: As pages write it.
    """

    title: ClassVar[str]

    def fit(self, split: Examples, seed: int = 0) -> Self:  # noqa: ARG002 - for subclasses
        """Learn what clean images are like, from a `core.data.Split`; without anything to learn it stays."""
        return self

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) in [0, 1] to purified ones, likewise."""


class StraightThrough(torch.autograd.Function):
    """Purified images forward, the identity backward: `StraightThrough.apply(x, purified)`."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, purified: Tensor) -> Tensor:  # noqa: ARG004
        """The purified images (B, C, H, W)."""
        return purified.clone()

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Any) -> Any:  # noqa: ARG004
        """The gradient goes to the images as it is."""
        return gradients[0], None


class Purified(nn.Module):
    """A classifier behind a purifier, which is an ordinary classifier, so that every attack takes it.

    Both are parts of it, and stored with it: together they are what is attacked.

    Args:
        model: Images (B, C, H, W) in [0, 1] to logits (B, J).
        purifier: What stands before it.
        gradient: What an attack sees of the purifier. "exact": its own gradient, which may be zero or
            useless although the defence is weak. "straight-through": that of the identity in its place, as a
            purified image is near the image (backward pass differentiable approximation, BPDA). Answers are
            the same bits with both.
    Raises: ValueError: for another gradient.
    Source: athalye2018, *Obfuscated Gradients Give a False Sense of Security*, section 4.1.
    """

    def __init__(self, model: Classifier, purifier: Purifier, gradient: Gradient = "exact") -> None:
        super().__init__()
        if gradient not in GRADIENTS:
            raise ValueError(f"expected gradient among {', '.join(GRADIENTS)}, got {gradient!r}")
        self.model, self.purifier, self.gradient = model, purifier, gradient

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) in [0, 1] to the logits (B, J) of purified ones."""
        return self.model(self.purify(x))

    def purify(self, x: Tensor) -> Tensor:
        """Purified images (B, C, H, W), with the gradient that was asked for."""
        if self.gradient == "exact":
            return self.purifier(x)
        with torch.no_grad():
            purified = self.purifier(x)
        passed = StraightThrough.apply(x, purified)
        assert isinstance(passed, Tensor)
        return passed
