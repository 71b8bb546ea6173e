"""The three models of qin2020: CapsNet, CNN+CR and CNN+R.

They share the two convolutions and the decoder and have the same number of parameters. They differ in how the
class groups ("poses") are computed, and in whether the decoder sees the winning group alone.
"""

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from core.models.base import ReconstructingNet
from core.models.layers import Decoder, Encoder, length_logit, squash
from core.models.routing import Routing

POSE_DIM = 16
PRIMARY_DIM = 8


@dataclass(frozen=True)
class Size:
    """Widths of a model: maps of the first convolution, capsule types of the second, decoder layers."""

    width: int
    types: int
    decoder: tuple[int, int]


SIZES = {
    "paper": Size(width=256, types=32, decoder=(512, 1024)),
    "compact": Size(width=64, types=6, decoder=(256, 512)),
}


class GroupNet(ReconstructingNet):
    """Base: two convolutions -> a pose of 16 numbers for each class -> decoder.

    Args:
        shape: (C, H, W) of an image.
        n_classes: J, number of classes.
        size: Widths, see `SIZES`.
    Source: qin2020, section 4.1, appendix A.
    """

    def __init__(self, shape: tuple[int, int, int], n_classes: int, size: Size) -> None:
        super().__init__(shape, n_classes)
        channels, height, width = shape
        self.capsules = size.types * Encoder.grid(height) * Encoder.grid(width)
        self.types = size.types
        self.encoder = Encoder(channels, size.width, size.types)
        self.head = self.make_head()
        self.decoder = self.make_decoder(size)

    def make_head(self) -> nn.Module:
        """The layer between features and poses."""
        raise TypeError(f"{type(self).__name__} is a base class; build one of core.models.MODELS")

    def make_decoder(self, size: Size) -> nn.Module:
        """The layers between all classes' poses, side by side, and pixels."""
        channels, height, width = self.shape
        return Decoder(self.n_classes * POSE_DIM, size.decoder, channels * height * width)

    def decode(self, poses: Tensor, label: Tensor) -> Tensor:
        """Images (B, C, H, W) from poses (B, J, 16), all but that of `label` (B,) set to zero if conditional."""
        if self.conditional:
            mask = F.one_hot(label, self.n_classes).to(poses.dtype)
            poses = poses * mask.unsqueeze(-1)
        return self.decoder(poses.flatten(1)).view(-1, *self.shape)


class CapsNet(GroupNet):
    """Capsule network: primary capsules, three routing iterations, class capsules.

    The logit of a class is the logit of its capsule's length. Source: sabour2017; qin2020, section 4.1.
    """

    def make_head(self) -> nn.Module:
        """Routing from all primary capsules to the class capsules."""
        # Squash maps small vectors to far smaller ones: with the usual init no signal would reach the
        # routing.
        for conv, std in ((self.encoder.conv1, 0.05), (self.encoder.conv2, 0.1)):
            nn.init.trunc_normal_(conv.weight, std=std)
            if conv.bias is not None:
                nn.init.constant_(conv.bias, 0.1)
        return Routing(self.capsules, PRIMARY_DIM, self.n_classes, POSE_DIM)

    def primary(self, x: Tensor) -> Tensor:
        """Primary capsules (B, I, 8): each is the eight maps of one type at one place."""
        maps = self.encoder(x).to(x.dtype)
        by_type = maps.reshape(x.shape[0], self.types, PRIMARY_DIM, -1)  # (B, types, 8, places)
        # In memory the eight dimensions stay before the capsules, as routing wants them.
        capsules = by_type.transpose(1, 2).reshape(x.shape[0], PRIMARY_DIM, self.capsules).transpose(1, 2)
        # The reference computes this layer as routing with uniform coupling over the types, hence the
        # division.
        return squash(capsules / self.types)

    def logits_and_poses(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Images (B, C, H, W) in [0, 1] to logits (B, J) and class capsules (B, J, 16)."""
        s = self.head(self.primary(x))
        return length_logit(s), squash(s)


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


class ConvNet(nn.Module):
    """The undefended baseline: CNN+CR's classifier without a decoder."""

    def __init__(self, shape: tuple[int, int, int], n_classes: int, size: Size) -> None:
        super().__init__()
        channels, height, width = shape
        capsules = size.types * Encoder.grid(height) * Encoder.grid(width)
        self.encoder = Encoder(channels, size.width, size.types)
        self.head = nn.Linear(capsules * PRIMARY_DIM, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) in [0, 1] to logits (B, J)."""
        return self.head(F.relu(self.encoder(x)).flatten(1))
