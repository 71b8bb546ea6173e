"""The three models of qin2020: CapsNet, CNN+CR and CNN+R.

They share the two convolutions and the decoder and have the same number of parameters. They differ in how the
class groups ("poses") are computed, and in whether the decoder sees the winning group alone.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn
from torch.nn import functional as F

from core.models.base import ReconstructingNet, Shape
from core.models.decoders import Decoder, DeconvDecoder
from core.models.layers import Encoder, length_logit, squash
from core.models.routing import Routing

POSE_DIM = 16
PRIMARY_DIM = 8


@dataclass(frozen=True)
class Size:
    """How large a model is.

    Attributes:
        width: Maps of the first convolution.
        types: Capsule types, each of 8 maps, of the last one.
        decoder: Makes the decoder, from how many numbers it is given for one image, and the image's shape.
    """

    width: int
    types: int
    decoder: Callable[[int, Shape], nn.Module]


GREY_SIZES = {
    "paper": Size(width=256, types=32, decoder=partial(Decoder, hidden=(512, 1024))),
    "compact": Size(width=64, types=6, decoder=partial(Decoder, hidden=(256, 512))),
}
# On a few thousand images of SVHN this decoder's squared error is 44 where a fully connected one of the same
# number of weights has 72; the paper's own widths would need 3.7 million weights for it.
COLOUR_SIZES = {
    "paper": GREY_SIZES["paper"],
    "compact": Size(width=32, types=4, decoder=partial(DeconvDecoder, maps=(16, 32, 16, 8))),
}


def sizes_for(shape: Shape) -> Mapping[str, Size]:
    """The sizes for images (C, H, W)."""
    return COLOUR_SIZES if shape[0] == 3 else GREY_SIZES


class GroupNet(ReconstructingNet):
    """Base: two convolutions -> a pose of 16 numbers for each class -> decoder.

    Args:
        shape: (C, H, W) of an image.
        n_classes: J, number of classes.
        size: Widths, see `sizes_for`.
    Source: qin2020, section 4.1, appendix A.
    """

    def __init__(self, shape: Shape, n_classes: int, size: Size) -> None:
        super().__init__(shape, n_classes)
        self.encoder, places = self.make_encoder(size)
        self.types, self.capsules = size.types, size.types * places
        self.head = self.make_head()
        self.decoder = size.decoder(n_classes * POSE_DIM, shape)

    def make_encoder(self, size: Size) -> tuple[nn.Module, int]:
        """The layers between image and features, maps of 8 for each type; how many places the maps have."""
        channels, height, width = self.shape
        return Encoder(channels, size.width, size.types), Encoder.grid(height) * Encoder.grid(width)

    def make_head(self) -> nn.Module:
        """The layer between features and poses."""
        raise TypeError(f"{type(self).__name__} is a base class; build one of core.models.MODELS")

    def decode(self, poses: Tensor, label: Tensor) -> Tensor:
        """Images (B, C, H, W) from poses (B, J, 16): if conditional, from that of `label` (B,) alone."""
        if self.conditional:
            mask = F.one_hot(label, self.n_classes).to(poses.dtype)
            poses = poses * mask.unsqueeze(-1)
        return self.decoder(poses.flatten(1)).view(-1, *self.shape)


class CapsNet(GroupNet):
    """Capsule network: primary capsules, three routing iterations, class capsules.

    The logit of a class is the logit of its capsule's length. Source: sabour2017; qin2020, section 4.1.
    """

    def make_encoder(self, size: Size) -> tuple[nn.Module, int]:
        """The layers between image and capsules, maps of 8 for each type; how many places the maps have."""
        encoder, places = super().make_encoder(size)
        assert isinstance(encoder, Encoder)
        # Squash maps small vectors to far smaller ones: with the usual init no signal would reach the
        # routing.
        for conv, std in ((encoder.conv1, 0.05), (encoder.conv2, 0.1)):
            nn.init.trunc_normal_(conv.weight, std=std)
            if conv.bias is not None:
                nn.init.constant_(conv.bias, 0.1)
        return encoder, places

    def make_head(self) -> nn.Module:
        """Routing from all primary capsules to the class capsules."""
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

    def __init__(self, shape: Shape, n_classes: int, size: Size) -> None:
        super().__init__()
        channels, height, width = shape
        capsules = size.types * Encoder.grid(height) * Encoder.grid(width)
        self.encoder = Encoder(channels, size.width, size.types)
        self.head = nn.Linear(capsules * PRIMARY_DIM, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) in [0, 1] to logits (B, J)."""
        return self.head(F.relu(self.encoder(x)).flatten(1))
