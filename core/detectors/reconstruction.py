"""Detect by reconstruction: an image far from its class-conditional reconstruction is flagged."""

import torch
from torch import Tensor

from core.metrics import threshold_at
from core.objectives import Reconstructor, l2_distance, reconstruction_distance
from core.runtime import at_most, worthwhile_threads


class ReconstructionDetector:
    """Scores an image by its distance to the reconstruction from the winning class.

    Args:
        model: A classifier that reconstructs.
        threshold: theta, when it is known already.
    Source: qin2020, sections 4.1 and 4.2.
    """

    def __init__(self, model: Reconstructor, threshold: float | None = None) -> None:
        self.model = model
        self.threshold = threshold

    @torch.no_grad()
    def score(self, x: Tensor, batch_size: int = 256) -> Tensor:
        """||r(v_f(x)) - x||_2 for images (B, C, H, W), (B,)."""
        with at_most(worthwhile_threads(self.model, x)):
            return torch.cat([self.evasion_loss(part) for part in x.split(batch_size)])

    @torch.no_grad()
    def class_scores(self, x: Tensor, n_classes: int = 10, batch_size: int = 256) -> Tensor:
        """Distance to the reconstruction from *each* class's group, (B, J): Fig. 1a of qin2020."""
        columns: list[Tensor] = []
        for label in range(n_classes):
            parts = [
                l2_distance(
                    self.model.reconstruct(part, torch.full((len(part),), label, device=x.device)), part
                )
                for part in x.split(batch_size)
            ]
            columns.append(torch.cat(parts))
        return torch.stack(columns, 1)

    def calibrate(self, clean_scores: Tensor, fpr: float = 0.05) -> float:
        """Set theta so that a share `fpr` of held-out clean scores (N,) lies above it."""
        self.threshold = threshold_at(clean_scores, fpr)
        return self.threshold

    def flagged(self, scores: Tensor) -> Tensor:
        """Which scores (B,) lie above theta.

        Raises: RuntimeError: before calibration.
        """
        if self.threshold is None:
            raise RuntimeError(
                "expected a calibrated detector, got one without threshold; call calibrate first"
            )
        return scores > self.threshold

    def evasion_loss(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        """The distance itself, differentiable, from the group of `label` or of the winning class, (B,)."""
        return reconstruction_distance(self.model, x, label)
