"""What CapsNet, CNN+CR and CNN+R have in common: a group of 16 numbers for each class, and a decoder.

They share the two convolutions and the decoder and have the same number of parameters. They differ in how the
class groups ("poses") are computed, and in whether the decoder sees the winning group alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn
from torch.nn import functional as F

from core.models.base import ReconstructingNet, Shape
from core.models.decoders import Decoder, DeconvDecoder
from core.models.layers import Encoder, EncoderSize

POSE_DIM = 16
"""Numbers of a class's group."""


@dataclass(frozen=True)
class GroupSize(EncoderSize):
    """How large a model with groups is.

    Attributes:
        decoder: Makes the decoder, from how many numbers it is given for one image, and the image's shape.
    """

    decoder: Callable[[int, Shape], nn.Module]


GROUP_SIZES = {
    "paper": GroupSize(width=256, types=32, decoder=partial(Decoder, hidden=(512, 1024))),
    "compact": GroupSize(width=64, types=6, decoder=partial(Decoder, hidden=(256, 512))),
}
# On a few thousand images of SVHN this decoder's squared error is 44 where a fully connected one of the same
# number of weights has 72; the paper's own widths would need 3.7 million weights for it.
RGB_SIZES = {
    "compact": GroupSize(width=32, types=4, decoder=partial(DeconvDecoder, maps=(16, 32, 16, 8))),
}


class GroupNet(ReconstructingNet):
    """Base: two convolutions -> a pose of 16 numbers for each class -> decoder.

    Args:
        shape: (C, H, W) of an image.
        n_classes: J, number of classes.
        size: Widths, see `GROUP_SIZES` and `RGB_SIZES`.
    Source: qin2020, section 4.1, appendix A.
    """

    def __init__(self, shape: Shape, n_classes: int, size: GroupSize) -> None:
        super().__init__(shape, n_classes)
        self.encoder, places = self.make_encoder(size)
        self.types, self.capsules = size.types, size.types * places
        self.head = self.make_head()
        self.decoder = size.decoder(n_classes * POSE_DIM, shape)

    def make_encoder(self, size: GroupSize) -> tuple[nn.Module, int]:
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
