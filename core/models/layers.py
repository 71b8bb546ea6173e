"""What several networks do before their capsules or groups: shift colours about zero, two convolutions."""

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from core.models.fast.frequency_conv import FrequencyConv2d
from core.models.fast.patch_conv import PatchConv2d

PRIMARY_DIM = 8
"""Dimension of a primary capsule: maps of a capsule type."""


def standardise(x: Tensor) -> Tensor:
    """Colour images (B, 3, H, W) in [0, 1] about zero with a spread of about one; others as they are.

    On photographs CapsNet learns far faster so; grey images here are ink on black, where zero has a meaning.
    """
    return (x - 0.5) / 0.25 if x.shape[1] == 3 else x


@dataclass(frozen=True)
class EncoderSize:
    """How large an `Encoder` is.

    Attributes:
        width: Maps of the first convolution.
        types: Capsule types, each of `PRIMARY_DIM` maps, of the last one.
    """

    width: int
    types: int


class Encoder(nn.Module):
    """The two convolutions of CapsNet, CNN+CR, CNN+R and ConvNet: 9x9 stride 1 with ReLU, 9x9 stride 2.

    Args:
        channels: Colour channels of the image.
        width: Maps of the first convolution.
        types: Capsule types, each of 8 maps, of the second.
    Source: sabour2017, section 4; qin2020, appendix A.
    """

    kernel = 9

    def __init__(self, channels: int, width: int, types: int) -> None:
        super().__init__()
        self.conv1 = PatchConv2d(channels, width, self.kernel)
        self.conv2 = FrequencyConv2d(width, types * PRIMARY_DIM, self.kernel)

    @classmethod
    def grid(cls, side: int) -> int:
        """Side of the feature map for an image of this side."""
        return (side - 2 * (cls.kernel - 1) - 1) // 2 + 1

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) to maps (B, 8 * types, h, w)."""
        return self.conv2(F.relu(self.conv1(standardise(x))))
