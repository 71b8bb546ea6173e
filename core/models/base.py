"""What every network with a reconstruction is to training, attacks, detectors and pages."""

from torch import Tensor, nn

Shape = tuple[int, int, int]
"""(C, H, W) of an image."""


class ReconstructingNet(nn.Module):
    """Base: images -> logits and poses in one pass, poses -> images. Subclasses say how.

    Args:
        shape: (C, H, W) of an image.
        n_classes: J, number of classes.
    Attributes:
        conditional: Whether a reconstruction is made from one class's pose, so that `label` matters.
    Source: qin2020, section 4.
    """

    conditional = True

    def __init__(self, shape: Shape, n_classes: int) -> None:
        super().__init__()
        self.shape, self.n_classes = shape, n_classes

    def logits_and_poses(self, x: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ARG002 - for subclasses
        """Images (B, C, H, W) in [0, 1] to logits (B, J) and poses (B, J, D), in one pass."""
        raise TypeError(f"{type(self).__name__} is a base class; build one of core.models.MODELS")

    def decode(self, poses: Tensor, label: Tensor) -> Tensor:  # noqa: ARG002 - for subclasses
        """Images (B, C, H, W) from poses (B, J, D), through the pose of `label` (B,) where conditional."""
        raise TypeError(f"{type(self).__name__} is a base class; build one of core.models.MODELS")

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, J)."""
        return self.logits_and_poses(x)[0]

    def poses(self, x: Tensor) -> Tensor:
        """Poses (B, J, D): what the decoder is given, before a class is chosen."""
        return self.logits_and_poses(x)[1]

    def reconstruct(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        """Reconstruct images (B, C, H, W) from the pose of `label` (B,), or of the winning class."""
        logits, poses = self.logits_and_poses(x)
        return self.decode(poses, logits.argmax(1) if label is None else label)
