"""The plain networks beside CapsNet: CNN+CR and CNN+R with its decoder, ConvNet without one."""

from torch import Tensor, nn
from torch.nn import functional as F

from core.models.base import Shape
from core.models.groups import POSE_DIM, GroupNet
from core.models.layers import PRIMARY_DIM, Encoder, EncoderSize


class CNNCR(GroupNet):
    """CNN with class-conditional reconstruction: a class's logit is the sum of its group of 16 units."""

    def make_head(self) -> nn.Module:
        """One fully connected layer: as many weights as the capsules' transforms."""
        return nn.Linear(self.capsules * PRIMARY_DIM, self.n_classes * POSE_DIM)

    def logits_and_poses(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Images (B, C, H, W) in [0, 1] to logits (B, J) and groups (B, J, 16)."""
        features = F.relu(self.encoder(x)).flatten(1)
        groups = self.head(features).view(-1, self.n_classes, POSE_DIM)
        return groups.sum(-1), groups


class CNNR(CNNCR):
    """CNN+CR without the mask: the decoder sees every group, so `label` does not matter."""

    conditional = False


CONVNET_SIZES = {
    "paper": EncoderSize(width=256, types=32),
    "compact": EncoderSize(width=64, types=6),
}


class ConvNet(nn.Module):
    """The undefended baseline: CNN+CR's classifier without a decoder.

    Args:
        shape: (C, H, W) of an image.
        n_classes: J, number of classes.
        size: Widths, see `CONVNET_SIZES`.
    """

    def __init__(self, shape: Shape, n_classes: int, size: EncoderSize) -> None:
        super().__init__()
        channels, height, width = shape
        capsules = size.types * Encoder.grid(height) * Encoder.grid(width)
        self.encoder = Encoder(channels, size.width, size.types)
        self.head = nn.Linear(capsules * PRIMARY_DIM, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) in [0, 1] to logits (B, J)."""
        return self.head(F.relu(self.encoder(x)).flatten(1))
