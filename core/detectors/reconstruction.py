"""Detect by reconstruction: an image far from its class-conditional reconstruction is flagged."""

from typing import ClassVar

import torch
from torch import Tensor

from core.detectors.base import Detector, Need
from core.objectives import Reconstructor, l2_distance, reconstruction_distance


class ReconstructionDetector(Detector):
    """Scores an image by its distance to the reconstruction from the winning class, ||r(v_f(x)) - x||_2.

    It has nothing to learn: what it needs the classifier learnt.

    Args:
        model: A classifier that reconstructs.
    Raises: ValueError: for one that does not.
    Source: qin2020, sections 4.1 and 4.2.
    """

    title: ClassVar[str] = "Reconstruction"
    needs: ClassVar[frozenset[Need]] = frozenset({"reconstruction"})

    def __init__(self, model: Reconstructor) -> None:
        super().__init__(model)
        if not hasattr(model, "reconstruct"):
            raise ValueError(
                f"expected a model that reconstructs, got {type(model).__name__}; watch it with "
                "another detector"
            )

    def evasion_loss(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        """The distance itself, from the group of `label` or of the winning class, (B,)."""
        return reconstruction_distance(self.model, x, label)

    @torch.no_grad()
    def class_scores(self, x: Tensor, batch_size: int = 256) -> Tensor:
        """Distance to the reconstruction from *each* class's group, (B, J): Fig. 1a of qin2020."""
        columns: list[Tensor] = []
        for label in range(self.model(x[:1]).shape[1]):
            parts = [
                l2_distance(
                    self.model.reconstruct(part, torch.full((len(part),), label, device=x.device)), part
                )
                for part in x.split(batch_size)
            ]
            columns.append(torch.cat(parts))
        return torch.stack(columns, 1)
