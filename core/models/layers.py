"""Capsule algebra and the parts that every reconstructing network shares."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.models.frequency import FrequencyConv2d
from core.models.patches import PatchConv2d

# Keeps squash, length and logit finite, with finite gradients, for a capsule of exactly zero.
EPS = 1e-8


def squash(s: Tensor) -> Tensor:
    """Shrink vectors to length |s|^2 / (1 + |s|^2), keeping their direction; the gradient at zero is zero.

    Args:
        s: Capsules (..., D), any real numbers.
    Returns: Capsules (..., D), shorter than 1.
    Source: sabour2017, Eq. 1, with epsilon inside the square root.
    """
    squared = (s * s).sum(-1, keepdim=True)
    return s * (squared / (1 + squared) * torch.rsqrt(squared + EPS))


def length_logit(s: Tensor) -> Tensor:
    """The logit of a capsule's length, from the capsule *before* squashing.

    Squashing gives the length p = |s|^2 / (1 + |s|^2), hence logit(p) = log |s|^2: computed from s it never
    saturates, whereas p itself rounds to 1 in float32 and its gradient to 0.

    Args:
        s: Capsules before squash, (..., D).
    Returns: (...), logits whose sigmoid is the length.
    Source: michels2019 uses Z = atanh(2p - 1), which is half of this.
    """
    return torch.log((s * s).sum(-1) + EPS)


def standardise(x: Tensor) -> Tensor:
    """Colour images (B, 3, H, W) in [0, 1] about zero with a spread of about one; others as they are.

    On photographs CapsNet learns far faster so; grey images here are ink on black, where zero has a meaning.
    """
    return (x - 0.5) / 0.25 if x.shape[1] == 3 else x


class Encoder(nn.Module):
    """The two convolutions that CapsNet, CNN+CR and CNN+R share: 9x9 stride 1 with ReLU, 9x9 stride 2.

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
        self.conv2 = FrequencyConv2d(width, types * 8, self.kernel)

    @classmethod
    def grid(cls, side: int) -> int:
        """Side of the feature map for an image of this side."""
        return (side - 2 * (cls.kernel - 1) - 1) // 2 + 1

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) to maps (B, 8 * types, h, w)."""
        return self.conv2(F.relu(self.conv1(standardise(x))))
