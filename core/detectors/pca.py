"""Detect by principal components: what attacks add lies where images of the data set hardly vary."""

from typing import ClassVar, Self

import torch
from torch import Tensor

from core.detectors.base import Detector, Need
from core.images import LEVELS
from core.objectives import Classifier, Examples

ROUNDING = 1 / (12 * LEVELS**2)
"""Variance of a pixel that comes from rounding to 8 bits: none is told from less."""
BATCH = 1024


class PCADetector(Detector):
    """Scores an image by the variance of its whitened coefficients on the weaker principal components.

    The coefficients are z = (S + r)^(-1/2) U^T (x - m), with U and S of the covariance of the training images
    and r the variance that rounding to 8 bits leaves in every direction, without which components that no
    training image uses would outweigh all others. On a clean image each has a variance of about one. The
    classifier is not asked: an attacker has the score's gradient in closed form.

    Args:
        model: Not looked at.
        first: Share of the components, the strongest, that do not count.
    Source: hendrycks2016, section 2; broken by carlini2017b, *Adversarial Examples Are Not Easily Detected*.
    """

    title: ClassVar[str] = "PCA whitening"
    needs: ClassVar[frozenset[Need]] = frozenset({"fit"})

    mean: Tensor
    whitening: Tensor

    def __init__(self, model: Classifier | None = None, first: float = 0.5) -> None:
        super().__init__(model)
        if not 0 <= first < 1:
            raise ValueError(f"expected first as a share of 0 or more and below 1, got {first}")
        self.first = first
        self.learnt("mean", "whitening")

    @torch.no_grad()
    def fit(self, split: Examples, attacked: Tensor | None = None, seed: int = 0) -> Self:  # noqa: ARG002
        """Take mean and covariance of the images, in double precision.

        Raises: ValueError: for fewer than two images.
        """
        count = len(split)
        if count < 2:
            raise ValueError(f"expected two images or more to fit on, got {count}")
        parts = [torch.arange(start, min(start + BATCH, count)) for start in range(0, count, BATCH)]
        mean = sum(split.x(part).double().flatten(1).sum(0) for part in parts) / count
        assert isinstance(mean, Tensor)
        covariance = torch.zeros(len(mean), len(mean), dtype=torch.float64)
        for part in parts:
            centred = split.x(part).double().flatten(1) - mean
            covariance += centred.T @ centred / (count - 1)
        variance, directions = torch.linalg.eigh(covariance)  # from the weakest to the strongest
        kept = len(mean) - int(self.first * len(mean))
        scale = (variance[:kept].clamp(min=0) + ROUNDING).rsqrt()
        where = self.mean.device
        self.learn(mean=mean.float().to(where), whitening=(directions[:, :kept] * scale).T.float().to(where))
        return self

    def coefficients(self, x: Tensor) -> Tensor:
        """Whitened coefficients (B, K) of images (B, C, H, W), from the weakest component on."""
        self.ready()
        return (x.flatten(1) - self.mean) @ self.whitening.T

    def evasion_loss(self, x: Tensor, label: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """The variance itself, (B,); it is the same for all classes."""
        return self.coefficients(x).var(1)
