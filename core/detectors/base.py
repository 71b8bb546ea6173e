"""What every detector is: fitted, then it scores, and it is calibrated on held-out clean data."""

from typing import Protocol

from torch import Tensor


class Detector(Protocol):
    """Higher scores are more adversarial.

    A detector nobody can attack is not published: hence `evasion_loss`.
    """

    threshold: float | None

    def score(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) to scores (B,)."""
        ...

    def calibrate(self, clean_scores: Tensor, fpr: float = 0.05) -> float:
        """Set and return the threshold that flags a share `fpr` of held-out clean scores (N,)."""
        ...

    def flagged(self, scores: Tensor) -> Tensor:
        """Scores (B,) to bool (B,)."""
        ...

    def evasion_loss(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        """What an attacker lowers to go unseen, (B,), differentiable in x."""
        ...
